"""Ending what an OT-2 does: the latched emergency stop from any thread, and the confirmation that it is at rest.

The robot offers no way to cut its power over the network. `stop` halts its motors in the middle of a motion; then the
robot, by itself, drops what it holds into the trash and homes. Rest is when its run says that this is over.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked
from labkeeper_devices.drivers.base import AtRest
from labkeeper_devices.drivers.ot2.answers import ENDING, CommandState, RunState, current_run_id
from labkeeper_devices.drivers.ot2.deciding import stands_still
from labkeeper_devices.drivers.ot2.http import Patience, Refused, RobotHttp

LOOK_SECONDS: Final = 0.05
CONFIRM_SECONDS: Final = 5.0
"""How long the motion may take to break off after a stop."""


class StopLatch:
    """Whether the emergency stop is engaged. Any thread."""

    def __init__(self) -> None:
        self._engaged = threading.Event()

    @property
    def engaged(self) -> bool:
        """Whether it is."""
        return self._engaged.is_set()

    def engage(self) -> None:
        """From here on nothing begins."""
        self._engaged.set()

    def release(self) -> None:
        """A person ended it."""
        self._engaged.clear()

    def check(self) -> None:
        """Raise `Interlocked` while it is engaged."""
        if self.engaged:
            raise Interlocked("the emergency stop is latched: a person must release it first")


def current_run(robot: RobotHttp) -> RunState | None:
    """The run that has the robot; None if none has."""
    run_id = current_run_id(robot.get("/runs", pageLength=1))
    return run_state(robot, run_id) if run_id is not None else None


def run_state(robot: RobotHttp, run_id: str) -> RunState | None:
    """A run as it is now; None if the robot knows none of that id, as after a restart."""
    try:
        return RunState.of(robot.get(f"/runs/{run_id}")["data"])
    except Refused as error:
        if error.status == 404:
            return None
        raise


def ask_to_stop(robot: RobotHttp, run_id: str) -> None:
    """Ask a run to stop; harmless where it is over. Raises `DeviceError`."""
    try:
        robot.post(f"/runs/{run_id}/actions", {"data": {"actionType": "stop"}})
    except Refused as error:
        if error.status not in (404, 409):
            raise


def stop_now(address: str, patience: Patience, *, moving: str | None, settled: str | None) -> str | None:
    """Stop whatever run has the robot, over a connection of its own; the run's id, None if nothing was under way.

    `moving` is our run while it carries something out: asked to stop first, which spares a question. `settled` is our
    run while it waits at its guard: left as it is, since a stop would make a robot move that stands still.

    Raises `DeviceError` when the robot does not confirm that the motion broke off.
    """
    with RobotHttp(address, patience) as robot:
        if moving is not None:
            ask_to_stop(robot, moving)
        run = current_run(robot)
        if run is None or stands_still(run) or (run.id == settled and run.status == "paused"):
            return None
        if run.id != moving and run.status not in ENDING:
            ask_to_stop(robot, run.id)
        _await_halt(robot, run.id)
        return run.id


def _await_halt(robot: RobotHttp, run_id: str) -> None:
    end = time.monotonic() + CONFIRM_SECONDS
    while True:
        run = run_state(robot, run_id)
        if run is None or run.over:
            return
        if run.status in ENDING and not _running(robot, run_id):
            return
        if time.monotonic() >= end:
            raise DeviceError(
                f"the stop was sent, but after {CONFIRM_SECONDS:g} s run {run_id} is still {run.status}. Cut the power "
                "of the robot"
            )
        time.sleep(LOOK_SECONDS)


def _running(robot: RobotHttp, run_id: str) -> bool:
    """Whether a command of the run is still being carried out."""
    commands = robot.get(f"/runs/{run_id}/commands", pageLength=5)
    return any(CommandState.of(item).status == "running" for item in commands.get("data") or ())


def wait_until_over(robot: RobotHttp, run_id: str, patience: Patience) -> RunState | None:
    """Wait until a run that is ending is over; how it then is, None if the robot no longer knows it.

    Raises `DeviceUnreachable` when the robot is away for longer than it may be, `DeviceError` when it does not end.
    """
    began = heard = time.monotonic()
    while True:
        try:
            run = run_state(robot, run_id)
        except DeviceUnreachable:
            if time.monotonic() - heard >= patience.absence:
                raise
        else:
            heard = time.monotonic()
            if run is None or run.over:
                return run
            if heard - began >= patience.rest:
                raise DeviceError(f"run {run_id} is still {run.status} after {patience.rest:g} s")
        time.sleep(LOOK_SECONDS)


def bring_to_rest(robot: RobotHttp, patience: Patience, settled_run: str | None) -> AtRest:
    """Stop what is under way, and say whether the robot is at rest.

    `settled_run` is a run of ours that waits at its guard: it stands still, and is left as it is.
    """
    try:
        run = current_run(robot)
        if run is None or stands_still(run) or (run.id == settled_run and run.status == "paused"):
            return AtRest(True, {"run": run.status if run is not None else "none"})
        if run.status not in ENDING:
            ask_to_stop(robot, run.id)
        over = wait_until_over(robot, run.id, patience)
    except DeviceError as error:
        return AtRest(False, {"reason": str(error)})
    if over is None:
        return AtRest(False, {"reason": f"the robot was restarted and knows nothing of run {run.id}"})
    return AtRest(True, {"run": over.status, "tidied_up": "what the pipettes held is in the trash; homed"})
