"""What became of the runs of each workflow. Pure state: fed with observed runs, asked for a history.

Counts go on from what `status` says, so that a restarted operator needs no recount; each run is counted once by its id.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime

from labkeeper_api.kinds.labworkflow import LabWorkflowStatus
from labkeeper_operator.reconcile.observed import TERMINAL_TYPES, ObservedRun
from labkeeper_operator.reconcile.runs import RunHistory

REMEMBERED = 10_000
"""Ended runs whose ids are remembered, so that seeing them again does not count them again."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Histories:
    """Run histories by deployment id."""

    def __init__(self) -> None:
        self._histories: dict[str, RunHistory] = {}
        self._counted_until: dict[str, datetime] = {}
        self._counted: OrderedDict[str, str] = OrderedDict()

    def begin(self, deployment_id: str, status: LabWorkflowStatus | None) -> None:
        """Start from what `status` says, unless this deployment is known already."""
        if deployment_id in self._histories:
            return
        runs, last = (status.runs, status.last_run) if status else (None, None)
        counts = {state: getattr(runs, state.lower()) if runs else 0 for state in TERMINAL_TYPES}
        self._histories[deployment_id] = RunHistory(counts=counts, next_due=status.next_run if status else None)
        self._counted_until[deployment_id] = (last.ended if last else None) or _LONG_AGO

    def get(self, deployment_id: str) -> RunHistory:
        """The history of that deployment's runs."""
        return self._histories.get(deployment_id, RunHistory())

    def knows(self, deployment_id: str) -> bool:
        """Whether runs of that deployment are followed."""
        return deployment_id in self._histories

    def forget(self, deployment_id: str) -> None:
        """The deployment is gone."""
        self._histories.pop(deployment_id, None)
        self._counted_until.pop(deployment_id, None)

    def due(self, deployment_id: str, moment: datetime | None) -> bool:
        """Note when the next run is due; whether that is news."""
        old = self.get(deployment_id)
        if deployment_id not in self._histories or old.next_due == moment:
            return False
        self._histories[deployment_id] = replace(old, next_due=moment)
        return True

    def absorb(self, run: ObservedRun) -> bool:
        """Take in a run as it is now; whether that is news."""
        if run.deployment_id is None or run.deployment_id not in self._histories:
            return False
        old = self._histories[run.deployment_id]
        new = old
        if run.state_type != "SCHEDULED" and _is_later(run, old.last):
            new = replace(new, last=run)
        if run.terminal:
            new = replace(new, counts=self._count(run, dict(old.counts or {})))
        self._histories[run.deployment_id] = new
        return new != old

    def _count(self, run: ObservedRun, counts: dict[str, int]) -> dict[str, int]:
        before = self._counted.get(run.id)
        deployment_id = run.deployment_id or ""
        if before is None and (run.ended or _LONG_AGO) <= self._counted_until.get(deployment_id, _LONG_AGO):
            before = run.state_type
        if before != run.state_type:
            counts[run.state_type] = counts.get(run.state_type, 0) + 1
            if before is not None:
                counts[before] = max(0, counts.get(before, 0) - 1)
        self._counted[run.id] = run.state_type
        self._counted.move_to_end(run.id)
        while len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)
        return counts


def _is_later(run: ObservedRun, last: ObservedRun | None) -> bool:
    if last is None or run.id == last.id:
        return True
    return (run.changed or _LONG_AGO) >= (last.changed or _LONG_AGO)
