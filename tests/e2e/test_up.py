"""`labkeeper up`: a lab that keeps running and follows a folder."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import httpx

from tests.e2e.conftest import EXAMPLE, Command
from tests.support.waiting import eventually


def test_it_follows_the_folder_and_takes_runs_from_other_commands(labkeeper: Command, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    for name in ("lab.yaml", "workflows.yaml"):
        shutil.copy(EXAMPLE / name, folder / name)
    process = labkeeper.start("up", folder)
    eventually(lambda: _says(labkeeper, "default.plate-resort.", "Idle"), 120.0)
    info = json.loads((labkeeper.home / "lab.json").read_text())
    names = eventually(lambda: _deployments(info["api_url"], 11), 60.0)
    assert "connect/plate-resort-connect" in names

    # A run from another command goes into the lab that is there.
    summary = labkeeper.json("run", folder, "-w", "health", "-o", "json")
    assert summary["ok"] is True
    assert summary["lab"]["apiUrl"] == info["api_url"]

    # What changes in the folder changes in the lab; what is removed goes; a broken file changes nothing.
    workflows = folder / "workflows.yaml"
    workflows.write_text(workflows.read_text().replace("Turn to 0 degrees.", "Turn home."), encoding="utf-8")
    eventually(lambda: _says(labkeeper, "LabWorkflow default/go-home applied"), 30.0)
    kept = workflows.read_text()
    workflows.write_text(kept.replace("plate-resort.go-home", "plate-resort.go-hom"), encoding="utf-8")
    eventually(lambda: _says(labkeeper, "did you mean 'plate-resort.go-home'?"), 30.0)
    assert "go-home/plate-resort-go-home" in _deployments(info["api_url"], 11)
    tour = kept[: kept.index("---\napiVersion: labkeeper.dev/v1alpha1\nkind: LabWorkflow\nmetadata:\n  name: tour")]
    workflows.write_text(tour, encoding="utf-8")
    eventually(lambda: _says(labkeeper, "LabWorkflow default/tour removed"), 30.0)
    eventually(lambda: _deployments(info["api_url"], 10), 30.0)

    assert labkeeper.end(process, signal.SIGTERM) == 0
    assert not (labkeeper.home / "lab.json").exists()


def _says(labkeeper: Command, *words: str) -> bool:
    text = labkeeper.said(0)
    assert any(all(word in line for word in words) for line in text.splitlines()), text[-2000:]
    return True


def _deployments(api_url: str, count: int) -> set[str]:
    found = httpx.post(f"{api_url}/deployments/filter", json={}, timeout=10.0).json()
    flows = {item["flow_id"] for item in found}
    names = {flow: httpx.get(f"{api_url}/flows/{flow}", timeout=10.0).json()["name"] for flow in flows}
    full = {f"{names[item['flow_id']]}/{item['name']}" for item in found}
    assert len(full) == count, full
    return full
