"""What an OT-2 answers, as plain values: runs, commands, errors in its own words. Pure; asks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OVER: Final = frozenset({"stopped", "failed", "succeeded"})
"""Statuses of a run after which nothing moves."""
ENDING: Final = frozenset({"stop-requested", "finishing"})
DOOR_OPEN: Final = "blocked-by-open-door"

Json = Mapping[str, Any]


def words_of(error: Json) -> str:
    """An error in the robot's words, with what it wraps where that says more."""
    said = list(dict.fromkeys(_details(error)))
    kept = [text for text in said if not any(text != other and text in other for other in said)]
    return "; ".join(kept) or str(error.get("errorType") or error.get("title") or "the robot gives no reason")


def _details(error: Json) -> Iterator[str]:
    detail = str(error.get("detail") or "").strip()
    if detail:
        yield detail
    for wrapped in error.get("wrappedErrors") or ():
        if isinstance(wrapped, Mapping):
            yield from _details(wrapped)


@dataclass(frozen=True)
class CommandState:
    """One command of a run. `status` is queued, running, succeeded or failed."""

    id: str
    key: str
    kind: str
    status: str
    params: Json
    result: Json
    error: Json | None

    @classmethod
    def of(cls, data: Json) -> CommandState:
        """From the robot's `data`."""
        return cls(
            id=str(data.get("id", "")),
            key=str(data.get("key", "")),
            kind=str(data.get("commandType", "")),
            status=str(data.get("status", "")),
            params=data.get("params") or {},
            result=data.get("result") or {},
            error=data.get("error"),
        )

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in ("succeeded", "failed")

    @property
    def cancelled(self) -> bool:
        """Whether it ended because its run was stopped, and not by itself."""
        return self.error is not None and "RunStoppedError" in set(_types(self.error))

    @property
    def words(self) -> str:
        """Why it failed, in the robot's words."""
        return words_of(self.error) if self.error is not None else "the robot gives no reason"


def _types(error: Json) -> Iterator[str]:
    yield str(error.get("errorType", ""))
    for wrapped in error.get("wrappedErrors") or ():
        if isinstance(wrapped, Mapping):
            yield from _types(wrapped)


@dataclass(frozen=True)
class RunState:
    """One run of the robot."""

    id: str
    status: str
    current: bool
    played: bool
    plays: int
    errors: tuple[str, ...]
    labware: Sequence[Json]
    pipettes: Sequence[Json]

    @classmethod
    def of(cls, data: Json) -> RunState:
        """From the robot's `data`."""
        plays = sum(1 for action in data.get("actions") or () if action.get("actionType") == "play")
        return cls(
            id=str(data.get("id", "")),
            status=str(data.get("status", "")),
            current=bool(data.get("current")),
            played=plays > 0,
            plays=plays,
            errors=tuple(words_of(error) for error in data.get("errors") or ()),
            labware=data.get("labware") or (),
            pipettes=data.get("pipettes") or (),
        )

    @property
    def over(self) -> bool:
        """Whether it has ended and nothing of it moves any more."""
        return self.status in OVER or not self.current

    @property
    def active(self) -> bool:
        """Whether the robot lets no other run take its place."""
        return not self.over and self.status != "idle"


def current_run_id(runs: Json) -> str | None:
    """Id of the run that has the robot, from the answer to `GET /runs`."""
    current = (runs.get("links") or {}).get("current")
    if isinstance(current, Mapping) and current.get("href"):
        return str(current["href"]).rsplit("/", 1)[-1]
    return next((str(run["id"]) for run in runs.get("data") or () if run.get("current")), None)
