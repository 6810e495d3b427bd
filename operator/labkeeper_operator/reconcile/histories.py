"""What became of the runs of each workflow. Pure state: fed with observed runs, asked for a history.

Counts go on from what `status` says; each run is counted once by its id. Where the status was written in the middle of
a run it cannot tell which ended runs it counts: then somebody has to count them anew.
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
        self._unsure: set[str] = set()

    def begin(self, deployment_id: str, status: LabWorkflowStatus | None) -> None:
        """Start from what `status` says, unless this deployment is known already."""
        if deployment_id in self._histories:
            return
        runs, last = (status.runs, status.last_run) if status else (None, None)
        counts = {state: getattr(runs, state.lower()) if runs else 0 for state in TERMINAL_TYPES}
        self._histories[deployment_id] = RunHistory(counts=counts, next_due=status.next_run if status else None)
        self._counted_until[deployment_id] = (last.ended if last else None) or _LONG_AGO
        if last is not None and last.ended is None:
            # In another deployment than the one that `status` counts, no run was counted yet.
            if status is None or status.deployment_id in (None, deployment_id):
                self._unsure.add(deployment_id)
        elif last is not None and last.state.upper() in TERMINAL_TYPES:
            self._counted[last.id] = last.state.upper()

    def unsure(self, deployment_id: str) -> bool:
        """Whether the ended runs of that deployment have to be counted anew; until then none are counted."""
        return deployment_id in self._unsure

    def recount(self, deployment_id: str, counts: dict[str, int], until: datetime | None) -> None:
        """Take over how many runs had ended in each way up to that moment."""
        known = {state: counts.get(state, 0) for state in TERMINAL_TYPES}
        self._histories[deployment_id] = replace(self.get(deployment_id), counts=known)
        self._counted_until[deployment_id] = until or _LONG_AGO
        self._unsure.discard(deployment_id)

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
        self._unsure.discard(deployment_id)

    def lose(self, deployment_id: str, run_id: str) -> None:
        """That run is no longer in Prefect."""
        old = self.get(deployment_id)
        if old.last is not None and old.last.id == run_id:
            self._histories[deployment_id] = replace(old, last=None)

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
        if run.terminal and run.deployment_id not in self._unsure:
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
