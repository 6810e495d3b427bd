"""Looks at everything in Prefect now and then, so that what was changed there behind our back is put right.

Queues what is to be reconciled. The one thing that it does by itself is to stop runs that go on for too long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from labkeeper_api.errors import LabkeeperError
from labkeeper_api.kinds import LabPool, LabWorkflow
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_operator.objects import Key
from labkeeper_operator.reconcile import runs
from labkeeper_operator.reconcilers import Lab, WorkflowReconciler
from labkeeper_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Again(Protocol):
    """Makes objects due, to be looked at whole."""

    def __call__(self, *keys: Key) -> None: ...


class Resync:
    """One look at all deployments every so many seconds."""

    def __init__(
        self,
        lab: Lab,
        workflows: WorkflowReconciler,
        queue: WorkQueue,
        *,
        every: float,
        settled: Callable[[Key], bool],
        again: Again,
    ) -> None:
        self._lab = lab
        self._workflows = workflows
        self._queue = queue
        self._every = every
        self._settled = settled
        self._again = again

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except LabkeeperError as error:
                log.info("cannot look at all deployments now: %s", error)

    async def _look(self) -> None:
        """Queue all objects whose Prefect side is not as it should be."""
        self._queue.add(*(entry.key for entry in self._lab.objects.entries(LabPool)))
        seen = await self._lab.reader.all_deployments()
        for workflow in self._lab.objects.all(LabWorkflow):
            key = Key("LabWorkflow", workflow.metadata.namespace, workflow.metadata.name)
            if not self._settled(key) or self._workflows.differs(workflow, seen):
                self._again(key)
            await self._refresh_due(key, workflow)
            await self._stop_overdue(workflow)

    async def _refresh_due(self, key: Key, workflow: LabWorkflow) -> None:
        status = workflow.status
        if status is None or status.deployment_id is None or not workflow.spec.schedules:
            return
        if status.next_run is None or status.next_run <= self._lab.clock():
            due = await self._lab.reader.next_due(status.deployment_id)
            if self._lab.histories.due(status.deployment_id, due):
                self._queue.add(key)

    async def _stop_overdue(self, workflow: LabWorkflow) -> None:
        """Device agents keep the timeout themselves, to the moment; here it is kept for all other runs."""
        lab, status = self._lab, workflow.status
        pool = lab.objects.get(LabPool, workflow.metadata.namespace, workflow.spec.placement.pool)
        if status is None or status.deployment_id is None or pool is None or pool.spec.type is PoolType.DEVICE:
            return
        last, timeout = lab.histories.get(status.deployment_id).last, workflow.spec.timeout_seconds
        if last is None or not runs.plan_timeout(last, timeout, now=lab.clock()):
            return
        found = await lab.reader.runs([last.id])
        if not found:
            # Somebody deleted it: trying to stop it would fail at every look, for ever.
            lab.histories.lose(status.deployment_id, last.id)
        for run in found:
            await lab.gateway.apply(runs.plan_timeout(run, timeout, now=lab.clock()))
