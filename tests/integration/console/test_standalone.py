"""Units for one run without a lab: used where they run, started where they do not, and gone when all is over."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkeeper.embedded.standalone import UnitNotReady, running_devices, running_units
from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds import LabDevice
from labkeeper_api.unit_calls import Perform
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_devices.simulators.servo import ServoControl
from tests.support.processes import ManagedProcess, is_alive
from tests.support.waiting import eventually


def hotel(name: str = "hotel", **spec: Any) -> LabDevice:
    wanted = {
        "driver": "plate-resort",
        "pool": "lab",
        "connection": {"port": "/dev/no-such-port"},
        "simulate": {"timeFactor": 5},
        **spec,
    }
    wanted = {key: value for key, value in wanted.items() if value is not None}
    return LabDevice.model_validate({"metadata": {"name": name, "namespace": "lab"}, "spec": wanted})


def move(client: UnitClient, angle: float, ordinal: int, run: str = "run-1") -> str:
    call = Perform(
        holder=run, run=run, ordinal=ordinal, operation="plate-resort.move_to_angle", parameters={"angle": angle}
    )
    return client.perform(call).outcome


def processes_of(home: Path) -> list[psutil.Process]:
    """Agents and simulators of that home, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(home) in word for word in process.cmdline()) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if is_alive(process)]


def test_what_is_missing_is_started_and_ended_and_what_runs_is_left_alone(tmp_path: Path) -> None:
    told: list[str] = []
    with running_units(tmp_path, [hotel()], folder=tmp_path, tell=told.append) as units:
        client = units["lab/hotel"]
        assert told == ["device lab/hotel started, simulated at time factor 5"]
        assert client.status()["pool"] is None
        assert move(client, 30, 0) == "succeeded"
        assert {unit: d.metadata.name for unit, d in running_devices(tmp_path).items()} == {client.unit: "hotel"}
        with running_units(tmp_path, [hotel()], folder=tmp_path, tell=told.append) as same:
            assert same["lab/hotel"].status()["pid"] == client.status()["pid"]
        assert move(client, 40, 1) == "succeeded", "its agent is not the inner one's to end"
        assert len(told) == 1
    assert processes_of(tmp_path) == []
    assert running_devices(tmp_path) == {}


def test_a_killed_agent_comes_back_to_the_same_hardware(tmp_path: Path) -> None:
    with running_units(tmp_path, [hotel()], folder=tmp_path) as units:
        client = units["lab/hotel"]
        assert move(client, 30, 0) == "succeeded"
        first = client.status()["pid"]
        os.kill(first, signal.SIGKILL)
        again = eventually(client.status, 60.0, what="another agent")
        assert again["pid"] != first
        eventually(lambda: client.status()["state"] in ("Idle", "Busy"), 30.0, what="it is ready")
        with ServoControl(client.directory.simulator) as servo:
            assert servo.state()["position_deg"] == pytest.approx(30, abs=1)


def test_a_unit_that_only_a_person_can_free_is_told_with_its_own_reason(tmp_path: Path) -> None:
    with running_units(tmp_path, [hotel()], folder=tmp_path) as units:
        units["lab/hotel"].estop("ann", "a hand is in it")
    stopped = pytest.raises(UnitNotReady, match=r"is Stopped: emergency stop: ann: a hand is in it")
    with stopped, running_units(tmp_path, [hotel()], folder=tmp_path):
        pytest.fail("it is stopped")
    assert processes_of(tmp_path) == []


def test_a_device_that_does_not_answer_is_told_in_time(tmp_path: Path) -> None:
    device = hotel(simulate=None)
    refused = pytest.raises(UnitNotReady, match=r"was not ready within 15 s: .*/dev/no-such-port")
    with refused, running_units(tmp_path, [device], folder=tmp_path, ready_seconds=15):
        pytest.fail("there is no such port")
    assert processes_of(tmp_path) == []


def test_a_simulator_is_never_taken_for_hardware_nor_hardware_for_one(tmp_path: Path) -> None:
    with running_units(tmp_path, [hotel()], folder=tmp_path):
        real = hotel(simulate=None)
        mixed = pytest.raises(UnitNotReady, match="drives a simulator, but hardware is asked for")
        with mixed, running_units(tmp_path, [real], folder=tmp_path):
            pytest.fail("a simulator was taken for hardware")


def test_what_cannot_be_simulated_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKEEPER_OT2_SIMULATOR", "/no/such/python")
    robot = hotel("robot", driver="ot2", connection=None)
    with pytest.raises(InvalidInput, match="no such program"), running_units(tmp_path, [robot], folder=tmp_path):
        pytest.fail("there is no simulator")


SCRIPT = """
import sys
from pathlib import Path
from labkeeper.embedded.standalone import running_units
from labkeeper_api.kinds import LabDevice
from labkeeper_api.unit_calls import Perform

home = Path(sys.argv[1])
with running_units(home, [LabDevice.model_validate_json(sys.argv[2])], folder=home) as units:
    client = units["lab/hotel"]
    for ordinal, angle in enumerate((30, 170)):
        call = Perform(holder="run-1", run="run-1", ordinal=ordinal, operation="plate-resort.move_to_angle",
                       parameters={"angle": angle})
        print(client.perform(call).outcome, flush=True)
"""


def test_a_killed_run_leaves_no_agent_and_its_simulated_world_to_whoever_resumes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    device = hotel(simulate={"timeFactor": 1})
    process = ManagedProcess(
        "the run",
        [sys.executable, "-c", SCRIPT, str(home), device.model_dump_json(by_alias=True, exclude_none=True)],
        log=tmp_path / "run.log",
    )
    process.start()
    directory = eventually(lambda: next(iter(UnitDirectory.all(home)), None), 60.0, what="the unit")
    assert directory is not None
    client = UnitClient(directory)
    eventually(lambda: client.status()["run"], 60.0, 0.02, what="a move is under way")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: directory.owner() is None, 60.0, what="the agent drained and ended")
    process.kill()
    with ServoControl(directory.simulator) as servo:
        angle, moves = servo.state()["position_deg"], len(servo.motions())
        assert moves >= 1
    assert angle > 20

    told: list[str] = []
    with running_units(home, [device], folder=home, tell=told.append) as units:
        assert move(units["lab/hotel"], 30, 0) == "succeeded"
        with ServoControl(directory.simulator) as servo:
            assert len(servo.motions()) == moves, "the same world, and what was done in it is not done again"
    eventually(lambda: processes_of(home) == [], 20.0, what="nothing is left")
