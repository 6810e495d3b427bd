"""The one translator from errors to conditions: what Waiting and Stalled mean for an object's status.

kstatus reads them: Ready=True is current, Reconciling=True is in progress, Stalled=True has failed. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from labkeeper_api.conditions import Condition, ConditionType, Reason, said, without
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabObject
from labkeeper_api.kinds.base import Status

MAX_BACKOFF = 60.0
"""Seconds between attempts at most."""


def ready(
    conditions: list[Condition],
    message: str,
    *,
    now: datetime,
    generation: int,
    reason: str = Reason.RECONCILED,
) -> list[Condition]:
    """The object is as its spec says."""
    kept = without(conditions, ConditionType.RECONCILING, ConditionType.STALLED)
    return said(kept, ConditionType.READY, True, reason, message, now=now, generation=generation)


def in_progress(
    conditions: list[Condition], reason: str, message: str, *, now: datetime, generation: int
) -> list[Condition]:
    """The object is on its way and nobody has to act."""
    kept = without(conditions, ConditionType.STALLED)
    kept = said(kept, ConditionType.READY, False, reason, message, now=now, generation=generation)
    return said(kept, ConditionType.RECONCILING, True, reason, message, now=now, generation=generation)


def stalled(
    conditions: list[Condition], reason: str, message: str, *, now: datetime, generation: int
) -> list[Condition]:
    """A person has to act."""
    kept = without(conditions, ConditionType.RECONCILING)
    kept = said(kept, ConditionType.READY, False, reason, message, now=now, generation=generation)
    return said(kept, ConditionType.STALLED, True, reason, message, now=now, generation=generation)


def translate(error: Waiting | Stalled, obj: LabObject, *, now: datetime) -> dict[str, Any]:
    """The status of an object whose reconciliation ended with that error."""
    status = current_status(obj)
    generation = obj.metadata.generation
    said_now = in_progress if isinstance(error, Waiting) else stalled
    conditions = said_now(status.conditions, error.reason, error.message, now=now, generation=generation)
    updated: Status = status.model_copy(update={"conditions": conditions, "observed_generation": generation})
    return updated.wire()


def retry_at(error: Waiting | Stalled, failures: int, *, now: datetime) -> datetime | None:
    """When to try again: for Waiting with growing pauses, for Stalled only once something changes."""
    if isinstance(error, Stalled):
        return None
    pause = min(MAX_BACKOFF, error.retry_after * 2 ** min(failures, 6))
    return now + timedelta(seconds=pause)


def current_status(obj: LabObject) -> Any:
    """The status that the object has, or an empty one of its kind."""
    return getattr(obj, "status", None) or obj.status_model()


def is_said(obj: LabObject, status: dict[str, Any]) -> bool:
    """Whether the object has that status already, so that writing it would change nothing."""
    return bool(current_status(obj) == obj.status_model.model_validate(status))
