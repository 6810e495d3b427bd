"""LabRun to a plan for its flow run, and flow runs to status. Pure.

A LabRun's uid is the idempotency key of its flow run: whatever crashes between the request and the status write, asking
again finds the same run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from labkeeper_api.catalog import Catalog, parameter_problems
from labkeeper_api.conditions import Condition, ConditionType, Reason, is_true, said, without
from labkeeper_api.document_flows import flow_entry
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds.labrun import LabRun, LabRunStatus
from labkeeper_api.kinds.labworkflow import LabWorkflow, RunSummary
from labkeeper_operator.reconcile import verdicts
from labkeeper_operator.reconcile.observed import ObservedRun
from labkeeper_operator.reconcile.plan import CancelRun, CreateRun, Plan

WORKFLOW_RETRY_SECONDS = 2.0
CANCEL_GRACE = timedelta(seconds=60)
"""How long the deletion of a LabRun waits for the hardware to be at rest before it lets go."""
MESSAGE_LIMIT = 2048
RESULT_LIMIT = 32
"""Most entries of a result that is copied into status; larger ones are read from Prefect."""
RESULT_BYTES = 16 * 1024
"""Most bytes of such a result as JSON: etcd refuses an object beyond 1.5 MB, and every watcher gets each version."""

_IN_PROGRESS: Mapping[str, tuple[Reason, str]] = {
    "SCHEDULED": (Reason.SCHEDULED, "waits for its time and for a place to run"),
    "PENDING": (Reason.PENDING, "was claimed and is about to start"),
    "RUNNING": (Reason.RUNNING, "is running"),
    "PAUSED": (Reason.RUNNING, "is paused"),
    "CANCELLING": (Reason.CANCELLING, "is being stopped"),
}
_ENDED_BADLY: Mapping[str, Reason] = {
    "FAILED": Reason.RUN_FAILED,
    "CRASHED": Reason.RUN_CRASHED,
    "CANCELLED": Reason.RUN_CANCELLED,
}


@dataclass(frozen=True)
class RunHistory:
    """What is known of the runs of one deployment."""

    last: ObservedRun | None = None
    next_due: datetime | None = None
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True)
class RunWorld:
    """What a LabRun depends on."""

    catalog: Catalog
    workflow: LabWorkflow | None
    run: ObservedRun | None = None
    ui_url: str | None = None
    known_workflows: tuple[str, ...] = field(default_factory=tuple)


def finished(run: LabRun) -> bool:
    """Whether the LabRun has ended, well or badly."""
    conditions = run.status.conditions if run.status else []
    return is_true(conditions, ConditionType.COMPLETE) or is_true(conditions, ConditionType.FAILED)


def plan(run: LabRun, world: RunWorld) -> Plan:
    """What brings the flow run about. Raises `Stalled` or `Waiting` while it cannot be."""
    if world.run is not None:
        return Plan()
    if run.status is not None and run.status.flow_run_id is not None:
        raise Stalled(
            Reason.RUN_LOST,
            f"flow run {run.status.flow_run_id} is no longer in Prefect; it is not created again, because nobody "
            "knows whether it was carried out: create another LabRun",
        )
    workflow = _workflow(run, world)
    _check_parameters(run, workflow, world.catalog)
    status = workflow.status
    current = status is not None and status.observed_generation == workflow.metadata.generation
    if status is None or not current or not is_true(status.conditions, ConditionType.READY):
        raise _not_ready(workflow)
    if status.deployment_id is None:
        raise _not_ready(workflow)
    body: dict[str, Any] = {
        "parameters": run.spec.parameters,
        "idempotency_key": run.metadata.uid,
    }
    if run.spec.start_at is not None:
        moment = run.spec.start_at.isoformat()
        body["state"] = {
            "type": "SCHEDULED",
            "name": "Scheduled",
            "state_details": {"scheduled_time": moment},
        }
    return Plan((CreateRun(status.deployment_id, run.metadata.uid, body),))


def plan_deletion(observed: ObservedRun | None) -> Plan:
    """Deleting a LabRun cancels a run that has not ended."""
    if observed is None or observed.terminal or observed.state_type == "CANCELLING":
        return Plan()
    return Plan((CancelRun(observed.id, "its LabRun was deleted"),))


def plan_timeout(run: ObservedRun, timeout_seconds: int | None, *, now: datetime) -> Plan:
    """A run that goes on for longer than its LabWorkflow allows is cancelled."""
    if run.started is None or run.state_type != "RUNNING" or timeout_seconds is None:
        return Plan()
    if (now - run.started).total_seconds() <= timeout_seconds:
        return Plan()
    return Plan((CancelRun(run.id, f"it ran for longer than the {timeout_seconds} s of its LabWorkflow"),))


def may_go(run: LabRun, observed: ObservedRun | None, *, now: datetime) -> bool:
    """Whether the finalizer may be removed: the run has ended, or stopping it has had its time."""
    if observed is None or observed.terminal:
        return True
    asked = run.metadata.deletion_timestamp
    return asked is not None and now - asked >= CANCEL_GRACE


def expires_at(run: LabRun) -> datetime | None:
    """When a finished LabRun deletes itself; None if it does not or has not ended."""
    ttl = run.spec.ttl_seconds_after_finished
    if ttl is None or not finished(run) or run.status is None:
        return None
    ended = run.status.ended or max(c.last_transition_time for c in run.status.conditions)
    return ended + timedelta(seconds=ttl)


def status(run: LabRun, observed: ObservedRun, *, ui_url: str | None, now: datetime) -> dict[str, Any]:
    """The status of a LabRun from its flow run."""
    old = verdicts.current_status(run)
    return LabRunStatus(
        observed_generation=run.metadata.generation,
        conditions=_conditions(old.conditions, observed, now=now, generation=run.metadata.generation),
        flow_run_id=observed.id,
        flow_run_name=observed.name,
        state=observed.state_name,
        message=_short(observed.message) or None,
        started=observed.started,
        ended=observed.ended if observed.terminal else None,
        result=observed.result if observed.result and _is_small(observed.result) else None,
        simulated=observed.simulated,
        url=f"{ui_url}/runs/flow-run/{observed.id}" if ui_url else None,
    ).wire()


def summary(run: ObservedRun) -> RunSummary:
    """One run in short, for a LabWorkflow's status."""
    return RunSummary(
        id=run.id,
        name=run.name,
        state=run.state_name,
        started=run.started,
        # Not cut to seconds: it is also the mark up to which runs were counted (histories.py).
        ended=run.ended if run.terminal else None,
        message=_short(run.message),
        simulated=run.simulated,
    )


def _conditions(conditions: list[Condition], run: ObservedRun, *, now: datetime, generation: int) -> list[Condition]:
    if run.state_type in _IN_PROGRESS:
        reason, text = _IN_PROGRESS[run.state_type]
        kept = without(conditions, ConditionType.COMPLETE, ConditionType.FAILED)
        message = f"flow run {run.name!r} {text}"
        return verdicts.in_progress(kept, reason, message, now=now, generation=generation)
    if run.state_type == "COMPLETED":
        reason, text = Reason.SUCCEEDED, f"flow run {run.name!r} completed"
        kept = verdicts.ready(conditions, text, now=now, generation=generation, reason=reason)
        kept = without(kept, ConditionType.FAILED)
        return said(kept, ConditionType.COMPLETE, True, reason, text, now=now, generation=generation)
    reason = _ENDED_BADLY.get(run.state_type, Reason.RUN_FAILED)
    text = f"flow run {run.name!r} ended {run.state_name}: {_short(run.message)}"
    kept = verdicts.stalled(conditions, reason, text, now=now, generation=generation)
    kept = without(kept, ConditionType.COMPLETE)
    return said(kept, ConditionType.FAILED, True, reason, text, now=now, generation=generation)


def _workflow(run: LabRun, world: RunWorld) -> LabWorkflow:
    if world.workflow is None:
        name = run.spec.workflow_ref.name
        raise Waiting(
            Reason.UNKNOWN_WORKFLOW,
            f"there is no LabWorkflow {name!r} in this namespace yet; the run is created once there is",
            retry_after=WORKFLOW_RETRY_SECONDS,
        )
    return world.workflow


def _not_ready(workflow: LabWorkflow) -> Waiting:
    conditions = workflow.status.conditions if workflow.status else []
    why = next((c.message for c in conditions if c.type == ConditionType.READY and c.status != "True"), "")
    text = f"LabWorkflow {workflow.metadata.name!r} is not ready" + (f": {why}" if why else " yet")
    return Waiting(Reason.WORKFLOW_NOT_READY, text, retry_after=WORKFLOW_RETRY_SECONDS)


def _check_parameters(run: LabRun, workflow: LabWorkflow, catalog: Catalog) -> None:
    entry = flow_entry(workflow.spec.flow, catalog)
    if entry is None:
        return
    merged = {**workflow.spec.parameters, **run.spec.parameters}
    problems = parameter_problems(entry.parameter_schema, merged, complete=True)
    if problems:
        raise Stalled(Reason.INVALID_PARAMETERS, "; ".join(str(problem) for problem in problems))


def _is_small(result: dict[str, Any]) -> bool:
    return len(result) <= RESULT_LIMIT and len(json.dumps(result)) <= RESULT_BYTES


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
