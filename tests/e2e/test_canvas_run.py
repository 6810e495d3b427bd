"""`labkeeper run` on a canvas and on protocols: natively and in Prefect, on the simulated lab of the example."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, SHARED, TIMEOUT, Command
from tests.support.waiting import eventually

BATTERY = ROOT / "examples" / "battery"
CANVAS = BATTERY / "canvas.json"
SIMULATOR = ROOT / "images" / "ot2-simulator" / ".venv"
PROTOCOLS = SHARED / "data" / "opentrons_json"

pytestmark = [
    pytest.mark.skipif(not SIMULATOR.exists(), reason="needs the OT-2 simulator: make setup"),
    pytest.mark.timeout(600),
]

PUMPING = {
    "name": "pumping",
    "global_config": {"hardware": {"arduino": {"port": "COM3"}}},
    "nodes": [
        {"id": "pump", "type": "", "label": "Pump", "params": {"arduino_control": {"pump0_ml": 3}}},
        {"id": "sound", "type": "", "label": "Sonicate", "params": {"arduino_control": {"ultrasonic0_ms": 500}}},
    ],
    "edges": [{"source": "pump", "target": "sound"}],
}


def ran(command: Command, *arguments: str | Path, cwd: Path) -> Any:
    """The result object of a run that completed: standard output holds nothing else."""
    done = command("run", *arguments, "--output", "json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def commands(result: Any) -> list[tuple[str, ...]]:
    """Each command to a device, device by device in order."""
    found = sorted(result["sdl1_operation_log"], key=lambda it: str(it["role"]))
    return [(it["role"], it["node"], it["cycle"], it["ordinal"], it["operation"], it["outcome"]) for it in found]


def test_the_example_completes_under_both_managers_with_the_same_commands(labkeeper: Command, tmp_path: Path) -> None:
    native = ran(labkeeper, CANVAS, "--export-dir", tmp_path / "native", cwd=tmp_path)
    prefect = ran(labkeeper, CANVAS, "--manager", "prefect", "--export-dir", tmp_path / "prefect", cwd=tmp_path)
    assert (native["status"], prefect["status"]) == ("completed", "success")
    for result in (native, prefect):
        assert (result["total_nodes"], result["successful_nodes"], result["failed_nodes"]) == (8, 8, [])
        assert (result["simulated"], result["time_factor"], result["dry_run"]) == (True, 60.0, False)
        assert sum(result["counts"][state] for state in ("completed", "failed", "skipped", "cancelled")) == 8
    assert commands(native) == commands(prefect)
    assert len(commands(native)) > 40
    data = tmp_path / "native" / "data" / "zinc_demo_cycles1-2_dc.csv"
    with data.open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert {"timestamp_s", "current_A", "we_voltage_V"} <= set(rows[0])
    assert len(rows) >= 2 * 60
    assert all(abs(float(row["current_A"]) + 0.004) < 1e-5 for row in rows)
    assert list((tmp_path / "prefect" / "data").glob("*.png"))
    listed = labkeeper.json("canvas", "runs", "--output", "json")
    assert {(run["state"], run["resumable"]) for run in listed} == {("completed", False)}


def test_a_native_run_needs_nothing_of_prefect(labkeeper: Command, tmp_path: Path) -> None:
    """A `prefect` that cannot be imported stands in front of the real one, for the agents too."""
    (tmp_path / "trap" / "prefect").mkdir(parents=True)
    (tmp_path / "trap" / "prefect" / "__init__.py").write_text("raise ImportError('prefect was imported')\n", "utf-8")
    canvas = tmp_path / "canvas.json"
    canvas.write_text(json.dumps(PUMPING), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "labkeeper", "run", str(canvas), "--dry-run", "--output", "json"],
        env={**labkeeper.environment, "PYTHONPATH": str(tmp_path / "trap")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["dry_run"], result["time_factor"]) == ("completed", True, 1000.0)
    assert "simulated, time factor 1000: a dry run" in done.stderr


def test_without_a_device_a_run_is_refused_with_a_hint(labkeeper: Command, tmp_path: Path) -> None:
    canvas = tmp_path / "canvas.json"
    canvas.write_text(json.dumps(PUMPING), "utf-8")
    done = labkeeper("run", canvas, cwd=tmp_path)
    assert done.returncode == 2
    assert "no device of driver arduino answers to com_port 'COM3'" in done.stderr
    assert "--dry-run" in done.stderr
    assert not (labkeeper.home / "runs").exists()


def test_ctrl_c_cancels_and_waits_until_all_is_at_rest(labkeeper: Command, tmp_path: Path) -> None:
    pump = {"id": "pump", "type": "", "label": "Pump", "params": {"arduino_control": {"pump0_ml": 20}}}
    slow = {**PUMPING, "nodes": [pump], "edges": []}
    canvas = tmp_path / "canvas.json"
    canvas.write_text(json.dumps(slow), "utf-8")
    process = labkeeper.start("run", canvas, "--dry-run", "--time-factor", "0.2", cwd=tmp_path)
    eventually(lambda: "Pump: running" in labkeeper.said(), 120, what="the pump runs")
    assert labkeeper.end(process, signal.SIGINT) == 1
    assert "waiting until the hardware is at rest" in labkeeper.said()
    assert "pumping: cancelled" in labkeeper.said()
    (listed,) = labkeeper.json("canvas", "runs", "--output", "json")
    assert (listed["state"], listed["resumable"]) == ("cancelled", False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume", "x", "a.json"], "a run that is resumed knows its canvas"),
        ([], "say what to run"),
        (["canvas.json", "--param", "a=1"], "goes with LabWorkflows"),
        (["canvas.json", "--time-factor", "5"], "goes with --dry-run"),
        (["lab.yaml", "--dry-run"], "goes with a canvas or a protocol"),
        (["protocol.py", "--manager", "prefect"], "goes with a canvas, not with a protocol"),
        (["canvas.json", "lab.yaml"], "is run alone"),
    ],
)
def test_options_that_say_nothing_are_refused(
    labkeeper: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "canvas.json").write_text(json.dumps(PUMPING), "utf-8")
    (tmp_path / "lab.yaml").write_text((BATTERY / "lab.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "protocol.py").write_text("metadata = {'apiLevel': '2.14'}\ndef run(p): ...\n", "utf-8")
    done = labkeeper("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.replace("│", " ").split())


def test_a_run_that_is_not_there_cannot_be_resumed(labkeeper: Command) -> None:
    done = labkeeper("run", "--resume", "nothing-20260101-000000-abcd")
    assert done.returncode == 1
    assert "there is no run to resume" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not PROTOCOLS.exists(), reason="needs ../shared")
def test_a_protocol_is_run_and_one_that_cannot_run_is_refused_in_the_robots_words(
    labkeeper: Command, tmp_path: Path
) -> None:
    sound = PROTOCOLS / "OT2_S_v6_P1000S_None_SimpleTransfer.json"
    result = ran(labkeeper, sound, "--dry-run", cwd=tmp_path)
    assert (result["status"], result["simulated"], result["dry_run"]) == ("completed", True, True)
    assert result["analysis"]["errors"] == []
    assert result["result"]["commands"] == result["analysis"]["commands"] > 0
    done = labkeeper("run", PROTOCOLS / "OT2_X_v6_P20S_None_SimpleTransfer.json", "--dry-run", cwd=tmp_path)
    assert done.returncode == 2
    assert "Cannot aspirate 21.0 µL when only 20 is available in the tip" in done.stderr
    assert "Traceback" not in done.stderr
