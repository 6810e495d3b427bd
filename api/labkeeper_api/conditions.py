"""Conditions: what `kubectl wait`, kstatus and people read. Pure: time is passed in.

Reasons are constants here, beside the type, so that the same situation always has the same name.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from labkeeper_api.meta import ApiModel

MESSAGE_LIMIT = 2048


class ConditionType(StrEnum):
    """The condition types that Labkeeper sets."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Reason(StrEnum):
    """Why a condition has its status."""

    RECONCILED = "Reconciled"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    DELETING = "Deleting"
    # waiting: resolves by itself
    PREFECT_UNAVAILABLE = "PrefectUnavailable"
    POOL_NOT_READY = "PoolNotReady"
    WORKFLOW_NOT_READY = "WorkflowNotReady"
    DOCUMENT_NOT_FOUND = "DocumentNotFound"
    # stalled: a person has to act
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_FLOW = "UnknownFlow"
    UNKNOWN_POOL = "UnknownPool"
    UNKNOWN_QUEUE = "UnknownQueue"
    UNKNOWN_WORKFLOW = "UnknownWorkflow"
    UNSUITABLE_POOL = "UnsuitablePool"
    INVALID_PARAMETERS = "InvalidParameters"
    INVALID_DOCUMENT = "InvalidDocument"
    RETRIES_FORBIDDEN = "RetriesForbidden"
    CONFLICT = "Conflict"
    IMMUTABLE = "Immutable"
    REFUSED_BY_PREFECT = "RefusedByPrefect"
    NO_CHANNEL = "NoChannel"
    # runs
    SCHEDULED = "RunScheduled"
    PENDING = "RunPending"
    RUNNING = "RunRunning"
    CANCELLING = "RunCancelling"
    SUCCEEDED = "RunCompleted"
    RUN_FAILED = "RunFailed"
    RUN_CRASHED = "RunCrashed"
    RUN_CANCELLED = "RunCancelled"
    RUN_LOST = "RunLost"
    # devices
    UNIT_ONLINE = "UnitOnline"
    UNIT_OFFLINE = "UnitOffline"


class Condition(ApiModel):
    """One observation about an object, as in `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether the condition holds."""
    observed_generation: int | None = None
    """The generation of the spec that this was said about."""
    last_transition_time: datetime
    """When `status` last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in one CamelCase word."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, in a sentence for a person."""


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


def find(conditions: list[Condition], type_: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: list[Condition], type_: str) -> bool:
    """Whether the condition of that type is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def said(
    conditions: list[Condition],
    type_: ConditionType,
    status: bool,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int | None,
) -> list[Condition]:
    """`conditions` with that one said; its transition time stays where its status did not change."""
    text = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
    value: Literal["True", "False"] = "True" if status else "False"
    old = find(conditions, type_)
    moment = old.last_transition_time if old is not None and old.status == value else whole_seconds(now)
    new = Condition(
        type=type_,
        status=value,
        observed_generation=generation,
        last_transition_time=moment,
        reason=reason,
        message=text,
    )
    rest = [condition for condition in conditions if condition.type != type_]
    return sorted([*rest, new], key=lambda condition: condition.type)


def without(conditions: list[Condition], *types: ConditionType) -> list[Condition]:
    """`conditions` without those of the given types."""
    return [condition for condition in conditions if condition.type not in types]


def whole_seconds(moment: datetime) -> datetime:
    """Kubernetes keeps times to the second; so do we, or a steady state would look like a change."""
    return moment - timedelta(microseconds=moment.microsecond)
