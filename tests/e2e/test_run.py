"""`labkeeper run`: any LabWorkflow manifest, with what is beside it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from labkeeper_devices.simulators.servo import ServoControl
from tests.e2e.conftest import EXAMPLE, SHARED, Command
from tests.support.waiting import eventually

DEVICE = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabPool
metadata: {{name: hotel}}
spec: {{type: device}}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: hotel}}
spec:
  driver: plate-resort
  pool: hotel
  config:
    files: [{files}]
  {simulate}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata: {{name: {name}}}
spec:
  flow: {{name: plate-resort.{flow}}}
  placement: {{pool: hotel}}
"""


def manifest(folder: Path, *files: Path, flow: str = "tour", simulate: bool = True) -> Path:
    """A manifest of one workflow whose device reads these configuration files."""
    path = folder / "lab.yaml"
    text = DEVICE.format(
        files=", ".join(str(file) for file in files),
        simulate="simulate: {timeFactor: 2}" if simulate else "",
        name=flow,
        flow=flow,
    )
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
@pytest.mark.parametrize("names", [("defaults.yaml", "resort_config.yaml"), ("resort_config.yaml",)])
def test_the_resorts_own_configuration_files_are_read_as_they_are(
    labkeeper: Command, tmp_path: Path, names: tuple[str, ...]
) -> None:
    files = [SHARED / "data" / "plate_resort" / name for name in names]
    summary = labkeeper.json("run", manifest(tmp_path, *files), "--output", "json")
    assert summary["ok"] is True
    result = summary["runs"][0]["result"]
    assert [visit["hotel"] for visit in result["visits"]] == ["A", "B", "C", "D"]
    assert [visit["target_angle_deg"] for visit in result["visits"]] == [19.0, 109.0, 199.0, 289.0]
    assert all(visit["verified"] and abs(visit["error_deg"]) <= 0.5 for visit in result["visits"])
    assert result["simulated"] is True
    assert result["time_factor"] == 2.0
    assert summary["runs"][0]["simulated"] is True


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("resort:\n  position_tolerance: 0\n", 2, "resort.position_tolerance"),
        ("resort:\n  device: /dev/ttyNOPE\n", 2, "there is no /dev/ttyNOPE on this machine"),
        ("resort:\n  hotels: [A, A]\n", 2, "resort.hotels"),
        ("resort:\n  baudrate: 57600\n  hotls: [A]\n", 3, "did you mean 'hotels'?"),
    ],
)
def test_a_wrong_value_in_a_configuration_file_is_named_with_its_line(
    labkeeper: Command, tmp_path: Path, text: str, line: int, sentence: str
) -> None:
    config = tmp_path / "resort.cfg"
    config.write_text(text, encoding="utf-8")
    done = labkeeper("run", manifest(tmp_path, config, simulate=False))
    assert done.returncode == 2
    assert f"{config}:{line}: " in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_hotel_is_named_with_the_line_of_the_manifest(labkeeper: Command, tmp_path: Path) -> None:
    config = tmp_path / "resort.cfg"
    config.write_text("resort:\n  hotels: [A, B, C]\n", encoding="utf-8")
    path = manifest(tmp_path, config, flow="activate-hotel")
    path.write_text(path.read_text() + "  parameters:\n    hotel: Z\n", encoding="utf-8")
    done = labkeeper("run", path)
    assert done.returncode == 2
    assert f"{path}:24: spec.parameters.hotel: there is no hotel 'Z' (the hotels are A, B, C)" in done.stderr


def test_parameters_select_a_workflow_and_a_hotel(labkeeper: Command) -> None:
    arguments = ("-w", "activate-hotel", "--parameters", '{"hotel": "C"}', "-o", "json")
    summary = labkeeper.json("run", EXAMPLE / "workflows.yaml", *arguments)
    assert [run["workflow"] for run in summary["runs"]] == ["activate-hotel"]
    assert summary["runs"][0]["result"]["hotel"] == "C"
    assert summary["ok"] is True


def test_a_missing_parameter_is_refused_before_anything_starts(labkeeper: Command) -> None:
    done = labkeeper("run", EXAMPLE / "workflows.yaml", "-w", "activate-hotel")
    assert done.returncode == 2
    assert "'hotel' is a required property" in done.stderr
    assert not (labkeeper.home / "prefect").exists()


@pytest.mark.parametrize("given", ["{", "[1, 2]", '{"hotel": NaN}'])
def test_parameters_that_are_no_json_object_are_refused(labkeeper: Command, given: str) -> None:
    done = labkeeper("run", EXAMPLE / "workflows.yaml", "-w", "activate-hotel", "--parameters", given)
    assert done.returncode == 2
    assert "--parameters" in done.stderr
    assert "Traceback" not in done.stderr


def test_parameters_that_the_device_cannot_serve_are_refused_before_anything_starts(labkeeper: Command) -> None:
    done = labkeeper("run", EXAMPLE / "workflows.yaml", "-w", "connect", "--param", "device=/dev/ttyUSB7")
    assert done.returncode == 2
    assert "spec.parameters.device: this unit drives device '/dev/ttyUSB0', not '/dev/ttyUSB7'" in done.stderr
    assert not (labkeeper.home / "prefect").exists()


def test_a_run_that_fails_is_exit_code_1_and_says_why(labkeeper: Command, tmp_path: Path) -> None:
    config = tmp_path / "resort.cfg"
    config.write_text("resort:\n  movement_timeout: 0.2\n", encoding="utf-8")
    path = manifest(tmp_path, config, flow="move-to-angle")
    done = labkeeper("run", path, "--param", "angle=180", "-o", "json")
    assert done.returncode == 1, done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert (run["state"], run["ok"]) == ("Failed", False)
    assert "the hotel did not arrive: target 180.00 degrees" in run["message"]
    assert "[simulated, time factor 2]" in run["message"]


def test_ctrl_c_cancels_the_run_and_the_hardware_is_at_rest(labkeeper: Command) -> None:
    arguments = ("-w", "move-to-angle", "--param", "angle=350")
    slow = labkeeper.home.parent / "slow"
    shutil.copytree(EXAMPLE, slow)
    lab = slow / "lab.yaml"
    lab.write_text(lab.read_text().replace("default_speed: 50", "default_speed: 5"), encoding="utf-8")
    process = labkeeper.start("run", slow / "workflows.yaml", *arguments)
    state_dir = eventually(lambda: next(labkeeper.home.glob("units/*/simulator")), 60.0)

    def moving() -> bool:
        with ServoControl(state_dir) as servo:
            assert servo.state()["moving"]
        return True

    eventually(moving, 90.0, 0.02, what="the servo moving")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=90) == 130
    assert "Cancelled" in labkeeper.said()
    command = labkeeper.json("device", "history", "-o", "json")["commands"][0]
    assert command["outcome"] == "interrupted"
    assert "at rest" in command["message"]


def test_an_entrypoint_flow_runs_on_a_worker_of_its_own(labkeeper: Command, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "my_lab.py").write_text(
        "from prefect import flow\n\n\n@flow\ndef measure(times: int = 2) -> int:\n    return times * 21\n",
        encoding="utf-8",
    )
    (folder / "lab.yaml").write_text(
        """
apiVersion: labkeeper.dev/v1alpha1
kind: LabPool
metadata: {name: compute}
spec: {type: kubernetes}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata: {name: measure}
spec:
  flow: {entrypoint: "my_lab:measure"}
  placement: {pool: compute}
""",
        encoding="utf-8",
    )
    done = labkeeper("run", folder / "lab.yaml", "-o", "json", cwd=folder)
    summary = json.loads(done.stdout)
    assert summary["runs"][0]["state"] == "Completed", (summary, done.stderr)
    assert done.returncode == 0
