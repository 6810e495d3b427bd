"""What the state of a run means, and what to do next about the commands it was given. Pure.

How a run of ours is built, and why. A robot carries setup commands out at once, but its `stop` waits for the one that
is running, and they cannot be paused. Commands of a run that *plays* are stopped and paused in the middle of a motion.
So our run plays, and a `waitForResume` (the guard) stands behind the commands it was given: there the run pauses, and
lives on. To carry something out means: queue it and another guard, which moves nothing, then play once. Since queueing
moves nothing and a queued command moves once however often it is played, a lost answer never leads to a second motion.

The price is the robot's own: a command that fails, and a stop, end the run; the robot then drops what the pipettes hold
into the trash and homes. What was loaded is loaded again into the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from labkeeper_devices.drivers.ot2.answers import DOOR_OPEN, CommandState, RunState

LABEL: Final = "labkeeper"
"""Key of the first command of each of our runs, by which a later process knows them."""
GUARD: Final = "labkeeper-guard"
"""Key of a guard."""


class Verdict(Enum):
    """What a run that has the robot is to us."""

    NONE = "the robot has no run"
    OVER = "the robot's last run is over"
    FRESH = "our run is open and has not begun to move"
    READY = "our run waits at its guard"
    PREPARED = "our run waits at its guard, with commands of before behind it that have not begun"
    MOVING = "our run is carrying out what it was given before"
    UNSETTLED = "our run holds commands of before that nobody follows"
    FOREIGN_IDLE = "another program's run is open and idle"
    FOREIGN = "another program's run has the robot"


REPLACEABLE: Final = frozenset({Verdict.NONE, Verdict.OVER, Verdict.FOREIGN_IDLE})
"""Where a new run may be opened without ending anything."""
BEGUN: Final = frozenset({Verdict.READY, Verdict.PREPARED})
"""Where our run plays, and waits for commands."""
OURS: Final = frozenset({Verdict.FRESH, Verdict.READY, Verdict.PREPARED, Verdict.MOVING, Verdict.UNSETTLED})


@dataclass(frozen=True)
class Finding:
    """What the robot was found doing. `pending`: commands of before that wait behind the guard and have not begun."""

    verdict: Verdict
    run: RunState | None = None
    detail: str = ""
    pending: tuple[CommandState, ...] = ()

    def __str__(self) -> str:
        if self.run is None:
            return self.verdict.value
        detail = f"; {self.detail}" if self.detail else ""
        return f"{self.verdict.value} (run {self.run.id}, {self.run.status}{detail})"

    @property
    def replaceable(self) -> bool:
        """Whether a new run may be opened without ending anything."""
        return self.verdict in REPLACEABLE


def judge(run: RunState | None, commands: Sequence[CommandState]) -> Finding:
    """What the robot's current run, with all its commands, is to us."""
    if run is None:
        return Finding(Verdict.NONE)
    if run.over:
        return Finding(Verdict.OVER, run)
    if not commands or commands[0].key != LABEL:
        return Finding(Verdict.FOREIGN if run.active else Verdict.FOREIGN_IDLE, run)
    others = tuple(command for command in commands if not command.final and command.key != GUARD)
    detail = ", ".join(f"{command.kind} {command.status}" for command in others)
    if run.status in ("paused", DOOR_OPEN):
        if not others:
            return Finding(Verdict.READY, run)
        if not any(command.status == "running" for command in others):
            return Finding(Verdict.PREPARED, run, detail, others)
        return Finding(Verdict.UNSETTLED, run, detail)
    if run.active:
        return Finding(Verdict.MOVING, run, detail)
    return Finding(Verdict.UNSETTLED, run, detail) if others else Finding(Verdict.FRESH, run)


def is_asked_for(pending: Sequence[CommandState], kinds: Sequence[str], params: Sequence[Mapping[str, Any]]) -> bool:
    """Whether commands that wait in the queue are the first of those that are now asked for.

    So it is when an agent died after it had queued a command and before it let the run play, and the command is then
    asked for again: it is set off from where it stands, once.
    """
    return len(pending) <= len(kinds) and all(
        command.kind == kind and _contains(command.params, wanted)
        for command, kind, wanted in zip(pending, kinds, params, strict=False)
    )


def _contains(given: Any, wanted: Any) -> bool:
    """Whether the robot's parameters are what was asked for; it adds what it takes for granted."""
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(
            name in given and _contains(given[name], value) for name, value in wanted.items()
        )
    return bool(given == wanted)


class Next(Enum):
    """What to do about commands that were queued."""

    WAIT = "wait"
    PLAY = "play"
    DONE = "all succeeded"
    FAILED = "one failed"
    NEVER_BEGAN = "the run ended before they began"
    UNTOLD = "the run ended, and says nothing about a command that had begun"


def next_step(commands: Sequence[CommandState], run: RunState, *, paused_by_person: bool) -> Next:
    """What to do, from a run and then, read after it, the commands that were queued.

    In this order a run that was read as paused stands at the guard before a command that is still queued, and not at
    the one behind it.
    """
    if any(command.status == "failed" for command in commands):
        return Next.FAILED
    if all(command.final for command in commands):
        return Next.DONE
    if run.over:
        begun = any(command.status == "running" or command.final for command in commands)
        return Next.UNTOLD if begun else Next.NEVER_BEGAN
    moving = any(command.status == "running" for command in commands)
    # It stands at the guard before them: its play was lost, or came before the guard did.
    if run.status == "paused" and not moving and not paused_by_person:
        return Next.PLAY
    return Next.WAIT


def stands_still(run: RunState) -> bool:
    """Whether a run needs no stop for the robot to be at rest: it is over, or was never played."""
    return run.over or (run.status == "idle" and not run.played)
