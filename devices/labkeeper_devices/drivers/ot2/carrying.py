"""Carries commands out in a run that plays, each at most once, and tells how each ended.

A command whose outcome cannot be told raises `DeviceUnreachable`; every other error means that it is known. What comes
next in each state is decided in `deciding`.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.base import Interrupt, Progress
from labkeeper_devices.drivers.ot2.answers import DOOR_OPEN, CommandState, RunState
from labkeeper_devices.drivers.ot2.deciding import GUARD, LABEL, Next, next_step
from labkeeper_devices.drivers.ot2.equipment import Equipment
from labkeeper_devices.drivers.ot2.http import Refused, Unanswered
from labkeeper_devices.drivers.ot2.orders import Order
from labkeeper_devices.drivers.ot2.session import RunSession
from labkeeper_devices.drivers.ot2.stopping import run_state, wait_until_over

log = logging.getLogger(__name__)

QUICKEST, SLOWEST = 0.005, 0.1
"""Seconds between looks: short commands are not kept waiting, long ones do not load the robot."""
GUARD_SECONDS: Final = 2.0
ENDED: Final = "; the robot ended its run, dropped what was on the pipette into the trash, and homed"


class Restarted(DeviceUnreachable):
    """The robot answers and knows nothing of the run: it was switched off and on."""


class Watch:
    """How far what is under way has come, for other threads; and whether a person paused it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._run_id: str | None = None
        self._paused = False

    def begin(self, run_id: str, total: int | None, doing: str) -> None:
        """Something begins."""
        with self._lock:
            self._run_id, self._paused = run_id, False
            self._progress = Progress(0, total, doing)

    def tell(self, done: int, doing: str, *, paused: bool) -> None:
        """It came further."""
        with self._lock:
            if self._progress is not None:
                self._progress = replace(self._progress, done=done, doing=doing, paused=paused)

    def end(self) -> None:
        """It is over."""
        with self._lock:
            self._progress, self._run_id, self._paused = None, None, False

    @property
    def progress(self) -> Progress | None:
        """How far it has come."""
        return self._progress

    @property
    def run_id(self) -> str | None:
        """The run that is under way."""
        return self._run_id

    @property
    def paused(self) -> bool:
        """Whether a person paused it."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """A person paused it, or let it go on."""
        with self._lock:
            self._paused = paused


class Carrying:
    """Carries orders out in a session's run."""

    def __init__(self, session: RunSession, watch: Watch) -> None:
        self._session = session
        self._watch = watch

    def carry_out(self, orders_of: Callable[[Equipment], list[Order]], interrupt: Interrupt) -> list[CommandState]:
        """Carry out orders one after the other; the commands as they ended.

        `orders_of` makes them from the equipment: when a new run had to be opened, all in it has new ids.

        Raises `DeviceError` in the robot's words when one failed, `Interrupted` when it was ended early (then the
        caller brings the robot to rest), `DeviceUnreachable` when nobody can say.
        """
        orders_of(self._session.equipment)  # what is wrong with them shows before anything is opened
        finding = self._session.ready(interrupt)
        orders = orders_of(self._session.equipment)
        self._session.refuse_pending(finding, orders)
        run_id = str(self._session.run_id)
        self._watch.begin(run_id, len(orders), orders[0].doing)
        try:
            queued = self._queue(run_id, orders, finding.pending, interrupt)
            return self._follow(run_id, queued, orders, interrupt)
        finally:
            self._watch.end()

    def _queue(
        self, run_id: str, orders: Sequence[Order], there: Sequence[CommandState], interrupt: Interrupt
    ) -> list[CommandState]:
        """Queue the orders that are not `there` yet, and a guard behind them.

        Nothing moves, so that no failure here leaves a doubt.
        """
        session = self._session
        interrupt.check()
        session.latch.check()
        session.settled = False
        try:
            new = [session.queue(item.kind, item.params, f"{LABEL}-{uuid.uuid4()}") for item in orders[len(there) :]]
            found = [*there, *new]
            session.queue("waitForResume", {}, GUARD)
            if session.doubtful:
                self._refuse_strays(run_id, [command.key for command in found])
        except DeviceUnreachable as error:
            session.settled = False
            raise DeviceError(f"it did not begin, and nothing moved: {error}") from error
        interrupt.check()
        return found

    def _refuse_strays(self, run_id: str, keys: Sequence[str]) -> None:
        """Nothing but what was just queued may stand behind the guard: a request of before may have come late."""
        waiting = [item.key for item in self._session.commands(run_id) if item.status == "queued"]
        if [key for key in waiting if key != GUARD] != list(keys):
            raise DeviceError(
                "it did not begin: the robot's queue holds commands whose queueing was never confirmed; "
                "initialize_robot opens a fresh run"
            )

    def _follow(
        self, run_id: str, queued: Sequence[CommandState], orders: Sequence[Order], interrupt: Interrupt
    ) -> list[CommandState]:
        """Let the run play, and follow the commands to their end."""
        commands, step, sent, heard, pause = list(queued), Next.PLAY, False, time.monotonic(), QUICKEST
        while True:
            self._stop_if_asked(interrupt)
            try:
                if self._watch.paused:
                    sent = True  # whoever resumes lets the run play
                elif step is Next.PLAY:
                    sent = self._play(sent)
                step = Next.WAIT
                run, commands = self._read(run_id, commands)
            except Restarted as error:
                raise _unknown(orders, error, sent=sent) from error
            except DeviceUnreachable as error:
                if time.monotonic() - heard >= self._session.patience.absence:
                    raise _unknown(orders, error, sent=sent) from error
                interrupt.sleep(SLOWEST)
                continue
            heard = time.monotonic()
            step = next_step(commands, run, paused_by_person=self._watch.paused)
            if step not in (Next.WAIT, Next.PLAY):
                return self._conclude(step, run, commands, orders, interrupt)
            self._tell(run, commands, orders)
            interrupt.sleep(pause)
            pause = min(pause * 1.3, SLOWEST)

    def _await_guard(self, run_id: str) -> None:
        """Let the run arrive at its guard, so that the next command finds it there. What was to be done is done."""
        session = self._session
        end = time.monotonic() + GUARD_SECONDS
        try:
            while not session.settled and time.monotonic() < end:
                run = run_state(session.robot, run_id)
                if run is None or run.over:
                    return
                session.settled = run.status in ("paused", DOOR_OPEN)
                time.sleep(0 if session.settled else QUICKEST)
        except DeviceError as error:
            log.info("after a command that succeeded: %s", error)

    def _stop_if_asked(self, interrupt: Interrupt) -> None:
        interrupt.check()
        self._session.refuse_latched()

    def _play(self, sent: bool) -> bool:
        """Ask the run to go on; whether that may have been heard by now."""
        try:
            self._session.play()
        except Unanswered as error:
            # Whether it was heard, the run says.
            log.info("%s", error)
        except Refused as error:
            if not sent:
                raise DeviceError(f"it did not begin: {error}") from error
        return True

    def _read(self, run_id: str, commands: Sequence[CommandState]) -> tuple[RunState, list[CommandState]]:
        """The run and then the commands: `next_step` relies on this order.

        A robot that answers with an error says nothing about them, and is asked again as one that does not answer.
        """
        robot = self._session.robot
        try:
            run = run_state(robot, run_id)
            if run is not None:
                return run, [item if item.final else self._command(run_id, item.id) for item in commands]
        except DeviceUnreachable:
            raise
        except DeviceError as error:
            raise Unanswered(str(error)) from error
        raise Restarted(f"it was restarted, and knows nothing of run {run_id}")

    def _command(self, run_id: str, command_id: str) -> CommandState:
        return CommandState.of(self._session.robot.get(f"/runs/{run_id}/commands/{command_id}")["data"])

    def _tell(self, run: RunState, commands: Sequence[CommandState], orders: Sequence[Order]) -> None:
        done = sum(1 for item in commands if item.final)
        doing = orders[min(done, len(orders) - 1)].doing
        if run.status == DOOR_OPEN:
            doing = f"{doing}: the door was opened; close it and resume"
        self._watch.tell(done, doing, paused=run.status in ("paused", DOOR_OPEN))

    def _conclude(
        self,
        step: Next,
        run: RunState,
        commands: list[CommandState],
        orders: Sequence[Order],
        interrupt: Interrupt,
    ) -> list[CommandState]:
        session = self._session
        if step is Next.DONE:
            self._await_guard(run.id)
            return commands
        if step is Next.UNTOLD:
            raise DeviceUnreachable(f"run {run.id} is {run.status}, and does not say how the command ended")
        if interrupt.cause is not None:
            raise Interrupted(interrupt.cause)
        session.refuse_latched()
        failed = next((item for item in commands if item.status == "failed"), None)
        try:
            wait_until_over(session.robot, run.id, session.patience)
        except DeviceError as error:
            log.warning("after a failed command: %s", error)
        if failed is None:
            raise DeviceError(f"it did not begin: the run was {run.status} by somebody else")
        doing = orders[commands.index(failed)].doing
        if failed.cancelled:
            raise DeviceError(f"{doing} was stopped at the robot by somebody else{ENDED}")
        raise DeviceError(f"{doing} failed: {failed.words}{ENDED}")


def _unknown(orders: Sequence[Order], error: Exception, *, sent: bool) -> DeviceError:
    doing = ", then ".join(order.doing for order in orders)
    if not sent:
        return DeviceError(f"it did not begin, and nothing moved ({doing}): {error}")
    return DeviceUnreachable(f"the robot was lost while it was to {doing}: {error}")
