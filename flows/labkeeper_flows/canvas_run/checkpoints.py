"""Checkpoints of facts 1.5: small files that say how far a run has come, kept for a day. Resuming reads the record."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from labkeeper_flows.canvas.accounting import NodeState, Work
from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.context import RunContext
from labkeeper_flows.canvas_run.record import RecordLost

NAMES = {
    "sdl1ExperimentSetup": "experiment_setup_complete",
    "sdl1SolutionPreparation": "solution_preparation_complete",
    "sdl1SamplePreparation": "solution_preparation_complete",
    "sdl1ElectrodeSetup": "electrode_setup_complete",
    "sdl1ElectrochemicalMeasurement": "measurement_cycle_complete",
    "sdl1WashCleaning": "cleaning_complete",
    "sdl1HardwareWashing": "cleaning_complete",
}
"""Type of a node -> the checkpoint that its completion is."""


def name_after(node_type: str, parameters: dict[str, object]) -> str | None:
    """The checkpoint that a node's completion is, or None."""
    if node_type == "sdl1ElectrodeManipulation":
        return "electrode_setup_complete" if parameters.get("operation_type") == "insert" else None
    return NAMES.get(node_type)


def after_node(context: RunContext, work: Work) -> None:
    """Write the checkpoint that a completed node is, if it is one, and delete those that are too old."""
    node = context.plan.by_id[work.node]
    name = name_after(node.type, dict(node.parameters))
    settings = context.settings.recovery.checkpoints
    if name is None or not settings.enabled:
        return
    with context.changed:
        moment = context.now()
        epoch = int(moment.timestamp())
        folder = context.settings.directory / "checkpoints"
        file = f"{_word(context.plan.name)}_{name}_{epoch}.json"
        ended = [it.node for it in context.state.accounting.results() if it.state is NodeState.COMPLETED]
        state = {
            "run_id": context.settings.run_id,
            "node": work.node,
            "cycle": work.cycle,
            "completed": ended,
            "values": dict(context.state.values),
            "simulated": any(it.simulated for it in context.reserved),
        }
        checkpoint = {
            "id": f"{context.settings.run_id}-{context.state.step_count}",
            "name": name,
            "step_index": context.state.step_count,
            "state": state,
            "timestamp": moment.isoformat(),
        }
        try:
            durable.write_json(folder / file, checkpoint)
        except OSError as error:
            raise RecordLost(f"the checkpoint {folder / file} cannot be written: {error.strerror}") from error
        context.note("checkpoint", name=name, checkpoint=file)
    _prune(folder, moment.timestamp() - timedelta(hours=settings.keep_hours).total_seconds())


def _prune(folder: Path, before: float) -> None:
    for file in folder.glob("*.json"):
        match = re.fullmatch(r".*_([0-9]+)\.json", file.name)
        if match is not None and int(match[1]) < before:
            file.unlink(missing_ok=True)


def _word(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:100] or "canvas"
