"""Stopping, pausing, the door: in the middle of motions that take as long as on a robot."""

from __future__ import annotations

import time

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted
from tests.integration.ot2.bench import P1000, Bench, Under, halted
from tests.integration.ot2.conftest import Robots
from tests.support.waiting import eventually

AT_ONCE = 2.0
"""Seconds that this machine may take over what takes milliseconds; the motions below take a minute and more."""


def _running(bench: Bench, kind: str) -> bool:
    log = bench.robot.log()
    return bool(log) and [log[-1][name] for name in ("commandType", "status")] == [kind, "running"]


def _ended(bench: Bench, kind: str) -> bool:
    return bool(
        next(entry["status"] for entry in reversed(bench.robot.log()) if entry["commandType"] == kind) != "running"
    )


def _aspirating(bench: Bench) -> Under:
    """A motion of 90 s under way."""
    bench.set_up().with_tip()
    under = Under(lambda: bench.do("aspirate", **bench.at("vials", "A1", volume=900, flow_rate=10)))
    eventually(lambda: _running(bench, "aspirate") and bench.robot.state()["gantry"]["moving"], 60.0, 0.02)
    time.sleep(1.0)
    return under


def test_a_cancel_stops_a_long_motion_at_once_and_is_confirmed_at_rest(slow_bench: Bench) -> None:
    bench = slow_bench
    under = _aspirating(bench)
    progress = bench.driver.progress()
    assert progress is not None
    assert (progress.done, progress.total, progress.doing) == (0, 1, "aspirate 900 µL from vials A1")
    began = time.monotonic()
    bench.interrupt.set("cancel")
    halting = Under(lambda: halted(bench, under))
    eventually(lambda: _ended(bench, "aspirate"), 20.0, 0.02)
    assert time.monotonic() - began < AT_ONCE
    rest = halting.join().result
    assert rest is not None, halting.error
    assert rest.confirmed
    assert rest.detail["run"] == "stopped"
    assert bench.robot.state()["gantry"]["moving"] is False
    assert bench.robot.state()["deck"]["2"]["wells"]["A1"]["volume"] == 5000
    bench.interrupt.clear()
    assert bench.do("get_status")["holding"] == {}


def test_the_emergency_stop_comes_from_another_thread_and_is_latched(slow_bench: Bench) -> None:
    bench = slow_bench
    under = _aspirating(bench)
    began = time.monotonic()
    bench.driver.emergency_stop()
    assert time.monotonic() - began < AT_ONCE
    assert _ended(bench, "aspirate")
    rest = halted(bench, under)
    assert rest.confirmed, rest
    last = bench.robot.last()
    for operation, parameters in (("home_robot", {}), ("move_to_well", bench.at("vials", "A1"))):
        with pytest.raises(Interlocked, match="the emergency stop is latched"):
            bench.check(operation, **parameters)
        with pytest.raises(Interlocked, match="the emergency stop is latched"):
            bench.perform(operation, **parameters)
    assert "the emergency stop is latched" in bench.driver.health().warnings
    bench.driver.release_stop()
    assert bench.robot.log(last) == [], "a release moves nothing"
    bench.check("home_robot")


def test_the_homing_with_which_a_run_begins_is_stopped_at_once(slow_bench: Bench) -> None:
    bench = slow_bench
    bench.set_up()
    under = Under(lambda: bench.do("move_to_well", **bench.at("vials", "A1")))
    eventually(lambda: bench.robot.state()["gantry"]["moving"], 60.0, 0.02)
    bench.interrupt.set("cancel")
    assert halted(bench, under).confirmed
    assert bench.robot.state()["gantry"]["moving"] is False
    assert "moveToWell" not in [entry["commandType"] for entry in bench.robot.log()]
    bench.interrupt.clear()
    assert bench.do("move_to_well", **bench.at("vials", "A1"))["well"] == "A1"


def test_the_emergency_stop_leaves_a_robot_alone_that_stands_still(bench: Bench) -> None:
    bench.set_up(tools=True)
    bench.do("pickup_tip", **bench.at("tools", "A1"))
    stopped = bench.do("emergency_stop")
    assert (stopped["stopped"], stopped["was_under_way"], stopped["simulated"]) == (True, False, True)
    assert bench.robot.state()["pipettes"]["right"]["tip"] is not None, "a stop would have thrown the tool away"
    bench.driver.release_stop()
    bench.do("drop_tip", **bench.at("tools", "A1"))


def test_the_emergency_stop_stops_the_run_of_another_program_too(bench: Bench) -> None:
    run_id = bench.robot.post("/runs", {})["id"]
    bench.robot.post(f"/runs/{run_id}/commands", {"commandType": "waitForResume", "params": {}, "intent": "protocol"})
    bench.robot.act(run_id, "play")
    eventually(lambda: bench.robot.get(f"/runs/{run_id}")["status"] == "paused")
    with pytest.raises(Interlocked, match="another program's run has the robot"):
        bench.check("initialize_robot")
    with pytest.raises(Interlocked, match="another program's run has the robot"):
        bench.check("home_robot")
    assert any("another program's run" in warning for warning in bench.driver.health().warnings)
    bench.driver.emergency_stop()
    eventually(lambda: bench.robot.get(f"/runs/{run_id}")["status"] == "stopped")


def test_an_emergency_stop_that_reaches_nobody_says_so_and_is_latched_all_the_same(bench: Bench) -> None:
    bench.set_up()
    bench.robot.fault(kind="reboot", seconds=2)
    eventually(lambda: not _answers(bench), 20.0, 0.01)
    with pytest.raises(DeviceUnreachable, match=r"the emergency stop is latched, but .+ Cut the power of the robot"):
        bench.driver.emergency_stop()
    eventually(lambda: _answers(bench), 60.0)
    with pytest.raises(Interlocked, match="latched"):
        bench.check("home_robot")


def _answers(bench: Bench) -> bool:
    try:
        return bool(bench.driver.health())
    except DeviceError:
        return False


def test_a_command_is_paused_in_the_middle_and_goes_on(robots: Robots) -> None:
    bench = Bench(robots.take(5.0)).open()
    try:
        bench.set_up().with_tip()
        under = Under(lambda: bench.do("aspirate", **bench.at("vials", "A1", volume=900, flow_rate=30)))
        eventually(lambda: _running(bench, "aspirate") and bench.robot.state()["gantry"]["moving"], 60.0, 0.02)
        time.sleep(0.5)
        bench.driver.pause()
        eventually(lambda: (seen := bench.driver.progress()) is not None and seen.paused, 20.0, 0.02)
        held = bench.robot.state()["gantry"]["axes"]
        time.sleep(0.5)
        assert bench.robot.state()["gantry"]["axes"] == held
        assert under.alive
        bench.driver.resume()
        assert under.join().error is None
        assert bench.robot.state()["pipettes"]["right"]["volume"] == 900
        assert bench.robot.state()["anomalies"] == []
        bench.do("dispense", **bench.at("vials", "A2", volume=900))
    finally:
        bench.close()


def test_an_open_door_refuses_before_anything_moves(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.robot.door(open_=True)
    last = bench.robot.last()
    for operation, parameters in (
        ("home_robot", {}),
        ("aspirate", bench.at("vials", "A1", volume=100)),
        ("drop_tip", {"pipette": P1000, "trash": True}),
        ("initialize_robot", {}),
        ("run_protocol", {"name": "any.py", "content": "pass"}),
    ):
        with pytest.raises(Interlocked, match="the door is open"):
            bench.check(operation, **parameters)
    bench.do("set_lights", on=True)
    assert bench.do("get_status")["door"] == "open"
    assert any("the door is open" in warning for warning in bench.driver.health().warnings)
    assert bench.robot.log(last) == []
    bench.robot.door(open_=False)
    bench.do("aspirate", **bench.at("vials", "A1", volume=100))


def test_a_door_that_opens_in_a_motion_pauses_it_until_a_person_resumes(robots: Robots) -> None:
    bench = Bench(robots.take(5.0)).open()
    try:
        bench.set_up().with_tip()
        under = Under(lambda: bench.do("aspirate", **bench.at("vials", "A1", volume=900, flow_rate=60)))
        eventually(lambda: _running(bench, "aspirate"), 60.0, 0.02)
        bench.robot.door(open_=True)
        eventually(lambda: (seen := bench.driver.progress()) is not None and "the door was opened" in seen.doing, 20.0)
        bench.robot.door(open_=False)
        time.sleep(0.5)
        assert under.alive, "closing the door starts nothing"
        bench.driver.resume()
        assert under.join().error is None
        assert bench.robot.state()["pipettes"]["right"]["volume"] == 900
    finally:
        bench.close()


def test_an_interrupt_before_the_first_motion_moves_nothing(bench: Bench) -> None:
    bench.set_up()
    last = bench.robot.last()
    bench.interrupt.set("cancel")
    with pytest.raises(Interrupted):
        bench.perform("move_to_well", **bench.at("vials", "A1"))
    assert bench.driver.halt().confirmed
    assert bench.robot.log(last) == []


def test_what_somebody_else_stops_at_the_robot_is_told(robots: Robots) -> None:
    bench = Bench(robots.take(20.0)).open()
    try:
        bench.set_up().with_tip()
        under = Under(lambda: bench.do("aspirate", **bench.at("vials", "A1", volume=900, flow_rate=10)))
        eventually(lambda: _running(bench, "aspirate"), 60.0, 0.02)
        bench.robot.act(bench.robot.state()["currentRun"], "stop")
        assert isinstance(under.join().error, DeviceError)
        assert "stopped at the robot by somebody else" in str(under.error)
        bench.with_tip("A2")
    finally:
        bench.close()
