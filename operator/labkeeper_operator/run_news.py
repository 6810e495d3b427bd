"""What becomes of flow runs, brought to the objects that they concern. Queues them; decides and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labkeeper_api.kinds import LabRun, LabWorkflow
from labkeeper_api.kinds.labworkflow import LabWorkflowStatus
from labkeeper_operator.objects import Key
from labkeeper_operator.reconcile import runs
from labkeeper_operator.reconcile.observed import ObservedRun
from labkeeper_operator.reconcilers import Lab
from labkeeper_operator.workqueue import WorkQueue


class RunNews:
    """The observer's listener."""

    def __init__(self, lab: Lab, queue: WorkQueue) -> None:
        self._lab = lab
        self._queue = queue
        self._deployments: dict[str, Key] = {}

    def follow(self, status: LabWorkflowStatus, key: Key) -> None:
        """The runs of the deployment that this status names concern that LabWorkflow."""
        if status.deployment_id is not None:
            self._deployments[status.deployment_id] = key
            self._lab.histories.begin(status.deployment_id, status)

    def runs_changed(self, found: Iterable[ObservedRun]) -> None:
        """Flow runs were seen; the objects that they concern get their status refreshed."""
        unfinished = {run.metadata.uid: run for run in self._lab.objects.all(LabRun) if not runs.finished(run)}
        for run in found:
            if self._lab.histories.absorb(run) and run.deployment_id in self._deployments:
                self._queue.add(self._deployments[run.deployment_id])
            owner = unfinished.get(run.idempotency_key or "")
            if owner is not None and self._lab.runs_by_key.get(owner.metadata.uid) != run:
                self._lab.runs_by_key[owner.metadata.uid] = run
                self._queue.add(Key("LabRun", owner.metadata.namespace, owner.metadata.name))

    def runs_gone(self, ids: Iterable[str]) -> None:
        """Prefect no longer has these flow runs; the LabRuns that they belong to say so."""
        lost = set(ids)
        for run in self._lab.objects.all(LabRun):
            if run.status is not None and run.status.flow_run_id in lost:
                self._lab.runs_by_key.pop(run.metadata.uid, None)
                self._queue.add(Key("LabRun", run.metadata.namespace, run.metadata.name))

    def unfinished_runs(self) -> list[str]:
        """Flow runs of LabRuns that have not ended."""
        return [
            run.status.flow_run_id
            for run in self._lab.objects.all(LabRun)
            if run.status is not None and run.status.flow_run_id and not runs.finished(run)
        ]

    def counted_until(self) -> datetime | None:
        """When the last run ended that some LabWorkflow's status tells of."""
        ends = [
            workflow.status.last_run.ended
            for workflow in self._lab.objects.all(LabWorkflow)
            if workflow.status and workflow.status.last_run and workflow.status.last_run.ended
        ]
        return max(ends, default=None)
