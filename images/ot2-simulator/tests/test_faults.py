"""Faults: each strikes once, where it was ordered, and leaves the truth in the world."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest
from lab import Bench, Run, Simulator, wait_until


def _post(run: Bench, command_type: str, **params: Any) -> httpx.Response:
    data = {"commandType": command_type, "params": params, "intent": "setup"}
    query = {"waitUntilComplete": "true"}
    return run.robot.client.post(f"/runs/{run.id}/commands", json={"data": data}, params=query, timeout=2)


def _filled(robot: Simulator) -> Bench:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 5000}})
    run.pick_up()
    return run


def test_the_motors_alarm(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="fail", commandType="aspirate", message="ALARM: Hard limit -Y")
    run.done("moveToWell", **run.at(run.rack, "A2"))
    error = run.failed("aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert error["detail"].endswith("SmoothieAlarm: G0 returned ALARM: Hard limit -Y")
    # As on the robot: after an alarm it does not know where it is.
    again = run.failed("aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert (again["errorType"], again["errorCode"]) == ("MustHomeError", "2013")
    run.done("home")
    run.done("aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert robot.get("/simulator/faults")["ordered"] == []
    assert robot.get("/simulator/faults")["struck"][-1]["commandType"] == "aspirate"
    assert robot.state()["deck"]["2"]["wells"]["A1"]["volume"] == 4900


def test_a_fault_strikes_as_often_as_ordered(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="fail", count=2, commandType="moveToWell")
    for _ in range(2):
        error = run.failed("moveToWell", **run.at(run.rack, "A2"))
        assert "ALARM: Hard limit +X" in error["detail"]
        run.done("home")
    run.done("moveToWell", **run.at(run.rack, "A2"))


def test_slow(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="slow", seconds=0.7)
    began = time.monotonic()
    run.done("moveToWell", **run.at(run.rack, "A2"))
    assert 0.7 < time.monotonic() - began < 1.5
    robot.fault(kind="slow", factor=2000)
    began = time.monotonic()
    run.done("moveToWell", **run.at(run.rack, "A1"))
    assert time.monotonic() - began > 0.3


def test_a_motion_hangs_until_it_is_released(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="hang")
    with pytest.raises(httpx.ReadTimeout):
        _post(run, "moveToWell", **run.at(run.rack, "A2"))
    running = robot.get(f"/runs/{run.id}/commands", pageLength=1)[0]
    assert running["status"] == "running"
    assert robot.state()["gantry"]["moving"] is True
    robot.client.delete("/simulator/faults")
    assert run.over(running["id"])["status"] == "succeeded"


def test_a_played_run_that_hangs_can_be_stopped(robot: Simulator) -> None:
    run = Bench(robot, play=True)
    robot.fault(kind="hang", commandType="pickUpTip")
    command = run.command("pickUpTip", wait=False, **run.at(run.tips, "A1"))
    wait_until(lambda: robot.state()["gantry"]["moving"])
    run.act("stop")
    assert run.over(command["id"])["status"] == "failed"
    wait_until(lambda: run.status == "stopped")


def test_the_answer_never_comes_though_the_command_was_carried_out(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="hang", when="answer", commandType="aspirate")
    with pytest.raises(httpx.ReadTimeout):
        _post(run, "aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert robot.state()["deck"]["2"]["wells"]["A1"]["volume"] == 4900


@pytest.mark.parametrize(("when", "left"), [("before", 5000), ("after", 4900)])
def test_the_connection_drops(robot: Simulator, when: str, left: float) -> None:
    run = _filled(robot)
    robot.fault(kind="drop", when=when)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        _post(run, "aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert robot.state()["deck"]["2"]["wells"]["A1"]["volume"] == left
    run.done("dispense" if when == "after" else "aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))


@pytest.mark.parametrize(("when", "queued"), [("before", False), ("after", True)])
def test_the_connection_drops_while_a_command_is_queued(robot: Simulator, when: str, queued: bool) -> None:
    run = Run(robot, play=True)
    robot.fault(kind="drop", when=when, commandType="home")
    data = {"commandType": "home", "params": {}, "intent": "protocol", "key": "mine"}
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        robot.client.post(f"/runs/{run.id}/commands", json={"data": data})
    statuses = [item["status"] for item in robot.get(f"/runs/{run.id}/commands") if item.get("key") == "mine"]
    assert statuses == (["queued"] if queued else [])


@pytest.mark.parametrize(("when", "played"), [("before", False), ("after", True)])
def test_the_connection_drops_in_an_action_that_a_fault_names(robot: Simulator, when: str, played: bool) -> None:
    run = Run(robot)
    robot.fault(kind="drop", when=when)  # for commands only
    robot.fault(kind="drop", when=when, commandType="play")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        run.act("play")
    assert [action["actionType"] for action in robot.get(f"/runs/{run.id}/actions")] == (["play"] if played else [])
    assert len(robot.get("/simulator/faults")["ordered"]) == 1


def test_a_reboot_forgets_the_runs_and_leaves_the_deck(robot: Simulator) -> None:
    run = _filled(robot)
    run.done("aspirate", **run.at(run.rack, "A1", volume=100, flowRate=100))
    before = robot.state()
    robot.fault(kind="reboot", seconds=1.0)
    began = time.monotonic()
    wait_until(lambda: not robot.answers(), 1, "the loss of power")
    with pytest.raises(httpx.ConnectError):
        robot.client.get("/health")
    wait_until(robot.answers)
    assert time.monotonic() - began > 0.9
    after = robot.state()
    assert after["bootId"] != before["bootId"]
    assert robot.client.get("/runs").json()["data"] == []
    assert after["deck"] == before["deck"]
    assert after["pipettes"] == before["pipettes"]
    Run(robot).done("home")


def test_a_reboot_in_the_middle_of_a_command_is_an_unknown_outcome(robot: Simulator) -> None:
    run = _filled(robot)
    boot = robot.state()["bootId"]
    robot.fault(kind="reboot", when="motion", commandType="dropTip", seconds=0.5)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        _post(run, "dropTip", **run.at(run.tips, "A1"))
    wait_until(robot.answers)
    assert robot.state()["bootId"] != boot
    assert robot.get("/simulator/log")[-1]["status"] == "power lost"
    assert robot.client.get(f"/runs/{run.id}").status_code == 404


def test_a_reboot_with_a_request_under_way_resets_its_connection(robot: Simulator) -> None:
    run = _filled(robot)
    robot.fault(kind="hang")
    failures: list[Exception] = []

    def ask() -> None:
        try:
            run.done("moveToWell", **run.at(run.rack, "A2"))
        except httpx.TransportError as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: robot.state()["gantry"]["moving"])
    robot.fault(kind="reboot", seconds=0.2)
    asking.join(10)
    assert len(failures) == 1
    wait_until(robot.answers)


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "explode"},
        {"kind": "fail", "when": "answer"},
        {"kind": "slow"},
        {"kind": "slow", "factor": -1},
        {"kind": "fail", "count": "many"},
        {"kind": "fail", "colour": "red"},
        {"kind": "fail", "commandType": 7},
    ],
)
def test_faults_that_cannot_be(robot: Simulator, fault: Any) -> None:
    response = robot.client.post("/simulator/faults", json={"data": fault})
    assert (response.status_code, response.json()["errors"][0]["id"]) == (422, "InvalidRequest")
