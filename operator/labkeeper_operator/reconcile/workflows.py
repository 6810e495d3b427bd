"""LabWorkflow to a plan for its deployment and schedules. Pure.

Prefect's traps decide the shape: creating upserts and deletes every schedule, so it is planned only for what is not
there; any PATCH wipes future runs, so one is planned only for a real difference; schedules are matched by slug and
changed in place, so that their ids survive.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labkeeper_api import wire
from labkeeper_api.catalog import Catalog, CatalogEntry, parameter_problems
from labkeeper_api.conditions import Reason
from labkeeper_api.document_flows import flow_entry
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds.base import DeletionPolicy
from labkeeper_api.kinds.labpool import DEFAULT_QUEUE, LabPool, PoolType
from labkeeper_api.kinds.labworkflow import LabWorkflow, LabWorkflowStatus, OnConflict, RunCounts
from labkeeper_api.suggestions import did_you_mean
from labkeeper_operator.reconcile import flow_parts, schedules, verdicts
from labkeeper_operator.reconcile.observed import ObservedDeployment
from labkeeper_operator.reconcile.plan import (
    Action,
    CreateDeployment,
    DeleteDeployment,
    Plan,
    UpdateDeployment,
)
from labkeeper_operator.reconcile.runs import RunHistory, summary

POOL_RETRY_SECONDS = 2.0
LEAVE_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class WorkflowWorld:
    """What a LabWorkflow depends on.

    `claimed_by` is the `namespace/name` of another LabWorkflow that claimed the same Prefect name first. `left_by` is
    that of another one that still owns the deployment but claims a different name by now.
    `document` is the text of the canvas or protocol, where the flow is given as one.
    `job_variables` are those of the surroundings, such as the folder that modules are imported from.
    """

    catalog: Catalog
    pool: LabPool | None
    known_pools: tuple[str, ...]
    observed: ObservedDeployment | None
    owned: tuple[ObservedDeployment, ...] = ()
    claimed_by: str | None = None
    left_by: str | None = None
    document: str | None = None
    job_variables: dict[str, Any] | None = None
    ui_url: str | None = None


def names(workflow: LabWorkflow, catalog: Catalog) -> tuple[str, str]:
    """Flow name and deployment name in Prefect.

    Raises `Stalled` for a flow that the catalog does not know.
    """
    given = workflow.spec.prefect
    flow = given.flow_name if given and given.flow_name else _default_flow_name(workflow, catalog)
    deployment = given.deployment_name if given and given.deployment_name else None
    return flow, deployment or f"{workflow.metadata.namespace}.{workflow.metadata.name}"


def plan(workflow: LabWorkflow, world: WorkflowWorld) -> Plan:
    """What makes the deployment as the spec says.

    Raises `Stalled` for what a person has to mend and `Waiting` while the pool is not there yet.
    """
    entry = _entry(workflow, world.catalog)
    pool = _pool(workflow, world, entry)
    _check_parameters(workflow, entry)
    _check_retries(workflow, entry)
    flow_name, name = names(workflow, world.catalog)
    _check_ownership(workflow, world, f"{flow_name}/{name}")
    body = deployment_body(workflow, entry, pool, world)
    renamed = [DeleteDeployment(old.id) for old in world.owned if old.full_name != f"{flow_name}/{name}"]
    if world.observed is None:
        created = CreateDeployment(flow_name, {"name": name, **body, "schedules": schedules.bodies(workflow)})
        return Plan((created, *renamed))
    changes = {key: value for key, value in body.items() if world.observed.fields.get(key) != value}
    if ("work_pool_name" in changes) != ("work_queue_name" in changes):
        # Prefect looks a queue up in the pool of the same request.
        changes |= {key: body[key] for key in ("work_pool_name", "work_queue_name")}
    actions: list[Action] = [UpdateDeployment(world.observed.id, changes)] if changes else []
    return Plan((*actions, *schedules.actions(workflow, world.observed), *renamed))


def plan_deletion(workflow: LabWorkflow, owned: tuple[ObservedDeployment, ...]) -> Plan:
    """What is left to do in Prefect before the resource may go."""
    if workflow.spec.deletion_policy is DeletionPolicy.ORPHAN:
        return Plan()
    return Plan(tuple(DeleteDeployment(deployment.id) for deployment in owned))


def status(
    workflow: LabWorkflow,
    world: WorkflowWorld,
    deployment: ObservedDeployment,
    history: RunHistory,
    *,
    now: datetime,
) -> dict[str, Any]:
    """The status of a workflow whose deployment is as the spec says."""
    entry = _entry(workflow, world.catalog)
    old = verdicts.current_status(workflow)
    generation = workflow.metadata.generation
    reason = Reason.SUSPENDED if workflow.spec.suspend else Reason.RECONCILED
    message = f"deployment {deployment.full_name!r} is as the spec says"
    return LabWorkflowStatus(
        observed_generation=generation,
        conditions=verdicts.ready(old.conditions, message, now=now, generation=generation, reason=reason),
        deployment_id=deployment.id,
        deployment_name=deployment.full_name,
        physical=entry.physical if entry else None,
        last_run=summary(history.last) if history.last else old.last_run,
        next_run=history.next_due if workflow.spec.schedules and not workflow.spec.suspend else None,
        runs=_counts(history) or old.runs,
        url=f"{world.ui_url}/deployments/deployment/{deployment.id}" if world.ui_url else None,
    ).wire()


def history_status(workflow: LabWorkflow, history: RunHistory) -> dict[str, Any] | None:
    """The status with only its runs refreshed; None while the workflow was never reconciled."""
    old = workflow.status
    if old is None or old.deployment_id is None:
        return None
    update: dict[str, Any] = {
        "last_run": summary(history.last) if history.last else old.last_run,
        "runs": _counts(history) or old.runs,
        "next_run": history.next_due if workflow.spec.schedules and not workflow.spec.suspend else None,
    }
    return old.model_copy(update=update).wire()


def deployment_body(
    workflow: LabWorkflow, entry: CatalogEntry | None, pool: LabPool, world: WorkflowWorld
) -> dict[str, Any]:
    """The deployment's fields by Prefect's names, `version` being a hash of the others."""
    spec = workflow.spec
    strategy = {OnConflict.QUEUE: "ENQUEUE", OnConflict.SKIP: "CANCEL_NEW"}
    body: dict[str, Any] = {
        "description": _description(workflow, entry),
        "paused": spec.suspend,
        "tags": sorted({*spec.tags, wire.TAG, wire.owner_tag(workflow.metadata.uid)}),
        "parameters": flow_parts.parameters(workflow, world.document),
        "parameter_openapi_schema": flow_parts.parameter_schema(workflow, entry),
        "enforce_parameter_schema": entry is not None,
        "work_pool_name": pool.prefect_name,
        "work_queue_name": spec.placement.queue or DEFAULT_QUEUE,
        "job_variables": _job_variables(workflow, entry, world),
        "entrypoint": flow_parts.entrypoint_of(workflow, entry),
        "concurrency_limit": spec.concurrency.limit if spec.concurrency else None,
        "concurrency_options": (
            {"collision_strategy": strategy[spec.concurrency.on_conflict]} if spec.concurrency else None
        ),
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    return {**body, "version": digest[:12]}


def _job_variables(workflow: LabWorkflow, entry: CatalogEntry | None, world: WorkflowWorld) -> dict[str, Any]:
    """Never empty: Prefect takes an empty mapping for "leave it" and would keep what was there."""
    spec = workflow.spec
    if entry is not None and entry.pool_type is PoolType.DEVICE:
        variables: dict[str, Any] = {wire.OPERATION_VARIABLE: entry.operation}
        if spec.retries:
            variables[wire.RETRIES_VARIABLE] = spec.retries
            variables[wire.RETRY_DELAY_VARIABLE] = spec.retry_delay_seconds
        if spec.timeout_seconds is not None:
            variables[wire.TIMEOUT_VARIABLE] = spec.timeout_seconds
        return variables
    given = world.job_variables or {}
    env = {
        **given.get("env", {}),
        "PREFECT_FLOWS_DEFAULT_RETRIES": str(spec.retries),
        "PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": str(spec.retry_delay_seconds),
    }
    image = {"image": spec.job.image} if spec.job and spec.job.image else {}
    return {**image, **given, "env": env}


def _description(workflow: LabWorkflow, entry: CatalogEntry | None) -> str:
    text = workflow.spec.description or (entry.description if entry else "")
    owner = f"Managed by Labkeeper: LabWorkflow {workflow.metadata.key}."
    return f"{text}\n\n{owner}" if text else owner


def _default_flow_name(workflow: LabWorkflow, catalog: Catalog) -> str:
    if workflow.spec.flow.entrypoint is not None:
        return workflow.spec.flow.entrypoint.replace(":", ".").rsplit(".", 1)[-1].replace("_", "-")
    entry = _entry(workflow, catalog)
    return entry.flow_name if entry else ""


def _entry(workflow: LabWorkflow, catalog: Catalog) -> CatalogEntry | None:
    name, entry = workflow.spec.flow.name, flow_entry(workflow.spec.flow, catalog)
    if entry is None and name is not None:
        raise Stalled(Reason.UNKNOWN_FLOW, f"the catalog has no flow {name!r}: {did_you_mean(name, catalog.names())}")
    return entry


def _pool(workflow: LabWorkflow, world: WorkflowWorld, entry: CatalogEntry | None) -> LabPool:
    name = workflow.spec.placement.pool
    pool = world.pool
    if pool is None:
        hint = did_you_mean(name, world.known_pools) or "apply a LabPool of that name first"
        raise Stalled(Reason.UNKNOWN_POOL, f"there is no LabPool {name!r} in this namespace: {hint}")
    wanted = entry.pool_type if entry else PoolType.KUBERNETES
    if pool.spec.type is not wanted:
        what = f"flow {entry.name!r}" if entry else "a flow given by entrypoint"
        raise Stalled(
            Reason.UNSUITABLE_POOL,
            f"{what} needs a LabPool of type {wanted}, but {name!r} is of type {pool.spec.type}",
        )
    queues = [queue.name for queue in pool.spec.queues]
    queue = workflow.spec.placement.queue
    if queue not in (None, DEFAULT_QUEUE, *queues):
        raise Stalled(
            Reason.UNKNOWN_QUEUE,
            f"LabPool {name!r} has no queue {queue!r}: {did_you_mean(str(queue), queues)}",
        )
    if pool.status is None or pool.status.pool_id is None:
        raise Waiting(Reason.POOL_NOT_READY, f"LabPool {name!r} is not ready yet", retry_after=POOL_RETRY_SECONDS)
    return pool


def _check_parameters(workflow: LabWorkflow, entry: CatalogEntry | None) -> None:
    if entry is None:
        return
    spec = workflow.spec
    problems = parameter_problems(entry.parameter_schema, spec.parameters, complete=False)
    for index, schedule in enumerate(spec.schedules):
        problems += parameter_problems(
            entry.parameter_schema,
            {**spec.parameters, **schedule.parameters},
            complete=True,
            path=f"spec.schedules[{index}].parameters",
        )
    if problems:
        raise Stalled(Reason.INVALID_PARAMETERS, "; ".join(str(problem) for problem in problems))


def _check_retries(workflow: LabWorkflow, entry: CatalogEntry | None) -> None:
    if entry is not None and workflow.spec.retries and entry.physical and not entry.idempotent:
        raise Stalled(
            Reason.RETRIES_FORBIDDEN,
            f"flow {entry.name!r} moves hardware and is not idempotent, so a failed run is never tried again by "
            "itself: remove spec.retries",
        )


def _check_ownership(workflow: LabWorkflow, world: WorkflowWorld, full_name: str) -> None:
    if world.claimed_by is not None:
        raise Stalled(
            Reason.CONFLICT,
            f"LabWorkflow {world.claimed_by} already is deployment {full_name!r}: give another "
            "spec.prefect.deploymentName",
        )
    if world.left_by is not None:
        raise Waiting(
            Reason.PROGRESSING,
            f"LabWorkflow {world.left_by} has taken another name and is about to remove deployment {full_name!r}",
            retry_after=LEAVE_RETRY_SECONDS,
        )
    observed = world.observed
    if observed is not None and not workflow.spec.adopt and not _is_ours(workflow, observed):
        whose = "another resource's" if observed.owner else "not made by Labkeeper"
        raise Stalled(
            Reason.CONFLICT,
            f"deployment {full_name!r} exists in Prefect and is {whose}: set spec.adopt: true to take it over, "
            "or give another spec.prefect.deploymentName",
        )


def _is_ours(workflow: LabWorkflow, observed: ObservedDeployment) -> bool:
    """Whether this workflow owns the deployment. Somebody may have taken its tags off: then its id tells."""
    if observed.owner is None:
        return workflow.status is not None and workflow.status.deployment_id == observed.id
    return observed.owner == workflow.metadata.uid


def _counts(history: RunHistory) -> RunCounts | None:
    if history.counts is None:
        return None
    return RunCounts(
        **{key.lower(): history.counts.get(key, 0) for key in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")}
    )
