"""The controller: takes objects that are due, has them reconciled and writes what came of it.

The same one runs in the operator and in the embedded lab; `ports.Cluster` is where they differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from labkeeper_api.catalog import Catalog
from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabAction, LabDevice, LabPool, LabRun, LabWorkflow
from labkeeper_api.meta import FINALIZER
from labkeeper_operator.claims import Claims
from labkeeper_operator.dependents import dependents
from labkeeper_operator.objects import Entry, Key, Objects
from labkeeper_operator.observer import Observer
from labkeeper_operator.ports import Cluster
from labkeeper_operator.prefect_api.gateway import Gateway
from labkeeper_operator.prefect_api.reads import PrefectReader
from labkeeper_operator.prefect_api.session import PrefectSession, Surprise, understood
from labkeeper_operator.reconcile import verdicts, workflows
from labkeeper_operator.reconcile.histories import Histories
from labkeeper_operator.reconcile.observed import ObservedDeployment
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
from labkeeper_operator.resync import Resync
from labkeeper_operator.run_news import RunNews
from labkeeper_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

BATCH = 100
"""Objects taken at once; their deployments are read together."""
RESYNC_SECONDS = 60.0
WITH_FINALIZER = ("LabPool", "LabWorkflow", "LabRun")
"""Kinds that stand for something in Prefect."""


@dataclass(frozen=True)
class Look:
    """What a step saw of Prefect before it reconciles: the deployments of these workflows, or why it saw none."""

    workflows: frozenset[Key]
    deployments: list[ObservedDeployment] | Waiting | Stalled


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
        reader = PrefectReader(session)
        self.objects = Objects()
        self.queue = WorkQueue(clock)
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
        self._settled: set[Key] = set()
        self._run_news = RunNews(self._lab, self.queue)
        self._observer = Observer(reader, self._run_news, clock=clock, poll=poll)
        self._pools = PoolReconciler(self._lab)
        self._workflows = WorkflowReconciler(self._lab)
        self._runs = RunReconciler(self._lab)
        self._devices = DeviceReconciler(self._lab)
        self._actions = ActionReconciler()
        self._resync = Resync(
            self._lab,
            self._workflows,
            self.queue,
            every=resync,
            settled=lambda key: key in self._settled,
            again=self._again,
        )

    # What the cluster tells.

    def seen(self, raw: dict[str, Any]) -> None:
        """An object is there or has changed."""
        before = self.objects.entry(Key.of(raw))
        entry = self.objects.put(raw)
        if entry is None:
            return
        self._settled.discard(entry.key)
        self.queue.add(entry.key)
        self._propagate(before, entry)

    def gone(self, raw: dict[str, Any]) -> None:
        """An object is gone."""
        key = Key.of(raw)
        last = self.objects.entry(key)
        self.objects.remove(key, raw.get("metadata", {}).get("uid", ""))
        if self.objects.entry(key) is None:
            self.queue.forget(key)
            self._again(*self._lab.claims.remove(key), *dependents(self.objects, key, last))

    # The loops.

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work(), name="controller-work")
            tasks.create_task(self._resync.run(), name="resync")
            tasks.create_task(self._observer.run(), name="observer")

    async def _work(self) -> None:
        while True:
            await self.step()

    async def step(self) -> None:
        """Wait until objects are due and reconcile them once."""
        keys = await self.queue.take(BATCH)
        entries = [entry for key in keys if (entry := self.objects.entry(key)) is not None]
        look = await self._look(entries)
        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                tasks.create_task(self._reconcile(entry, look))

    async def _look(self, entries: list[Entry]) -> Look:
        wanted = {
            entry.key: entry.obj
            for entry in entries
            if isinstance(entry.obj, LabWorkflow) and not entry.problems and not self._is_settled(entry.key, entry.obj)
        }
        # Settled from here on: whatever changes while they are worked on makes them due once more.
        self._settled.update(wanted)
        if not wanted:
            return Look(frozenset(), [])
        try:
            return Look(frozenset(wanted), await self._workflows.observe(wanted.values()))
        except (Waiting, Stalled, Surprise) as error:
            return Look(frozenset(wanted), understood(error))

    def _is_settled(self, key: Key, workflow: LabWorkflow) -> bool:
        """Whether nothing but its runs can have changed since it was reconciled."""
        return key in self._settled and workflow.status is not None and workflow.status.deployment_id is not None

    async def _reconcile(self, entry: Entry, look: Look) -> None:
        key = entry.key
        try:
            outcome = await self._outcome(entry, look)
            await self._conclude(entry, outcome)
            self.queue.succeeded(key)
        except (Waiting, Stalled, Surprise) as error:
            log.info("%s: %s", key, error)
            self._settled.discard(key)
            await self._set_back(entry, understood(error))
        except Exception:
            # A mistake of ours must neither stop the other objects nor go unseen.
            self._settled.discard(key)
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

    async def _outcome(self, entry: Entry, look: Look) -> Outcome:
        obj = entry.obj
        if obj.metadata.deleting:
            return await self._deletion(entry)
        if entry.problems:
            raise Stalled(Reason.INVALID_SPEC, "; ".join(entry.problems))
        if entry.key.kind in WITH_FINALIZER and FINALIZER not in obj.metadata.finalizers:
            held = await self._cluster.add_finalizer(obj)
            if held is None:
                # It was deleted before we could hold it back: nothing may come into being for it any more.
                return Outcome()
            self._keep(held)
        match obj:
            case LabPool():
                return await self._pools.reconcile(obj)
            case LabWorkflow():
                return await self._workflow(entry.key, obj, look)
            case LabRun():
                return await self._runs.reconcile(obj)
            case LabDevice():
                return await self._devices.reconcile(obj)
            case LabAction():
                return await self._actions.reconcile(obj)
        raise TypeError(f"no reconciler for {entry.key}")

    async def _workflow(self, key: Key, workflow: LabWorkflow, look: Look) -> Outcome:
        if key not in look.workflows:
            deployment_id = workflow.status.deployment_id if workflow.status is not None else None
            return Outcome(workflows.history_status(workflow, self._lab.histories.get(deployment_id or "")))
        if not isinstance(look.deployments, list):
            raise look.deployments
        return await self._workflows.reconcile(workflow, look.deployments)

    async def _deletion(self, entry: Entry) -> Outcome:
        obj = entry.obj
        if FINALIZER not in obj.metadata.finalizers:
            return Outcome()
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
        if outcome.status is not None and not verdicts.is_said(obj, outcome.status):
            self._keep(await self._cluster.write_status(obj, outcome.status))
        if outcome.look_again is not None:
            self.queue.add_at(entry.key, outcome.look_again)

    def _keep(self, raw: dict[str, Any] | None) -> None:
        """Take in the answer to our own write: what it changed need not be looked at again, what depends on it must.

        The answer also holds what others changed just before, and may come before the event that tells of it.
        """
        if raw is None:
            return
        before = self.objects.entry(Key.of(raw))
        entry = self.objects.put(raw)
        if entry is None:
            return
        if before is None or before.asked != entry.asked:
            self._again(entry.key)
        self._propagate(before, entry)

    def _propagate(self, before: Entry | None, entry: Entry) -> None:
        if isinstance(entry.obj, LabWorkflow):
            self._index(entry)
        if before is None or before.offered != entry.offered:
            self._again(*dependents(self.objects, entry.key, before, entry))

    def _again(self, *keys: Key) -> None:
        self._settled.difference_update(keys)
        self.queue.add(*keys)

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
            self._run_news.follow(status, entry.key)
