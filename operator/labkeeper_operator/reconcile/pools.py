"""LabPool to a plan for its work pool and queues. Pure.

Queue priorities are the delicate part: they are unique in a pool and a PATCH of one shifts those behind it, so the
whole order is planned at once, Prefect's own `default` queue included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from labkeeper_api import wire
from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled
from labkeeper_api.kinds.base import DeletionPolicy
from labkeeper_api.kinds.labpool import DEFAULT_QUEUE, LabPool, LabPoolStatus, PoolType, Queue, QueueStatus
from labkeeper_operator.reconcile import verdicts
from labkeeper_operator.reconcile.observed import ObservedPool, ObservedQueue
from labkeeper_operator.reconcile.plan import (
    Action,
    CreatePool,
    CreateQueue,
    DeletePool,
    DeleteQueue,
    Plan,
    UpdatePool,
    UpdateQueue,
)

_OWNER = re.compile(r"\n?\n?Managed by Labkeeper: LabPool \S+, uid (\S+)\.$")
"""Prefect's work pools have neither tags nor labels, so the owner stands at the end of the description."""


def plan(pool: LabPool, observed: ObservedPool | None, *, prefect_type: str, claimed_by: str | None = None) -> Plan:
    """What makes the work pool as the spec says. `prefect_type` is the work pool type in Prefect.

    `claimed_by` is the `namespace/name` of another LabPool that holds the same work pool; `adopt` does not go before
    it, or two that adopt would take it from each other for ever.
    Raises `Stalled` when the work pool is somebody else's or of another type.
    """
    if claimed_by is not None:
        raise Stalled(
            Reason.CONFLICT,
            f"LabPool {claimed_by} already is work pool {pool.prefect_name!r}: give another spec.prefect.poolName",
        )
    if observed is None:
        return Plan((CreatePool(_pool_body(pool, prefect_type)),))
    _check_ownership(pool, observed, prefect_type)
    changes = _pool_changes(pool, observed)
    actions: list[Action] = [UpdatePool(observed.name, changes)] if changes else []
    return Plan((*actions, *_queue_actions(pool, observed)))


def plan_deletion(pool: LabPool, observed: ObservedPool | None) -> Plan:
    """What is left to do in Prefect before the resource may go."""
    if pool.spec.deletion_policy is DeletionPolicy.ORPHAN or observed is None:
        return Plan()
    if owner_of(observed.description) != pool.metadata.uid:
        return Plan()
    return Plan((DeletePool(observed.name),))


def status(pool: LabPool, observed: ObservedPool, *, now: datetime) -> dict[str, Any]:
    """The status of a pool that is as its spec says."""
    wanted = {queue.name for queue in wanted_queues(pool)}
    queues = [
        QueueStatus(name=queue.name, priority=queue.priority, suspended_by=["Suspend"] if queue.is_paused else [])
        for queue in sorted(observed.queues, key=lambda queue: queue.priority)
        if queue.name in wanted
    ]
    old = verdicts.current_status(pool)
    generation = pool.metadata.generation
    count = len(pool.spec.queues)
    message = f"work pool {observed.name!r} has {count} queue{'s' * (count != 1)} and the default one"
    if DEFAULT_QUEUE in {queue.name for queue in pool.spec.queues}:
        message = f"work pool {observed.name!r} has {count} queue{'s' * (count != 1)}"
    reason = Reason.SUSPENDED if pool.spec.suspend else Reason.RECONCILED
    return LabPoolStatus(
        observed_generation=generation,
        conditions=verdicts.ready(old.conditions, message, now=now, generation=generation, reason=reason),
        pool_name=observed.name,
        pool_id=observed.id,
        queues=queues,
    ).wire()


def wanted_queues(pool: LabPool) -> list[Queue]:
    """The queues in order of priority; `default` comes last unless the spec lists it."""
    queues = sorted(pool.spec.queues, key=lambda queue: queue.priority)
    if all(queue.name != DEFAULT_QUEUE for queue in queues):
        last = max((queue.priority for queue in queues), default=0)
        # Behind a queue of the largest priority that a spec may give there must be a place for it, too.
        queues.append(Queue(name=DEFAULT_QUEUE, priority=1).model_copy(update={"priority": last + 1}))
    return queues


def owner_of(description: str) -> str | None:
    """The uid in a work pool's description, if Labkeeper manages it."""
    found = _OWNER.search(description)
    return found[1] if found else None


def _description(pool: LabPool) -> str:
    owner = f"Managed by Labkeeper: LabPool {pool.metadata.key}, uid {pool.metadata.uid}."
    return f"{pool.spec.description}\n\n{owner}" if pool.spec.description else owner


def _pool_body(pool: LabPool, prefect_type: str) -> dict[str, Any]:
    return {
        "name": pool.prefect_name,
        "type": prefect_type,
        "description": _description(pool),
        "is_paused": pool.spec.suspend,
        "concurrency_limit": pool.spec.concurrency_limit,
        "base_job_template": _job_template(pool),
    }


def _job_template(pool: LabPool) -> dict[str, Any]:
    """Device pools get ours; the worker of any other pool fills in its own while the template is empty."""
    return wire.device_job_template() if pool.spec.type is PoolType.DEVICE else {}


def _pool_changes(pool: LabPool, observed: ObservedPool) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if observed.description != _description(pool):
        changes["description"] = _description(pool)
    if observed.is_paused != pool.spec.suspend:
        changes["is_paused"] = pool.spec.suspend
    if observed.concurrency_limit != pool.spec.concurrency_limit:
        changes["concurrency_limit"] = pool.spec.concurrency_limit
    template = _job_template(pool)
    if template and observed.base_job_template != template:
        changes["base_job_template"] = template
    return changes


def _check_ownership(pool: LabPool, observed: ObservedPool, prefect_type: str) -> None:
    owner = owner_of(observed.description)
    if owner != pool.metadata.uid and not pool.spec.adopt:
        whose = "another LabPool's" if owner else "not made by Labkeeper"
        raise Stalled(
            Reason.CONFLICT,
            f"work pool {observed.name!r} exists in Prefect and is {whose}: set spec.adopt: true to take it over, "
            "or give another spec.prefect.poolName",
        )
    if observed.type != prefect_type:
        raise Stalled(
            Reason.CONFLICT,
            f"work pool {observed.name!r} is of type {observed.type!r}, which Prefect cannot change to "
            f"{prefect_type!r}: delete it, or give another spec.prefect.poolName",
        )


def _queue_actions(pool: LabPool, observed: ObservedPool) -> list[Action]:
    """Remove what this resource made and no longer wants, create what is missing, then bring all into order."""
    wanted = wanted_queues(pool)
    names = {queue.name for queue in wanted}
    made = {queue.name for queue in pool.status.queues} if pool.status else set()
    seen = {queue.name: queue for queue in observed.queues}
    stale = sorted(name for name in seen if name in made - names and name != DEFAULT_QUEUE)
    missing = [queue for queue in wanted if queue.name not in seen]
    actions: list[Action] = [DeleteQueue(observed.name, name) for name in stale]
    actions.extend(CreateQueue(observed.name, {"name": queue.name, **_queue_fields(queue)}) for queue in missing)
    if missing or stale:
        # The priorities that result are Prefect's to choose; the next round sees and orders them.
        return actions
    return _field_actions(wanted, seen, observed.name)


def _field_actions(wanted: Iterable[Queue], seen: dict[str, ObservedQueue], pool: str) -> list[Action]:
    """Changes of single queues, priorities in ascending order.

    Setting a priority moves only queues at or behind it, so each one set stays where it was put.
    """
    actions: list[Action] = []
    disturbed = False
    for queue in wanted:
        current = seen[queue.name]
        changes = {key: value for key, value in _queue_fields(queue).items() if getattr(current, key) != value}
        disturbed = disturbed or current.priority != queue.priority
        if disturbed:
            changes["priority"] = queue.priority
        if changes:
            actions.append(UpdateQueue(pool, queue.name, changes))
    return actions


def _queue_fields(queue: Queue) -> dict[str, Any]:
    return {
        "description": queue.description or "",
        "is_paused": queue.suspend,
        "concurrency_limit": queue.concurrency_limit,
    }
