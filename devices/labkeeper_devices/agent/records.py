"""What the command journal holds: commands, runs, conclusions and what people did, and what a repeated key means.

Plain data and one rule, without a file. `journal` keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from labkeeper_api.errors import LabkeeperError, OutcomeUnknown

Outcome = Literal["succeeded", "failed", "interrupted", "acknowledged"]

COMPLETED, NOT_COMPLETED = "completed", "not completed"
"""How the message of an acknowledged command begins: what a person says of its end."""


class JournalError(LabkeeperError):
    """The journal cannot be used: it belongs to another unit, is newer than this release, or is damaged."""


class EndUnwritten(JournalError):
    """A command ended, and the journal could not be told: in it, the command is still under way."""


class KeyReused(LabkeeperError):
    """The same key was used with other arguments, or again after the command had failed."""


class AlreadyEnded(KeyReused):
    """The command of that key did not succeed and is not carried out twice."""

    def __init__(self, command: Command) -> None:
        self.command = command
        super().__init__(
            f"command {command.described()} already ended {command.outcome} in this run ({command.message}) and is not "
            "carried out twice: start a new run"
        )


@dataclass(frozen=True)
class CommandKey:
    """Which command: the run, the node path inside it, the loop iteration there and the ordinal there."""

    run_id: str
    node: str = ""
    iteration: int = 0
    ordinal: int = 0

    def __str__(self) -> str:
        place = f"{self.node}[{self.iteration}]" if self.node else ""
        return "/".join(part for part in (self.run_id, place, str(self.ordinal)) if part)


@dataclass(frozen=True)
class Command:
    """One physical command as journaled. `outcome` None: begun, and nobody knows how it ended."""

    seq: int
    key: CommandKey
    attempt: int
    operation: str
    arguments: dict[str, Any]
    begun_at: str
    ended_at: str | None
    outcome: str | None
    result: dict[str, Any] | None
    message: str | None

    def described(self) -> str:
        """For a person: `plate-resort.activate_hotel(hotel='A')`."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items() if value is not None)
        return f"{self.operation}({arguments})"


@dataclass(frozen=True)
class Conclusion:
    """How a run ended, in the terms of Prefect's states; `data` is its result."""

    type: Literal["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
    name: str
    message: str
    data: dict[str, Any] | None = None

    def noted(self, note: str) -> Conclusion:
        """The same with a note at the end of the message, such as that the run was simulated."""
        if not note or self.message.endswith(note):
            return self
        return replace(self, message=f"{self.message} {note}".strip())


@dataclass(frozen=True)
class JournaledRun:
    """One claimed run. `conclusion` None: it was not concluded; `reported` False: Prefect was not told yet."""

    run_id: str
    name: str
    transition_id: str
    claimed_at: str
    conclusion: Conclusion | None
    reported: bool


@dataclass(frozen=True)
class ActionRecord:
    """What a person did."""

    seq: int
    at: str
    action: str
    requester: str
    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Begun:
    """The command may be carried out now; `seq` is its number in the journal."""

    seq: int


@dataclass(frozen=True)
class Replayed:
    """The command was carried out before; this is what it returned."""

    result: dict[str, Any]


def replay(old: Command, digest: str, old_digest: str, *, idempotent: bool) -> Replayed | None:
    """What an earlier command of the same key means for this one; None: it may be carried out (again)."""
    if digest != old_digest:
        raise KeyReused(
            f"command {old.key} was {old.described()} before and is something else now: a key stands for one command"
        )
    if old.outcome is None:
        raise OutcomeUnknown(f"command {old.described()} was begun at {old.begun_at} and nobody knows how it ended")
    if old.outcome == "succeeded" and old.result is not None:
        return Replayed(old.result)
    if old.outcome == "acknowledged":
        return _as_acknowledged(old)
    if idempotent:
        return None
    raise AlreadyEnded(old)


def _as_acknowledged(old: Command) -> Replayed | None:
    """Done, if a person saw that it was; if a person saw that it was not, it may be done (docs/decisions)."""
    said = old.message or ""
    return None if said.startswith(NOT_COMPLETED) else Replayed({"acknowledged": True, "message": said})
