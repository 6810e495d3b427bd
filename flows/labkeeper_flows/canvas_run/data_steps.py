"""Carries out the `data` steps of a run: what is noted, exported and handed to the optimiser. No devices."""

from __future__ import annotations

from typing import Any

from labkeeper_flows.canvas.accounting import Work
from labkeeper_flows.canvas.steps import Step
from labkeeper_flows.canvas_run.context import RunContext


class DataSteps:
    """The data steps of one run; called under the context's lock."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def carry_out(self, work: Work, step: Step) -> dict[str, Any]:
        """Do one step; what it returns is kept in the record. Raises `LabkeeperError`."""
        del work
        if step.operation == "export":
            return {"files": []}
        return {"noted": dict(step.parameters)}
