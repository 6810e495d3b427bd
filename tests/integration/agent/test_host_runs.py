"""Runs on the host against agents without Prefect: agents killed and restarted in the middle, and journals lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from labkeeper.canvas.devices import SocketDevices
from labkeeper_api.errors import LabkeeperError
from labkeeper_api.unit_calls import Performed
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_devices.simulators.servo import ServoControl, start_servo
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.ports import StepKey
from tests.support.hotel import MANIFEST
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

UNIT = "lab.hotel.bench-1"
ROLE = Role.OT2
"""The hotel stands in for a robot: the agent's side is the same for every driver."""


class Bench:
    """A simulated servo that outlives its agent, and an agent that serves only this host."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.unit = UnitDirectory.of(self.home, UNIT)
        self.unit.prepare()
        self.client = UnitClient(self.unit)
        manifest = folder / "device.yaml"
        manifest.write_text(MANIFEST.format(factor=1.0), encoding="utf-8")
        self.servo = start_servo(self.unit.simulator, time_factor=1.0)
        command = [sys.executable, "-m", "labkeeper", "agent", "run", str(manifest), "--no-prefect"]
        self.agent = ManagedProcess(
            "the agent",
            [*command, "--node", "bench-1", "--home", str(self.home), "--drain-seconds", "1"],
            log=folder / "agent.log",
        )
        self.threads = ThreadPoolExecutor(8)
        self._devices: list[SocketDevices] = []

    def control(self) -> ServoControl:
        return ServoControl(self.unit.simulator)

    def start(self, *states: str) -> dict[str, Any]:
        self.agent.start()
        return self.wait(*(states or ("Idle",)))

    def wait(self, *states: str) -> dict[str, Any]:
        def now() -> dict[str, Any]:
            status = self.client.status()
            assert status["state"] in states, status
            return status

        return eventually(now, 60.0, 0.05, what=f"the unit is {' or '.join(states)}")

    def devices(self, run: str = "run-1", patience: float = 60.0) -> SocketDevices:
        made = SocketDevices({ROLE: self.client}, run=run, name="canvas Zinc", patience_seconds=patience)
        self._devices.append(made)
        return made

    def close(self) -> None:
        for devices in self._devices:
            devices.release()
        self.agent.stop()
        self.servo.stop()
        self.threads.shutdown()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def begin_move(bench: Bench, devices: SocketDevices, servo: ServoControl, ordinal: int = 0) -> Future[Performed]:
    """A move of seconds, once the shaft turns."""
    key = StepKey("node", 1, ordinal)
    ended = bench.threads.submit(devices.perform, ROLE, key, "move_to_angle", {"angle": 170})
    eventually(lambda: servo.state()["moving"], 30.0, 0.01, what="the shaft turns")
    return ended


def test_an_agent_killed_in_a_command_is_asked_again_and_nobody_knows(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    with bench.control() as servo:
        ended = begin_move(bench, devices, servo)
        bench.agent.kill()
        bench.start("Held")
        said = ended.result(60)
        assert said.outcome == "unknown"
        assert "was begun at" in said.message
        assert devices.perform(ROLE, StepKey("node", 1, 1), "go_home", {}).outcome == "interlocked"
        assert len(servo.motions()) == 1

        acknowledge(bench, "completed")
        bench.wait("Busy", "Idle")
        again = devices.perform(ROLE, StepKey("node", 1, 0), "move_to_angle", {"angle": 170})
        assert (again.outcome, again.replayed) == ("succeeded", True)
        assert again.result is not None
        assert (again.result["acknowledged"], again.result["simulated"]) == (True, True)
        assert len(servo.motions()) == 1, "what a person saw done is done"
    devices.release()
    assert bench.wait("Idle")["reservation"] is None


def acknowledge(bench: Bench, outcome: str) -> str:
    command = [sys.executable, "-m", "labkeeper", "device", "acknowledge", "--outcome", outcome, "--reason", "looked"]
    process = ManagedProcess(
        "acknowledge", command, log=bench.home / "ack.log", env={"LABKEEPER_HOME": str(bench.home)}
    )
    process.start()
    eventually(lambda: not process.running, 60.0, what="the acknowledgement")
    assert process.stop() == 0, process.log_tail()
    return process.log_tail()


def test_an_agent_restarted_between_commands_goes_on_with_the_run(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    first = devices.perform(ROLE, StepKey("node", 1, 0), "move_to_angle", {"angle": 20})
    bench.agent.kill()
    waiting = bench.threads.submit(devices.perform, ROLE, StepKey("node", 1, 1), "move_to_angle", {"angle": 40})
    time.sleep(0.3)
    bench.agent.start()
    assert waiting.result(60).outcome == "succeeded", "it waited for the agent and for its device"
    again = devices.perform(ROLE, StepKey("node", 1, 0), "move_to_angle", {"angle": 20})
    assert (again.replayed, again.result) == (True, first.result)
    with bench.control() as servo:
        assert len(servo.motions()) == 2
    assert bench.client.status()["reservation"]["name"] == "canvas Zinc"
    devices.release()


def test_a_command_is_stopped_from_another_thread(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    with bench.control() as servo:
        ended = begin_move(bench, devices, servo)
        devices.interrupt()
        said = ended.result(30)
        assert (said.outcome, said.cause) == ("interrupted", "cancel")
        assert "at rest" in said.message
        assert not servo.state()["moving"]
    after = devices.perform(ROLE, StepKey("node", 1, 1), "set_speed", {"speed": 40})
    assert after.outcome == "succeeded", "the interrupt was for the one that it stopped"
    devices.release()


def test_sigterm_drains_and_the_command_is_told_how_it_ended(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    with bench.control() as servo:
        devices.perform(ROLE, StepKey("node", 1, 9), "set_speed", {"speed": 5})
        ended = begin_move(bench, devices, servo)
        os.kill(bench.agent.pid, signal.SIGTERM)
        said = ended.result(60)
        assert (said.outcome, said.cause) == ("interrupted", "drain")
        eventually(lambda: not bench.agent.running, 30.0, what="the agent ends")
        assert bench.agent.stop() == 0
        assert not servo.state()["moving"]
    devices.release()


def test_an_agent_that_stays_away_fails_the_command(bench: Bench) -> None:
    bench.start()
    devices = bench.devices(patience=0.5)
    devices.reserve()
    bench.agent.kill()
    with pytest.raises(LabkeeperError, match=r"set_speed of node 'node'.*could not be had again for 0\.5 s"):
        devices.perform(ROLE, StepKey("node", 1, 0), "set_speed", {"speed": 40})
    devices.release()


def test_an_interrupt_ends_the_wait_for_an_agent_that_is_away(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    bench.agent.kill()
    waiting = bench.threads.submit(devices.perform, ROLE, StepKey("node", 1, 0), "set_speed", {"speed": 40})
    time.sleep(0.5)
    devices.interrupt()
    with pytest.raises(LabkeeperError, match="was to be stopped while the agent of unit"):
        waiting.result(30)
    devices.release()


def test_two_runs_want_the_same_unit(bench: Bench) -> None:
    bench.start()
    one, other = bench.devices(), bench.devices("run-2")
    one.reserve()
    with pytest.raises(LabkeeperError, match=r"it is held for canvas Zinc \(run run-1\)"):
        other.reserve()
    one.release()
    assert other.reserve()[0].unit == UNIT
    other.release()


def test_a_dead_agent_is_noticed_at_once(bench: Bench) -> None:
    bench.start()
    bench.client.reserve("run-1", "x")
    with bench.control() as servo:
        devices = bench.devices(patience=0.0)
        devices.reserve()
        ended = begin_move(bench, devices, servo)
        began = time.monotonic()
        bench.agent.kill()
        with pytest.raises(LabkeeperError):
            ended.result(30)
        assert time.monotonic() - began < 5
        devices.release()
    with pytest.raises(NoAgent):
        bench.client.status()


def test_a_lost_journal_holds_the_unit_without_any_prefect(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    devices.perform(ROLE, StepKey("node", 1, 0), "move_to_angle", {"angle": 20})
    devices.release()
    bench.agent.kill()
    for path in bench.unit.path.glob("journal.db*"):
        path.unlink()
    status = bench.start("Held")
    assert "the journal that this host knows of is gone" in status["reason"]
    devices.reserve()
    held = devices.perform(ROLE, StepKey("node", 1, 0), "move_to_angle", {"angle": 20})
    assert held.outcome == "interlocked"
    devices.release()
    assert bench.agent.stop() == 0
    assert bench.start("Held")["held_by"] == ["the lost journal"], "a restart heals nothing"
    assert bench.agent.stop() == 0
    assert "acknowledged the lost journal" in acknowledge(bench, "completed")
    bench.start("Idle")


def test_a_stop_waits_for_nothing_that_the_holder_does(bench: Bench) -> None:
    bench.start()
    devices = bench.devices()
    devices.reserve()
    with bench.control() as servo:
        ended = begin_move(bench, devices, servo)
        assert bench.client.estop("ann", "a hand is in it") is None
        assert not servo.state()["torque"]
        said = ended.result(30)
        assert (said.outcome, said.cause) == ("interrupted", "emergency-stop")
    assert bench.wait("Stopped")
    devices.release()
