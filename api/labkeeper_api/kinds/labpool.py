"""LabPool: a Prefect work pool with its queues."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from labkeeper_api.kinds.base import DeletionPolicy, LabObject, PrefectPoolNames, PrinterColumn, Status
from labkeeper_api.meta import ApiModel, Cel, Name, cel

DEFAULT_QUEUE = "default"
"""The queue that Prefect gives every pool. It always comes last unless the spec lists it."""


class PoolType(StrEnum):
    """Where runs of a pool are carried out."""

    KUBERNETES = "kubernetes"
    DEVICE = "device"


class Queue(ApiModel):
    """One work queue of the pool."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")]
    """Name of the queue, unique in the pool."""
    priority: Annotated[int, Field(ge=1, le=1000)]
    """Lower numbers go first; unique in the pool."""
    description: Annotated[str, Field(max_length=1024)] | None = None
    """What the queue is for, shown in Prefect."""
    concurrency_limit: Annotated[int, Field(ge=1, le=10000)] | None = None
    """How many runs of this queue may be under way at once; no limit when it is not given."""
    suspend: bool = False
    """Hold back all runs of this queue."""


class LabPoolSpec(ApiModel):
    """What the pool should be."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "!has(self.queues) || self.queues.all(q, self.queues.exists_one(r, r.priority == q.priority))",
            "two queues have the same priority: give every queue of the pool a priority of its own",
            field_path=".queues",
        ),
    )

    type: Annotated[
        PoolType,
        Field(
            json_schema_extra=cel(
                Cel("self == oldSelf", "type cannot be changed: delete the LabPool and create it again")
            )
        ),
    ]
    """`kubernetes`: each run is a Job. `device`: a device agent claims runs, one at a time. Cannot be changed."""
    description: Annotated[str, Field(max_length=1024)] | None = None
    """What the pool is for, shown in Prefect."""
    queues: Annotated[
        list[Queue],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Queues of the pool. Prefect's own `default` queue comes after them unless it is listed."""
    concurrency_limit: Annotated[int, Field(ge=1, le=10000)] | None = None
    """How many runs of the pool may be under way at once; no limit when it is not given."""
    suspend: bool = False
    """Hold back all runs of the pool."""
    prefect: PrefectPoolNames | None = None
    """Names in Prefect that differ from the generated ones."""
    adopt: bool = False
    """Take over a work pool of that name that someone else made."""
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """Whether the work pool is deleted together with this resource, or left behind."""

    @model_validator(mode="after")
    def _distinct(self) -> LabPoolSpec:
        priorities = [queue.priority for queue in self.queues]
        if len(set(priorities)) != len(priorities):
            raise ValueError("two queues have the same priority: give every queue of the pool a priority of its own")
        names = [queue.name for queue in self.queues]
        if len(set(names)) != len(names):
            raise ValueError("two queues have the same name: every name may stand once")
        return self


class QueueStatus(ApiModel):
    """One queue as it is in Prefect."""

    name: Annotated[str, Field(max_length=253)]
    """Name of the queue."""
    priority: int
    """Its priority in Prefect."""
    suspended_by: Annotated[list[str], Field(max_length=16)] = []
    """Why the queue is held back: `Suspend` when the spec says so; empty when it is not."""


class LabPoolStatus(Status):
    """What the pool is."""

    pool_name: str | None = None
    """Name of the work pool in Prefect."""
    pool_id: str | None = None
    """Id of the work pool in Prefect."""
    queues: Annotated[
        list[QueueStatus],
        Field(
            max_length=256,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """The queues that this resource made, in order of priority."""


class LabPool(LabObject):
    """A pool of places that runs wait for: a Prefect work pool with its queues, kept as the spec says."""

    kind: Literal["LabPool"] = "LabPool"
    spec: LabPoolSpec
    status: LabPoolStatus | None = None

    plural: ClassVar[str] = "labpools"
    short_name: ClassVar[str] = "lpool"
    status_model: ClassVar[type[Status]] = LabPoolStatus
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Type", ".spec.type", description="Where runs are carried out"),
        PrinterColumn("Pool", ".status.poolName", description="Work pool in Prefect"),
        PrinterColumn("Suspended", ".spec.suspend", "boolean", "Whether all runs are held back"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    @property
    def prefect_name(self) -> str:
        """Name of the work pool in Prefect."""
        given = self.spec.prefect.pool_name if self.spec.prefect else None
        return given or f"{self.metadata.namespace}.{self.metadata.name}"


PoolRef = Name
"""Name of a LabPool in the same namespace."""
