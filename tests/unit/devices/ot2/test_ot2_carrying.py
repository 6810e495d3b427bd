"""What is told of a command when the robot's answers fail in ways that no simulator is asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.ot2.carrying import Carrying, Watch
from labkeeper_devices.drivers.ot2.deciding import GUARD, LABEL
from labkeeper_devices.drivers.ot2.http import Patience, RobotHttp
from labkeeper_devices.drivers.ot2.orders import Order
from labkeeper_devices.drivers.ot2.session import RunSession
from labkeeper_devices.drivers.ot2.stopping import StopLatch

PATIENCE = Patience(connect=1.0, answer=1.0, absence=0.4, rest=2.0)
HOME = Order("home", {}, "home")

Meddle = Callable[[str, str], httpx.Response | None]


class Robot(httpx.BaseTransport):
    """A robot with one run of ours that waits at its guard; whatever is played has succeeded at once.

    `meddle` may answer a request instead.
    """

    def __init__(self, meddle: Meddle) -> None:
        self.meddle = meddle
        self.plays = 0
        self.commands: list[dict[str, Any]] = [
            {"id": "0", "key": LABEL, "commandType": "comment", "status": "succeeded"},
            {"id": "1", "key": GUARD, "commandType": "waitForResume", "status": "running"},
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        meddled = self.meddle(request.method, path)
        if meddled is not None:
            return meddled
        if request.method == "POST":
            return self._post(path, json.loads(request.content)["data"])
        if path == "/runs":
            return httpx.Response(200, json={"links": {"current": {"href": "/runs/r"}}, "data": []})
        if path == "/runs/r":
            run = {"id": "r", "status": "paused", "current": True, "actions": [{"actionType": "play"}]}
            return httpx.Response(200, json={"data": run})
        if path == "/runs/r/commands":
            meta = {"totalLength": len(self.commands)}
            start = int(request.url.params["cursor"])
            return httpx.Response(200, json={"data": self.commands[start:], "meta": meta})
        return httpx.Response(200, json={"data": self.commands[int(path.rsplit("/", 1)[-1])]})

    def _post(self, path: str, data: dict[str, Any]) -> httpx.Response:
        if path.endswith("/actions"):
            self.plays += 1
            for command in self.commands:
                command["status"] = "succeeded"
            self.commands[-1]["status"] = "running"
            return httpx.Response(201, json={"data": {}})
        command = {**data, "id": str(len(self.commands)), "status": "queued"}
        self.commands.append(command)
        return httpx.Response(201, json={"data": command})


def carry_out(meddle: Meddle) -> tuple[Robot, list[str]]:
    """Home on such a robot: it, and how the commands ended."""
    robot = Robot(meddle)
    session = RunSession(RobotHttp("127.0.0.1", PATIENCE), StopLatch(), PATIENCE)
    session.robot.close()
    session.robot._client = httpx.Client(base_url="http://127.0.0.1", transport=robot)
    with session.robot:
        session.connect()
        ended = Carrying(session, Watch()).carry_out(lambda _: [HOME], Interrupt())
        assert session.settled
    return robot, [command.status for command in ended]


def nothing(method: str, path: str) -> httpx.Response | None:
    """The robot is well."""
    return None


class AfterPlay:
    """Answers questions about the run with an error for a while, from the play on."""

    def __init__(self, seconds: float, *, status: int = 500) -> None:
        self._seconds = seconds
        self._status = status
        self._since: float | None = None

    def __call__(self, method: str, path: str) -> httpx.Response | None:
        if path.endswith("/actions"):
            self._since = time.monotonic()
        elif self._since is not None and time.monotonic() - self._since < self._seconds:
            return httpx.Response(self._status, json={"errors": [{"id": "UnexpectedError", "detail": "out of order"}]})
        return None


def test_a_command_is_played_once() -> None:
    robot, ended = carry_out(nothing)
    assert (robot.plays, ended) == (1, ["succeeded"])


def test_an_error_as_an_answer_is_asked_again() -> None:
    robot, ended = carry_out(AfterPlay(0.2))
    assert (robot.plays, ended) == (1, ["succeeded"])


def test_an_error_that_stays_leaves_the_outcome_unknown() -> None:
    with pytest.raises(DeviceUnreachable, match=r"lost while it was to home: .*out of order"):
        carry_out(AfterPlay(60.0))


def test_a_run_that_is_gone_leaves_the_outcome_unknown() -> None:
    with pytest.raises(DeviceUnreachable, match="it was restarted, and knows nothing of run r"):
        carry_out(AfterPlay(60.0, status=404))


def test_a_play_that_is_refused_has_moved_nothing() -> None:
    def refuse(method: str, path: str) -> httpx.Response | None:
        if not path.endswith("/actions"):
            return None
        return httpx.Response(409, json={"errors": [{"id": "RunActionNotAllowed", "detail": "Front door is open."}]})

    with pytest.raises(DeviceError, match=r"it did not begin: .*Front door is open\.") as failed:
        carry_out(refuse)
    assert not isinstance(failed.value, DeviceUnreachable)


def test_a_robot_that_is_never_reached_to_play_has_moved_nothing() -> None:
    def lost(method: str, path: str) -> httpx.Response | None:
        if path.endswith("/actions"):
            raise httpx.ConnectError("No route to host")
        return None

    began = time.monotonic()
    with pytest.raises(
        DeviceError, match=r"it did not begin, and nothing moved \(home\): .*No route to host"
    ) as failed:
        carry_out(lost)
    assert not isinstance(failed.value, DeviceUnreachable)
    assert time.monotonic() - began >= PATIENCE.absence
