"""The robot's connection, motors and power fail: the outcome is told truly or said to be unknown, and nothing is done
twice.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked
from labkeeper_devices.drivers.base import Simulation
from labkeeper_devices.drivers.ot2 import OT2Driver
from labkeeper_devices.drivers.ot2.session import RunSession
from tests.integration.ot2.bench import P1000, SHORT, Bench, Under, halted
from tests.integration.ot2.conftest import Robots
from tests.support.ports import free_ports
from tests.support.waiting import eventually


def _aspirations(bench: Bench, since: int) -> list[str]:
    return [entry["status"] for entry in bench.robot.log(since) if entry["commandType"] == "aspirate"]


def _aspirate(bench: Bench) -> dict[str, object]:
    return bench.do("aspirate", **bench.at("vials", "A1", volume=100))


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop", "when": "after", "commandType": "aspirate"},
        {"kind": "hang", "when": "answer", "commandType": "aspirate"},
        {"kind": "drop", "when": "after", "commandType": "waitForResume"},
        {"kind": "drop", "when": "after", "commandType": "play"},
        {"kind": "drop", "when": "before", "commandType": "play"},
        {"kind": "hang", "when": "answer", "commandType": "play"},
    ],
    ids=lambda fault: "-".join(fault.values()),
)
def test_a_lost_answer_changes_nothing_about_what_is_done(bench: Bench, fault: dict[str, str]) -> None:
    bench.set_up().with_tip()
    last = bench.robot.last()
    bench.robot.fault(**fault)
    assert _aspirate(bench)["volume_ul"] == 100
    assert bench.robot.get("/simulator/faults")["ordered"] == []
    assert _aspirations(bench, last) == ["succeeded"]
    assert _aspirate(bench)["volume_ul"] == 100
    assert _aspirations(bench, last) == ["succeeded", "succeeded"]
    assert bench.robot.state()["deck"]["2"]["wells"]["A1"]["volume"] == 4800


@pytest.mark.parametrize("what", ["aspirate", "waitForResume"])
def test_a_request_that_never_arrived_has_moved_nothing(bench: Bench, what: str) -> None:
    bench.set_up().with_tip()
    last = bench.robot.last()
    bench.robot.fault(kind="drop", when="before", commandType=what)
    with pytest.raises(DeviceError, match="it did not begin, and nothing moved") as failed:
        _aspirate(bench)
    assert not isinstance(failed.value, DeviceUnreachable)
    assert _aspirations(bench, last) == []
    if what == "aspirate":
        assert _aspirate(bench)["volume_ul"] == 100
    else:
        # It stands in the robot's queue: nothing else may set it off, and asked for again it is carried out once.
        with pytest.raises(Interlocked, match=r"with commands of before .+aspirate queued\): ask for those, or end"):
            bench.do("aspirate", **bench.at("vials", "A2", volume=50))
        assert _aspirate(bench)["volume_ul"] == 100
    assert _aspirations(bench, last) == ["succeeded"]
    assert bench.do("dispense", **bench.at("vials", "A2", volume=100))["volume_ul"] == 100


def test_an_alarm_of_the_motors_is_told_in_the_robots_words(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.robot.fault(kind="fail", commandType="aspirate", message="ALARM: Hard limit -Y")
    with pytest.raises(DeviceError, match="ALARM: Hard limit -Y"):
        _aspirate(bench)
    bench.do("home_robot")
    bench.with_tip("A2")
    assert _aspirate(bench)["volume_ul"] == 100


def test_a_motion_that_hangs_can_be_stopped(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.robot.fault(kind="hang", commandType="aspirate")
    bench.interrupt.set_deadline(None)
    under = Under(lambda: _aspirate(bench))
    eventually(lambda: bench.robot.state()["gantry"]["moving"], 20.0)
    bench.interrupt.set("timeout")
    assert halted(bench, under).confirmed
    bench.interrupt.clear()
    bench.with_tip("A2")


def test_a_slow_robot_is_waited_for(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.robot.fault(kind="slow", seconds=SHORT.absence + 2, commandType="aspirate")
    assert _aspirate(bench)["volume_ul"] == 100


def test_a_robot_that_is_away_for_a_while_is_asked_what_it_did(bench: Bench) -> None:
    bench.set_up().with_tip()
    last = bench.robot.last()
    bench.robot.fault(kind="slow", seconds=1, commandType="aspirate")
    under = Under(lambda: _aspirate(bench))
    eventually(lambda: _aspirations(bench, last) == ["running"], 20.0, 0.02)
    os.kill(bench.robot.process.pid, signal.SIGSTOP)
    time.sleep(SHORT.answer + 0.5)
    os.kill(bench.robot.process.pid, signal.SIGCONT)
    assert under.join().error is None, under.error
    assert _aspirations(bench, last) == ["succeeded"]


def test_a_robot_that_stays_away_leaves_the_outcome_unknown_until_it_is_back(bench: Bench) -> None:
    bench.set_up().with_tip()
    last = bench.robot.last()
    bench.robot.fault(kind="slow", seconds=1, commandType="aspirate")
    under = Under(lambda: _aspirate(bench))
    eventually(lambda: _aspirations(bench, last) == ["running"], 20.0, 0.02)
    os.kill(bench.robot.process.pid, signal.SIGSTOP)
    try:
        under.join()
    finally:
        os.kill(bench.robot.process.pid, signal.SIGCONT)
    assert isinstance(under.error, DeviceUnreachable)
    assert "the robot was lost while it was to aspirate 100 µL from vials A1" in str(under.error)
    eventually(lambda: _aspirations(bench, last) == ["succeeded"], 20.0)
    bench.driver.close()
    eventually(lambda: bench.driver.open(energize=True), 20.0)
    assert "our run waits at its guard" in bench.do("get_status")["found_when_connected"]
    assert bench.do("get_status")["holding"] == {P1000: "the tip from tips A1"}
    assert bench.do("dispense", **bench.at("vials", "A2", volume=100))["volume_ul"] == 100


def test_a_reboot_in_a_motion_is_an_unknown_outcome_and_a_person_must_look(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.robot.fault(kind="reboot", when="motion", commandType="aspirate", seconds=0.5)
    with pytest.raises(DeviceUnreachable, match="restarted"):
        _aspirate(bench)
    bench.driver.close()
    eventually(lambda: bench.driver.open(energize=True), 20.0)
    status = bench.do("get_status")
    assert status["found_when_connected"] == "the robot has no run"
    with pytest.raises(Interlocked, match=r"has lost its run .+ while p1000_single_gen2 holds the tip from tips A1"):
        bench.check("home_robot")
    assert any("take it off by hand" in warning for warning in bench.driver.health().warnings)
    bench.do("initialize_robot")
    bench.check("home_robot")


def test_a_reboot_between_commands_with_empty_hands_is_got_over(bench: Bench) -> None:
    bench.set_up()
    bench.do("home_robot")
    bench.robot.fault(kind="reboot", seconds=0.5)
    eventually(lambda: bench.driver.health(), 20.0)
    time.sleep(1.0)
    eventually(lambda: bench.driver.health(), 20.0)
    bench.with_tip()
    assert _aspirate(bench)["volume_ul"] == 100


def test_another_process_takes_the_run_up_again(bench: Bench) -> None:
    bench.set_up(tools=True).with_tip("C5")
    bench.driver.close()
    again = Bench(bench.robot, SHORT).open()
    try:
        assert "our run waits at its guard" in again.do("get_status")["found_when_connected"]
        assert again.do("get_status")["holding"] == {P1000: "the tip from tips C5"}
        assert set(again.do("get_labware_registry")["labware"]) == {"tips", "vials", "tools"}
        assert again.do("aspirate", **again.at("vials", "A1", volume=100))["volume_ul"] == 100
        again.do("drop_tip", pipette=P1000, trash=True)
        again.do("pickup_tip", **again.at("tools", "A1"))
        with pytest.raises(Interlocked, match="holds the tool from tools A1"):
            again.check("initialize_robot")
        again.do("drop_tip", **again.at("tools", "A1"))
    finally:
        again.close()


def test_a_process_that_died_before_it_set_a_command_off_leaves_it_to_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.set_up().with_tip()
    last = bench.robot.last()

    def die(session: RunSession) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunSession, "play", die)
    with pytest.raises(KeyboardInterrupt):
        _aspirate(bench)
    monkeypatch.undo()
    bench.driver.close()
    again = Bench(bench.robot, SHORT).open()
    try:
        assert "that have not begun" in again.do("get_status")["found_when_connected"]
        with pytest.raises(Interlocked, match="ask for those, or end the run with initialize_robot"):
            again.do("dispense", **again.at("vials", "A2", volume=100))
        assert _aspirations(bench, last) == []
        assert _aspirate(again)["volume_ul"] == 100
        again.do("dispense", **again.at("vials", "A2", volume=100))
        assert _aspirations(bench, last) == ["succeeded"]
        assert again.driver.health().warnings == ()
    finally:
        again.close()


def test_what_can_be_asked_again_is_not_unknown(bench: Bench) -> None:
    bench.set_up()
    bench.robot.fault(kind="reboot", seconds=1.5)
    eventually(lambda: not _answers(bench), 20.0, 0.01)
    for operation, parameters in (("initialize_robot", {}), ("set_lights", {"on": True}), ("home_robot", {})):
        with pytest.raises(DeviceError) as failed:
            bench.perform(operation, **parameters)
        assert not isinstance(failed.value, DeviceUnreachable), operation
    eventually(lambda: _answers(bench), 20.0)


def _answers(bench: Bench) -> bool:
    try:
        return bool(bench.driver.health())
    except DeviceUnreachable:
        return False


def test_a_run_that_still_moves_is_waited_for(robots: Robots) -> None:
    bench = Bench(robots.take(20.0)).open()
    again = Bench(bench.robot)
    try:
        bench.set_up().with_tip()
        under = Under(lambda: bench.do("aspirate", **bench.at("vials", "A1", volume=900, flow_rate=20)))
        eventually(lambda: bench.robot.log()[-1]["commandType"] == "aspirate", 60.0, 0.02)
        bench.driver._lock.release()  # as when the process is gone
        again.open()
        assert "is carrying out what it was given before" in again.do("get_status")["found_when_connected"]
        assert again.do("dispense", **again.at("vials", "A2", volume=900))["volume_ul"] == 900
        assert under.join().error is None
        kinds = [entry["commandType"] for entry in bench.robot.log() if entry["status"] == "succeeded"]
        assert kinds[-2:] == ["aspirate", "dispense"]
    finally:
        again.close()
        bench.close()


def test_two_processes_cannot_drive_one_robot(bench: Bench) -> None:
    other = Bench(bench.robot)
    with pytest.raises(DeviceUnreachable, match=f"process {os.getpid()} on this host drives this robot already"):
        other.open()
    other.close()


def test_a_simulator_does_not_pass_for_a_robot(bench: Bench) -> None:
    bench.close()
    driver = OT2Driver(bench.robot.address)
    with pytest.raises(DeviceError, match="a simulator answers at"):
        driver.open(energize=True)
    assert not driver.is_open
    driver.close()
    identity = bench.driver.open(energize=False)
    assert (identity.simulated, identity.time_factor, identity.serial) == (True, bench.robot.time_factor, "simulator")


def test_nobody_at_the_address() -> None:
    driver = OT2Driver(f"127.0.0.1:{free_ports(1)[0]}", simulation=Simulation())
    with pytest.raises(DeviceUnreachable, match="cannot be reached"):
        driver.open(energize=True)
    assert not driver.halt().confirmed
    driver.close()
