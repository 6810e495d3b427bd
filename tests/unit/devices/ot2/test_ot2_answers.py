"""The robot's answers and refusals as values."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.base import Simulation
from labkeeper_devices.drivers.ot2.answers import CommandState, RunState, current_run_id, words_of
from labkeeper_devices.drivers.ot2.condition import health_of, identity_of, vitals_of
from labkeeper_devices.drivers.ot2.deciding import Finding, Verdict
from labkeeper_devices.drivers.ot2.http import Patience, Refused, RobotHttp, Unanswered, Unreached, with_port
from labkeeper_devices.drivers.ot2.protocols import analysis_of

HEALTH: dict[str, Any] = {
    "name": "bench",
    "robot_model": "OT-2 Standard",
    "api_version": "8.8.2",
    "fw_version": "v1.1.0",
    "robot_serial": "OT2CEP1",
    "disk_details": {"systemAvailableMb": 5000},
}
CLOSED = {"status": "closed", "doorRequiredClosedForProtocol": True}


def test_words_are_the_robots_and_say_each_thing_once() -> None:
    inner = {"errorType": "SmoothieAlarm", "detail": "ALARM: Hard limit +X", "wrappedErrors": []}
    outer = {"errorType": "ProtocolCommandFailedError", "detail": "aspirate failed", "wrappedErrors": [inner, inner]}
    assert words_of(outer) == "aspirate failed; ALARM: Hard limit +X"
    repeated = {"detail": "Error 4000: ALARM: Hard limit +X", "wrappedErrors": [inner]}
    assert words_of(repeated) == "Error 4000: ALARM: Hard limit +X"
    assert words_of({"errorType": "MustHomeError"}) == "MustHomeError"
    assert words_of({}) == "the robot gives no reason"


def test_a_command_that_a_stop_ended_is_told_from_one_that_failed() -> None:
    stopped = {"errorType": "RunStoppedError", "detail": "Run was cancelled"}
    assert CommandState.of({"status": "failed", "error": stopped}).cancelled
    wrapped = {"errorType": "ExecutionCancelledError", "detail": "x", "wrappedErrors": [stopped]}
    assert CommandState.of({"status": "failed", "error": wrapped}).cancelled
    failed = CommandState.of({"status": "failed", "error": {"errorType": "TipNotAttachedError", "detail": "no tip"}})
    assert (failed.cancelled, failed.final, failed.words) == (False, True, "no tip")


def test_a_run_counts_its_plays() -> None:
    data = {"id": "r", "status": "idle", "current": True, "actions": [{"actionType": "pause"}, {"actionType": "play"}]}
    run = RunState.of(data)
    assert (run.plays, run.played, run.over, run.active) == (1, True, False, False)


def test_the_current_run_is_found_by_link_or_by_mark() -> None:
    assert current_run_id({"links": {"current": {"href": "/runs/abc"}}, "data": []}) == "abc"
    assert current_run_id({"data": [{"id": "x", "current": False}, {"id": "y", "current": True}]}) == "y"
    assert current_run_id({"links": {}, "data": []}) is None


def test_addresses_get_the_robots_port() -> None:
    assert with_port("169.254.69.185") == "169.254.69.185:31950"
    assert with_port("robot.lab:8080") == "robot.lab:8080"


class Wire(httpx.BaseTransport):
    """What the robot answers, or how the connection fails; and how often it was asked."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def over(wire: Wire) -> RobotHttp:
    """A robot behind that wire."""
    robot = RobotHttp("127.0.0.1", Patience(answer=3.0))
    robot.close()
    robot._client = httpx.Client(base_url="http://127.0.0.1:31950", transport=wire)
    return robot


def test_refusals_are_told_in_the_robots_words() -> None:
    body = {"errors": [{"id": "RunAlreadyActive", "detail": "Current run is not idle or stopped."}]}
    with over(Wire(httpx.Response(409, json=body))) as robot, pytest.raises(Refused) as refused:
        robot.post("/runs", {})
    assert (refused.value.status, refused.value.kind) == (409, "RunAlreadyActive")
    assert str(refused.value) == (
        "the robot refused POST /runs: Current run is not idle or stopped. (RunAlreadyActive, 409)"
    )
    with (
        over(Wire(httpx.Response(422, json={"message": "no mount"}))) as robot,
        pytest.raises(Refused, match="no mount"),
    ):
        robot.post("/robot/home", {})
    with over(Wire(httpx.Response(502, text="bad gateway"))) as robot, pytest.raises(Refused, match="bad gateway"):
        robot.get("/health")


def test_what_is_no_robot_is_said_to_be_none() -> None:
    with over(Wire(httpx.Response(200, text="<html>"))) as robot, pytest.raises(DeviceError, match="is no OT-2"):
        robot.get("/health")
    with pytest.raises(DeviceError, match="no Opentrons robot"):
        vitals_of({"hello": "world"}, CLOSED)


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (httpx.ConnectError("Connection refused"), Unreached, "cannot be reached: Connection refused"),
        (httpx.ConnectTimeout("timed out"), Unreached, "cannot be reached"),
        (httpx.ReadTimeout(""), Unanswered, "did not answer POST /runs within 3 s"),
        (httpx.ReadError("reset"), Unanswered, "was lost during POST /runs: reset"),
        (httpx.RemoteProtocolError("closed"), Unanswered, "was lost during POST /runs: closed"),
    ],
)
def test_what_was_never_sent_is_told_from_what_was_never_answered(
    failure: Exception, error: type[DeviceUnreachable], words: str
) -> None:
    wire = Wire(failure)
    with over(wire) as robot, pytest.raises(error, match=words):
        robot.post("/runs", {})
    assert len(wire.requests) == 1, "what does something is never sent twice"


def test_a_question_is_asked_again_where_an_idle_connection_was_gone() -> None:
    wire = Wire(httpx.RemoteProtocolError("closed"))
    with over(wire) as robot, pytest.raises(Unanswered):
        robot.get("/health")
    assert len(wire.requests) == 2


def test_identity_and_what_must_not_pass_for_a_robot() -> None:
    real = vitals_of(HEALTH, CLOSED)
    identity = identity_of(real, "10.0.0.5:31950", None)
    assert (identity.model, identity.serial, identity.simulated) == ("OT-2 Standard (bench)", "OT2CEP1", False)
    simulated = vitals_of({**HEALTH, "simulated": True}, CLOSED)
    assert identity_of(simulated, "x:1", Simulation(20.0)).time_factor == 20.0
    with pytest.raises(DeviceError, match="its results would pass for real ones"):
        identity_of(simulated, "x:1", None)
    with pytest.raises(DeviceError, match="a real robot answers"):
        identity_of(real, "x:1", Simulation())
    with pytest.raises(DeviceError, match="is a OT-3 Standard, and no OT-2"):
        identity_of(vitals_of({**HEALTH, "robot_model": "OT-3 Standard"}, CLOSED), "x:1", None)


def test_health_warns_of_the_door_the_stop_and_other_programs() -> None:
    vitals = vitals_of({**HEALTH, "disk_details": {"systemAvailableMb": 12}}, {"status": "open"})
    health = health_of(vitals, Finding(Verdict.FOREIGN), stopped=True, stranded="a tip is on")
    assert health.readings == {"door_open": 1, "free_disk_mb": 12}
    assert [warning.split(":")[0] for warning in health.warnings] == [
        "the emergency stop is latched",
        "the door is open",
        "a tip is on",
        "another program's run has the robot",
        "the robot's disk has 12 MB left",
    ]
    sound = health_of(vitals_of(HEALTH, CLOSED), Finding(Verdict.NONE), stopped=False, stranded=None)
    assert (sound.warnings, sound.faults) == ((), ())


def test_an_analysis_that_is_not_ok_has_a_reason() -> None:
    bad = analysis_of("p", {"result": "not-ok", "errors": [{"detail": "no such tip rack"}]})
    assert (bad.sound, bad.errors) == (False, ("no such tip rack",))
    assert not analysis_of("p", {"result": "not-ok", "errors": []}).sound
    good = analysis_of("p", {"result": "ok", "errors": [], "commands": [{}, {}], "pipettes": [{"pipetteName": "p20"}]})
    assert good.as_json() == {
        "protocol_id": "p",
        "result": "ok",
        "errors": [],
        "commands": 2,
        "labware": [],
        "pipettes": [{"pipette": "p20", "mount": None}],
    }
