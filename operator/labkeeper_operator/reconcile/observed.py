"""What Prefect was seen to hold, as plain data. Built by the gateway, read by the decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labkeeper_api import wire

TERMINAL_TYPES = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True)
class ObservedQueue:
    """A work queue."""

    id: str
    name: str
    priority: int
    is_paused: bool
    concurrency_limit: int | None
    description: str


@dataclass(frozen=True)
class ObservedPool:
    """A work pool with its queues."""

    id: str
    name: str
    type: str
    description: str
    is_paused: bool
    concurrency_limit: int | None
    base_job_template: dict[str, Any]
    queues: tuple[ObservedQueue, ...]


@dataclass(frozen=True)
class ObservedSchedule:
    """A schedule of a deployment; `slug` is its name in the LabWorkflow."""

    id: str
    slug: str | None
    active: bool
    schedule: dict[str, Any]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class ObservedDeployment:
    """A deployment with its schedules. `fields` holds what a PATCH may change, by Prefect's names."""

    id: str
    name: str
    flow_name: str
    fields: dict[str, Any]
    schedules: tuple[ObservedSchedule, ...] = ()

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow_name}/{self.name}"

    @property
    def owner(self) -> str | None:
        """The uid of the resource that owns it, if one does."""
        return wire.owner_of(self.fields.get("tags", []))


@dataclass(frozen=True)
class ObservedRun:
    """A flow run in its present state."""

    id: str
    name: str
    deployment_id: str | None
    idempotency_key: str | None
    state_type: str
    state_name: str
    message: str
    started: datetime | None
    ended: datetime | None
    expected: datetime | None
    changed: datetime | None
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None

    @property
    def terminal(self) -> bool:
        """Whether it has ended."""
        return self.state_type in TERMINAL_TYPES

    @property
    def simulated(self) -> bool | None:
        """Whether a simulator carried it out; None where the run does not say."""
        if self.result is not None and isinstance(self.result.get("simulated"), bool):
            return bool(self.result["simulated"])
        return True if wire.SIMULATED_TAG in self.tags else None


@dataclass(frozen=True)
class ObservedWorker:
    """A worker that serves a pool."""

    name: str
    online: bool
