"""Plans: what is to be done in Prefect, as data. The gateway carries them out; nothing here does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CreatePool:
    """Create a work pool. `body` is the request."""

    body: dict[str, Any]


@dataclass(frozen=True)
class UpdatePool:
    """Change fields of a work pool."""

    name: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class DeletePool:
    """Delete a work pool with its queues."""

    name: str


@dataclass(frozen=True)
class CreateQueue:
    """Create a work queue."""

    pool: str
    body: dict[str, Any]


@dataclass(frozen=True)
class UpdateQueue:
    """Change fields of a work queue. A changed priority shifts the queues behind it."""

    pool: str
    name: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class DeleteQueue:
    """Delete a work queue."""

    pool: str
    name: str


@dataclass(frozen=True)
class CreateDeployment:
    """Create a deployment that is known not to be there: the request upserts and would wipe schedules and runs."""

    flow_name: str
    body: dict[str, Any]


@dataclass(frozen=True)
class UpdateDeployment:
    """Change fields of a deployment. Wipes its future runs, so it is planned only for a real difference."""

    id: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class DeleteDeployment:
    """Delete a deployment with its schedules and future runs."""

    id: str


@dataclass(frozen=True)
class CreateSchedule:
    """Add a schedule to a deployment."""

    deployment_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class UpdateSchedule:
    """Change a schedule in place, so that it keeps its id."""

    deployment_id: str
    id: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class DeleteSchedule:
    """Remove a schedule from a deployment."""

    deployment_id: str
    id: str


@dataclass(frozen=True)
class CreateRun:
    """Create a flow run. The same idempotency key never makes a second one."""

    deployment_id: str
    idempotency_key: str
    body: dict[str, Any]


@dataclass(frozen=True)
class CancelRun:
    """Ask for a flow run to be cancelled; `why` is what its state will say."""

    id: str
    why: str


Action = (
    CreatePool
    | UpdatePool
    | DeletePool
    | CreateQueue
    | UpdateQueue
    | DeleteQueue
    | CreateDeployment
    | UpdateDeployment
    | DeleteDeployment
    | CreateSchedule
    | UpdateSchedule
    | DeleteSchedule
    | CreateRun
    | CancelRun
)


@dataclass(frozen=True)
class Plan:
    """What to do in Prefect, in order."""

    actions: tuple[Action, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actions)
