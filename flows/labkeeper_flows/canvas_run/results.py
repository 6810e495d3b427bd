"""The result objects of both managers with the fields of facts 1.3, made of one outcome, and the file they go into.

Fields of our own stand beside them: `run_id`, `simulated`, `dry_run`, `time_factor`, `counts`, `message`, `files`,
`began`, `ended`. A run that was stopped or cancelled is never called completed: native `failed`, `suspended` or
`cancelled`; Prefect `partial_failure` or `failure`, and `cancelled`.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas.accounting import NodeResult, NodeState
from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.outcome import NodeRun, RunOutcome, RunStatus

Result = dict[str, Any]


def native_result(outcome: RunOutcome) -> Result:
    """The native manager's result: JSON data."""
    place = {node.id: at for at, node in enumerate(outcome.plan.nodes)}
    failed = [it for it in outcome.nodes if it.state is NodeState.FAILED]
    return {
        "status": outcome.status.value,
        **_totals(outcome),
        "failed_nodes": [
            {
                "index": place[it.node],
                "node_id": it.node,
                "node_type": outcome.plan.by_id[it.node].type,
                "error": it.reason,
            }
            for it in failed
        ],
        "results": [_nested(run, place[run.node]) for run in outcome.runs],
        "execution_log": list(outcome.log),
        "sdl1_operation_log": [dict(it) for it in outcome.operations],
        **_about(outcome),
    }


def prefect_result(outcome: RunOutcome) -> Result:
    """The Prefect manager's result: JSON data."""
    return {
        "status": _prefect_status(outcome),
        **_totals(outcome),
        "failed_nodes": [it.node for it in outcome.nodes if it.state is NodeState.FAILED],
        "results": [_flat(run) for run in outcome.runs],
        "execution_log": list(outcome.log),
        "sdl1_operation_log": [dict(it) for it in outcome.operations],
        "execution_timestamp": outcome.ended.isoformat(),
        **_about(outcome),
    }


def save_result(result: Result, outcome: RunOutcome, directory: Path) -> Path:
    """Save a result as `canvas_{name}_{timestamp}.json`; the file. Raises OSError."""
    name = re.sub(r"[^\w.-]+", "_", outcome.plan.name).strip("._")[:100] or "canvas"
    stem = f"canvas_{name}_{outcome.ended:%Y%m%d_%H%M%S}"
    path = directory / f"{stem}.json"
    number = 2
    while path.exists():
        path = directory / f"{stem}_{number}.json"
        number += 1
    durable.write_json(path, result)
    return path


def _totals(outcome: RunOutcome) -> Result:
    counts = outcome.counts
    ran = {run.node for run in outcome.runs} | {it.node for it in outcome.nodes if it.state is NodeState.FAILED}
    return {
        "total_nodes": counts.total,
        "executed_nodes": len(ran),
        "successful_nodes": counts.completed,
    }


def _about(outcome: RunOutcome) -> Result:
    return {
        "canvas_metadata": dict(outcome.plan.metadata),
        "workflow_name": outcome.plan.name,
        "workflow_id": outcome.plan.id,
        "run_id": outcome.run_id,
        "simulated": outcome.simulated,
        "dry_run": outcome.dry_run,
        "time_factor": outcome.time_factor,
        "counts": asdict(outcome.counts),
        "nodes": [_state(it) for it in outcome.nodes],
        "message": outcome.message,
        "alerts": list(outcome.alerts),
        "files": [str(path) for path in outcome.files],
        "resumed": outcome.resumed,
        "began": outcome.began.isoformat(),
        "ended": outcome.ended.isoformat(),
    }


def _state(result: NodeResult) -> Result:
    return {"node_id": result.node, "state": result.state.value, "reason": result.reason, "cycles": result.cycles}


def _nested(run: NodeRun, index: int) -> Result:
    return {"node_index": index, "node_id": run.node, "node_type": run.type, "result": _how(run)}


def _flat(run: NodeRun) -> Result:
    return {"node_id": run.node, "node_type": run.type, **_how(run)}


def _how(run: NodeRun) -> Result:
    return {
        "status": run.state.value,
        "cycle": run.cycle,
        "attempts": run.attempts,
        "message": run.reason,
        "began": run.began.isoformat(),
        "ended": run.ended.isoformat(),
        "returned": _small(run.result),
    }


def _small(value: Any) -> Any:
    """What a step returned without long tables, which are in the run's folder."""
    if isinstance(value, dict):
        return {key: _small(it) for key, it in value.items()}
    if isinstance(value, list) and len(value) > 20:
        return f"{len(value)} entries"
    return [_small(it) for it in value] if isinstance(value, list) else value


def _prefect_status(outcome: RunOutcome) -> str:
    match outcome.status:
        case RunStatus.COMPLETED:
            return "success"
        case RunStatus.CANCELLED:
            return "cancelled"
    return "partial_failure" if outcome.counts.completed else "failure"
