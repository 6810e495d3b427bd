"""The error tree: every error says what happens next.

`Waiting` resolves by itself, `Stalled` needs a person, `InvalidInput` lists everything that is wrong with something
handed in. Foreign errors (HTTP, serial line, YAML) are translated into these where they enter.
"""

from __future__ import annotations

from dataclasses import dataclass


class LabkeeperError(Exception):
    """Base class of all errors raised by Labkeeper."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    `path` names the place inside the document (`spec.schedules[0].cron`), `line` is 1-based where the text is known.
    """

    path: str
    message: str
    hint: str = ""
    line: int | None = None
    source: str = ""

    def __lt__(self, other: Problem) -> bool:
        """By place, as a person goes through a file."""
        return self._order() < other._order()

    def _order(self) -> tuple[str, int, str, str]:
        return self.source, self.line or 0, self.path, self.message

    def __str__(self) -> str:
        place = self.source
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{head} ({self.hint})" if self.hint else head


class InvalidInput(LabkeeperError):
    """An input is refused; `problems` holds everything found, not only the first."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Waiting(LabkeeperError):
    """The work can go on by itself later: a dependency is not there yet or is away.

    `retry_after` is in seconds.
    """

    def __init__(self, reason: str, message: str, *, retry_after: float) -> None:
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        super().__init__(message)


class Stalled(LabkeeperError):
    """Only a person can mend this; trying again changes nothing."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(message)


class DeviceError(LabkeeperError):
    """A device refused, failed or could not be reached. The outcome of the command is known: it did not succeed."""


class DeviceUnreachable(DeviceError):
    """The connection to a device is gone or never came up. What the device does meanwhile is unknown."""


class Interlocked(DeviceError):
    """A command was refused before anything moved, because an interlock does not allow it."""


class Interrupted(LabkeeperError):
    """A motion was ended early on request.

    `cause` is one of `cancel`, `timeout`, `emergency-stop`.
    """

    def __init__(self, cause: str, message: str = "") -> None:
        self.cause = cause
        super().__init__(message or f"interrupted by {cause}")


class OutcomeUnknown(LabkeeperError):
    """A physical command was begun and nobody can say how it ended. The unit is Held until a person says so."""
