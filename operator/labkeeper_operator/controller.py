"""The controller: takes objects that are due, has them reconciled and writes what came of it.

The same one runs in the operator and in the embedded lab; `ports.Cluster` is where they differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from labkeeper_api.catalog import Catalog
from labkeeper_api.conditions import ConditionType, Reason, is_true
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabAction, LabDevice, LabObject, LabPool, LabRun, LabWorkflow
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_api.meta import FINALIZER
from labkeeper_operator.claims import Claims
from labkeeper_operator.objects import Entry, Key, Objects
from labkeeper_operator.observer import Observer
from labkeeper_operator.ports import Cluster
from labkeeper_operator.prefect_api.gateway import Gateway
from labkeeper_operator.prefect_api.reads import PrefectReader
from labkeeper_operator.prefect_api.session import PrefectSession
from labkeeper_operator.reconcile import plan as p
from labkeeper_operator.reconcile import runs, verdicts, workflows
from labkeeper_operator.reconcile.histories import Histories
from labkeeper_operator.reconcile.observed import ObservedDeployment, ObservedRun
from labkeeper_operator.reconcilers import (
    ActionReconciler,
    DeviceReconciler,
    Lab,
    Outcome,
    PoolReconciler,
    RunReconciler,
    Surroundings,
    WorkflowReconciler,
)
from labkeeper_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

BATCH = 100
"""Objects taken at once; their deployments are read together."""
RESYNC_SECONDS = 60.0
WITH_FINALIZER = ("LabPool", "LabWorkflow", "LabRun")
"""Kinds that stand for something in Prefect."""


class Controller:
    """Keeps Prefect as the objects say, and the objects' status as Prefect is."""

    def __init__(
        self,
        cluster: Cluster,
        session: PrefectSession,
        catalog: Catalog,
        surroundings: Surroundings,
        *,
        clock: Callable[[], datetime],
        poll: float = 10.0,
        resync: float = RESYNC_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._resync = resync
        reader = PrefectReader(session)
        self.objects = Objects()
        self.queue = WorkQueue(clock)
        self.observer = Observer(reader, self, clock=clock, poll=poll)
        self._lab = Lab(
            gateway=Gateway(session, reader),
            reader=reader,
            catalog=catalog,
            surroundings=surroundings,
            objects=self.objects,
            claims=Claims(catalog),
            histories=Histories(),
            runs_by_key={},
            clock=clock,
        )
        self._deployments: dict[str, Key] = {}
        self._settled: set[Key] = set()
        self._pools = PoolReconciler(self._lab)
        self._workflows = WorkflowReconciler(self._lab)
        self._runs = RunReconciler(self._lab)
        self._devices = DeviceReconciler(self._lab)
        self._actions = ActionReconciler()

    # What the world tells.

    def seen(self, raw: dict[str, Any]) -> None:
        """An object is there or has changed."""
        before = self.objects.entry(_key_of(raw))
        entry = self.objects.put(raw)
        if entry is None:
            return
        self._settled.discard(entry.key)
        self.queue.add(entry.key)
        self._propagate(before, entry)

    def gone(self, raw: dict[str, Any]) -> None:
        """An object is gone."""
        key = _key_of(raw)
        self.objects.remove(key, raw.get("metadata", {}).get("uid", ""))
        if self.objects.entry(key) is None:
            self.queue.forget(key)
            self._again(*self._lab.claims.remove(key))

    def runs_changed(self, found: Iterable[ObservedRun]) -> None:
        """Flow runs were seen; the objects that they concern get their status refreshed."""
        unfinished = {run.metadata.uid: run for run in self.objects.all(LabRun) if not runs.finished(run)}
        for run in found:
            if self._lab.histories.absorb(run) and run.deployment_id in self._deployments:
                self.queue.add(self._deployments[run.deployment_id])
            owner = unfinished.get(run.idempotency_key or "")
            if owner is not None and self._lab.runs_by_key.get(owner.metadata.uid) != run:
                self._lab.runs_by_key[owner.metadata.uid] = run
                self.queue.add(Key("LabRun", owner.metadata.namespace, owner.metadata.name))

    def unfinished_runs(self) -> list[str]:
        """Flow runs of LabRuns that have not ended."""
        return [
            run.status.flow_run_id
            for run in self.objects.all(LabRun)
            if run.status is not None and run.status.flow_run_id and not runs.finished(run)
        ]

    def counted_until(self) -> datetime | None:
        """When the last run ended that some LabWorkflow's status tells of."""
        ends = [
            workflow.status.last_run.ended
            for workflow in self.objects.all(LabWorkflow)
            if workflow.status and workflow.status.last_run and workflow.status.last_run.ended
        ]
        return max(ends, default=None)

    # The loops.

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work(), name="controller-work")
            tasks.create_task(self._resync_all(), name="controller-resync")
            tasks.create_task(self.observer.run(), name="observer")

    async def _work(self) -> None:
        while True:
            await self.step()

    async def step(self) -> None:
        """Wait until objects are due and reconcile them once."""
        keys = await self.queue.take(BATCH)
        entries = [entry for key in keys if (entry := self.objects.entry(key)) is not None]
        waiting = await self._observe(entries)
        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                tasks.create_task(self._reconcile(entry, waiting))

    async def _observe(self, entries: list[Entry]) -> list[ObservedDeployment] | Waiting:
        wanted = [
            entry.obj
            for entry in entries
            if isinstance(entry.obj, LabWorkflow) and not entry.problems and entry.key not in self._settled
        ]
        if not wanted:
            return []
        try:
            return await self._workflows.observe(wanted)
        except Waiting as error:
            return error

    async def _reconcile(self, entry: Entry, seen: list[ObservedDeployment] | Waiting) -> None:
        key = entry.key
        try:
            outcome = await self._outcome(entry, seen)
            await self._conclude(entry, outcome)
            self.queue.succeeded(key)
        except (Waiting, Stalled) as error:
            log.info("%s: %s", key, error)
            await self._set_back(entry, error)
        except Exception:
            # A mistake of ours must neither stop the other objects nor go unseen.
            log.exception("%s: unexpected error", key)
            self.queue.add_at(key, self._clock() + timedelta(seconds=verdicts.MAX_BACKOFF))

    async def _set_back(self, entry: Entry, error: Waiting | Stalled) -> None:
        failures = self.queue.failed(entry.key)
        status = verdicts.translate(error, entry.obj, now=self._clock())
        try:
            await self._conclude(entry, Outcome(status))
        except Waiting as away:
            log.warning("%s: its status cannot be written now: %s", entry.key, away)
            error = away
        again = verdicts.retry_at(error, failures, now=self._clock())
        if again is not None:
            self.queue.add_at(entry.key, again)

    async def _outcome(self, entry: Entry, seen: list[ObservedDeployment] | Waiting) -> Outcome:
        obj = entry.obj
        if obj.metadata.deleting:
            return await self._deletion(entry)
        if entry.problems:
            raise Stalled(Reason.INVALID_SPEC, "; ".join(entry.problems))
        if entry.key.kind in WITH_FINALIZER and FINALIZER not in obj.metadata.finalizers:
            self._keep(await self._cluster.add_finalizer(obj))
        match obj:
            case LabPool():
                return await self._pools.reconcile(obj)
            case LabWorkflow():
                return await self._workflow(entry.key, obj, seen)
            case LabRun():
                return await self._runs.reconcile(obj)
            case LabDevice():
                return await self._devices.reconcile(obj)
            case LabAction():
                return await self._actions.reconcile(obj)
        raise TypeError(f"no reconciler for {entry.key}")

    async def _workflow(self, key: Key, workflow: LabWorkflow, seen: list[ObservedDeployment] | Waiting) -> Outcome:
        if key in self._settled and workflow.status is not None and workflow.status.deployment_id:
            # Nothing but its runs can have changed.
            history = self._lab.histories.get(workflow.status.deployment_id)
            return Outcome(workflows.history_status(workflow, history))
        if isinstance(seen, Waiting):
            raise seen
        outcome = await self._workflows.reconcile(workflow, seen)
        self._settled.add(key)
        return outcome

    async def _deletion(self, entry: Entry) -> Outcome:
        obj = entry.obj
        if FINALIZER not in obj.metadata.finalizers:
            return Outcome()
        if entry.problems:
            # Its spec cannot be read, so what it stood for cannot be known: let it go rather than hang.
            return Outcome(release=True)
        match obj:
            case LabPool():
                return await self._pools.delete(obj)
            case LabWorkflow():
                return await self._workflows.delete(obj)
            case LabRun():
                return await self._runs.delete(obj)
        return Outcome(release=True)

    async def _conclude(self, entry: Entry, outcome: Outcome) -> None:
        obj = entry.obj
        if outcome.release:
            self._keep(await self._cluster.remove_finalizer(obj))
            return
        if outcome.delete:
            await self._cluster.delete(obj)
            return
        if outcome.status is not None and not _same_status(obj, outcome.status):
            self._keep(await self._cluster.write_status(obj, outcome.status))
        if outcome.look_again is not None:
            self.queue.add_at(entry.key, outcome.look_again)

    def _keep(self, raw: dict[str, Any] | None) -> None:
        """Take in the answer to our own write: what it changed need not be looked at again, what depends on it must."""
        if raw is None:
            return
        before = self.objects.entry(_key_of(raw))
        entry = self.objects.put(raw)
        if entry is not None:
            self._propagate(before, entry)

    def _propagate(self, before: Entry | None, entry: Entry) -> None:
        if isinstance(entry.obj, LabWorkflow):
            self._index(entry)
        if before is None or _dependency(before) != _dependency(entry):
            dependents = self._dependents(entry)
            self._settled.difference_update(dependents)
            self.queue.add(*dependents)

    async def _resync_all(self) -> None:
        """Look at everything now and then: what was changed in Prefect behind our back is put right."""
        while True:
            await asyncio.sleep(self._resync)
            try:
                await self.resync()
            except (Waiting, Stalled) as error:
                log.info("cannot look at all deployments now: %s", error)

    async def resync(self) -> None:
        """Queue all objects whose Prefect side is not as it should be."""
        seen = await self._lab.reader.all_deployments()
        for workflow in self.objects.all(LabWorkflow):
            if self._workflows.differs(workflow, seen):
                self._again(Key("LabWorkflow", workflow.metadata.namespace, workflow.metadata.name))
            await self._refresh_due(workflow)
            await self._stop_overdue(workflow)
        self.queue.add(*(entry.key for entry in self.objects.entries(LabPool)))

    def _again(self, *keys: Key) -> None:
        self._settled.difference_update(keys)
        self.queue.add(*keys)

    async def _refresh_due(self, workflow: LabWorkflow) -> None:
        status = workflow.status
        if status is None or status.deployment_id is None or not workflow.spec.schedules:
            return
        if status.next_run is None or status.next_run <= self._clock():
            due = await self._lab.reader.next_due(status.deployment_id)
            if self._lab.histories.due(status.deployment_id, due):
                self.queue.add(self._deployments[status.deployment_id])

    async def _stop_overdue(self, workflow: LabWorkflow) -> None:
        """Device agents keep the timeout themselves, to the moment; here it is kept for all other runs."""
        timeout, status = workflow.spec.timeout_seconds, workflow.status
        pool = self.objects.get(LabPool, workflow.metadata.namespace, workflow.spec.placement.pool)
        if timeout is None or status is None or status.deployment_id is None:
            return
        last = self._lab.histories.get(status.deployment_id).last
        if last is None or last.started is None or last.state_type != "RUNNING":
            return
        overdue = (self._clock() - last.started).total_seconds() > timeout
        if overdue and pool is not None and pool.spec.type is not PoolType.DEVICE:
            await self._lab.gateway.apply(p.Plan((p.CancelRun(last.id),)))

    # Small helpers.

    def _index(self, entry: Entry) -> None:
        if entry.problems or not isinstance(entry.obj, LabWorkflow):
            self._again(*self._lab.claims.remove(entry.key))
            return
        before = self._lab.claims.name_of(entry.key)
        concerned = self._lab.claims.put(entry.key, entry.obj)
        if before != self._lab.claims.name_of(entry.key):
            self._again(*concerned)
        status = entry.obj.status
        if status is not None and status.deployment_id is not None:
            self._deployments[status.deployment_id] = entry.key
            self._lab.histories.begin(status.deployment_id, status)

    def _dependents(self, entry: Entry) -> list[Key]:
        """Objects whose state depends on that of a pool or a workflow."""
        key = entry.key
        if key.kind == "LabPool":
            refs: list[LabObject] = [
                *(w for w in self.objects.all(LabWorkflow) if w.spec.placement.pool == key.name),
                *(d for d in self.objects.all(LabDevice) if d.spec.pool == key.name),
            ]
        elif key.kind == "LabWorkflow":
            refs = [
                r for r in self.objects.all(LabRun) if r.spec.workflow_ref.name == key.name and not runs.finished(r)
            ]
        else:
            refs = []
        return [
            Key(ref.kind, ref.metadata.namespace, ref.metadata.name)
            for ref in refs
            if ref.metadata.namespace == key.namespace
        ]


def _key_of(raw: dict[str, Any]) -> Key:
    metadata = raw.get("metadata", {})
    return Key(raw["kind"], metadata.get("namespace", "default"), metadata["name"])


def _dependency(entry: Entry) -> tuple[int, bool]:
    """What others depend on: the spec and whether it is ready."""
    conditions = getattr(getattr(entry.obj, "status", None), "conditions", [])
    return entry.obj.metadata.generation, is_true(conditions, ConditionType.READY)


def _same_status(obj: LabObject, status: dict[str, Any]) -> bool:
    return bool(verdicts.current_status(obj) == obj.status_model.model_validate(status))
