"""LabDevice to status: whether agents serve its units. Pure. Not for rendering DaemonSets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from labkeeper_api.catalog import Catalog
from labkeeper_api.conditions import ConditionType, Reason, said, without
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds.labdevice import LabDevice, LabDeviceStatus, UnitStatus
from labkeeper_api.kinds.labpool import LabPool, PoolType
from labkeeper_api.suggestions import did_you_mean
from labkeeper_api.wire import unit_name
from labkeeper_operator.reconcile import verdicts
from labkeeper_operator.reconcile.observed import ObservedWorker

POOL_RETRY_SECONDS = 2.0


def check(device: LabDevice, pool: LabPool | None, known_pools: tuple[str, ...], catalog: Catalog) -> LabPool:
    """The pool that the device serves. Raises `Stalled` for what a person has to mend, `Waiting` before it is ready."""
    spec = device.spec
    drivers = sorted({entry.driver for entry in catalog.entries if entry.driver})
    if spec.driver not in drivers:
        hint = did_you_mean(spec.driver, drivers)
        raise Stalled(Reason.INVALID_SPEC, f"there is no driver {spec.driver!r}: {hint}")
    if pool is None:
        hint = did_you_mean(spec.pool, known_pools) or "apply a LabPool of that name first"
        raise Stalled(Reason.UNKNOWN_POOL, f"there is no LabPool {spec.pool!r} in this namespace: {hint}")
    if pool.spec.type is not PoolType.DEVICE:
        raise Stalled(
            Reason.UNSUITABLE_POOL,
            f"a LabDevice serves a LabPool of type device, but {spec.pool!r} is of type kubernetes",
        )
    queues = [queue.name for queue in pool.spec.queues]
    for queue in spec.queues:
        if queue not in (*queues, "default"):
            hint = did_you_mean(queue, queues)
            raise Stalled(Reason.UNKNOWN_QUEUE, f"LabPool {spec.pool!r} has no queue {queue!r}: {hint}")
    if pool.status is None or pool.status.pool_name is None:
        raise Waiting(Reason.POOL_NOT_READY, f"LabPool {spec.pool!r} is not ready yet", retry_after=POOL_RETRY_SECONDS)
    return pool


def status(device: LabDevice, workers: tuple[ObservedWorker, ...], *, now: datetime) -> dict[str, Any]:
    """The status of a device from the workers that serve its pool."""
    prefix = unit_name(device.metadata.namespace, device.metadata.name, "")
    units = [
        UnitStatus(name=worker.name, state="Online" if worker.online else "Offline")
        for worker in sorted(workers, key=lambda worker: worker.name)
        if worker.name.startswith(prefix)
    ]
    online = sum(unit.state == "Online" for unit in units)
    old = verdicts.current_status(device)
    generation = device.metadata.generation
    if online:
        message = f"{online} of {len(units)} units online"
        conditions = verdicts.ready(old.conditions, message, now=now, generation=generation, reason=Reason.UNIT_ONLINE)
    else:
        message = "no agent serves this device: start one on the host that has the hardware with `labkeeper agent run`"
        conditions = without(old.conditions, ConditionType.STALLED, ConditionType.RECONCILING)
        conditions = said(
            conditions,
            ConditionType.READY,
            False,
            Reason.UNIT_OFFLINE,
            message,
            now=now,
            generation=generation,
        )
    return LabDeviceStatus(observed_generation=generation, conditions=conditions, units=units, online=online).wire()
