"""`labkeeper canvas compare`: both managers really run, and their commands are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Command

CANVAS = {
    "name": "pumping",
    "global_config": {"hardware": {"arduino": {"port": "COM3"}}},
    "nodes": [
        {"id": "pump", "type": "", "label": "Pump", "params": {"arduino_control": {"pump0_ml": 3}}},
        {"id": "sound", "type": "", "label": "Sonicate", "params": {"arduino_control": {"ultrasonic0_ms": 500}}},
    ],
    "edges": [{"source": "pump", "target": "sound"}],
}


@pytest.mark.timeout(600)
def test_both_managers_send_the_same_commands(labkeeper: Command, tmp_path: Path) -> None:
    canvas = tmp_path / "canvas.json"
    canvas.write_text(json.dumps(CANVAS), "utf-8")
    done = labkeeper("canvas", "compare", canvas, "--output", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["same_commands"], found["simulated"], found["time_factor"]) == (True, True, 1000.0)
    assert set(found["managers"]) == {"native", "prefect"}
    for side in found["managers"].values():
        assert (side["completed_nodes"], side["total_nodes"], side["device_commands"]) == (2, 2, 2)
        assert side["seconds"] > 0
    assert [run["dryRun"] for run in labkeeper.json("canvas", "runs", "--output", "json")] == [True, True]
