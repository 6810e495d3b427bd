"""Notes the tips that a run picks up in the lab's ledger, and gives back what the robot refused. Not the ledger."""

from __future__ import annotations

from labkeeper_flows.canvas.steps import Role, Step
from labkeeper_flows.canvas_run.context import RunContext


class Tips:
    """The lab's tip ledger as one run sees it."""

    def __init__(self, context: RunContext) -> None:
        units = [it.unit for it in context.reserved if it.role is Role.OT2]
        self._unit = units[0] if units else ""
        self._store = context.settings.tips if units else None
        self._racks = context.plan.tips_used

    def take(self, step: Step, taker: str) -> str:
        """Note the tip that a step is about to pick up; why it cannot be had, or nothing."""
        tip = self._tip(step)
        if tip is None or self._store is None or self._store.take(self._unit, *tip, taker):
            return ""
        return f"the tip {tip[1]} of {tip[0]} is gone: another run took it since this one was planned"

    def give_back(self, step: Step, taker: str) -> None:
        """The robot refused before anything moved."""
        tip = self._tip(step)
        if tip is not None and self._store is not None:
            self._store.give_back(self._unit, *tip, taker)

    def _tip(self, step: Step) -> tuple[str, str] | None:
        if step.role is not Role.OT2 or step.operation != "pickup_tip":
            return None
        rack, well = str(step.parameters["labware"]), str(step.parameters["well"])
        # Electrodes and tools are picked up too, and are never used up.
        return (rack, well) if well in self._racks.get(rack, ()) else None
