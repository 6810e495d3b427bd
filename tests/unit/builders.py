"""Builders of test objects: valid with defaults, so that a test says only what it is about. No assertions in here."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from labkeeper_api import wire
from labkeeper_api.catalog import Catalog, builtin_catalog
from labkeeper_api.documents import DocumentLoader
from labkeeper_api.kinds import LabAction, LabDevice, LabObject, LabPool, LabRun, LabWorkflow
from labkeeper_operator.reconcile.observed import (
    ObservedDeployment,
    ObservedPool,
    ObservedQueue,
    ObservedRun,
    ObservedSchedule,
)

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CATALOG: Catalog = builtin_catalog()

PHYSICAL_FLOW = "plate-resort.activate-hotel"
"""A device flow that moves hardware and is not idempotent; `hotel` is its one required parameter."""
READING_FLOW = "plate-resort.get-motor-health"
"""A device flow that moves nothing and takes no parameters."""

_numbers = itertools.count(1)


class FakeClock:
    """A clock that goes on only when told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Let that much time pass."""
        self.now += timedelta(seconds=seconds)
        return self.now


def after(seconds: float) -> datetime:
    """That many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def condition(type_: str, status: bool = True, reason: str = "Because", message: str = "") -> dict[str, Any]:
    """A condition on the wire."""
    return {
        "type": type_,
        "status": str(status),
        "lastTransitionTime": NOW.isoformat(),
        "reason": reason,
        "message": message,
    }


def metadata(kind: str, name: str, **given: Any) -> dict[str, Any]:
    """Metadata as an API server fills them in, on the wire."""
    return {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{kind.lower()}-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": NOW.isoformat(),
        **given,
    }


def a_workflow(
    name: str = "move", *, meta: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **spec: Any
) -> LabWorkflow:
    """A LabWorkflow of a reading flow on pool `plates`; `spec` by Python names."""
    body = {"flow": {"name": READING_FLOW}, "placement": {"pool": "plates"}, **spec}
    raw = {"metadata": metadata("LabWorkflow", name, **(meta or {})), "spec": body, "status": status}
    return LabWorkflow.model_validate(raw)


def a_script_workflow(name: str = "measure", **given: Any) -> LabWorkflow:
    """A LabWorkflow of a flow given by entrypoint, on the kubernetes pool `jobs`."""
    return a_workflow(
        name, **{"flow": {"entrypoint": "my_lab.flows:measure_all"}, "placement": {"pool": "jobs"}, **given}
    )


def a_ready_workflow(name: str = "move", *, deployment_id: str = "dep-1", **given: Any) -> LabWorkflow:
    """A LabWorkflow whose deployment is there."""
    status = {"observedGeneration": 1, "conditions": [condition("Ready")], "deploymentId": deployment_id}
    return a_workflow(name, **{"status": status, **given})


def a_pool(
    name: str = "plates",
    *,
    queues: dict[str, int] | list[dict[str, Any]] | None = None,
    ready: bool = True,
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> LabPool:
    """A LabPool of type device; `queues` may be priorities by name."""
    given = [{"name": n, "priority": p} for n, p in queues.items()] if isinstance(queues, dict) else queues or []
    known = {"observedGeneration": 1, "conditions": [condition("Ready")], "poolName": f"default.{name}"}
    if status is None and ready:
        status = {**known, "poolId": f"pool-{name}"}
    raw = {
        "metadata": metadata("LabPool", name, **(meta or {})),
        "spec": {"type": "device", "queues": given, **spec},
        "status": status,
    }
    return LabPool.model_validate(raw)


def a_run(
    name: str = "run",
    *,
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> LabRun:
    """A LabRun of the workflow `move`."""
    body = {"workflow_ref": {"name": "move"}, **spec}
    return LabRun.model_validate({"metadata": metadata("LabRun", name, **(meta or {})), "spec": body, "status": status})


def a_device(
    name: str = "resort", *, meta: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **spec: Any
) -> LabDevice:
    """A LabDevice with driver plate-resort that serves pool `plates`."""
    body = {"driver": "plate-resort", "pool": "plates", **spec}
    return LabDevice.model_validate(
        {"metadata": metadata("LabDevice", name, **(meta or {})), "spec": body, "status": status}
    )


def an_action(name: str = "act", *, meta: dict[str, Any] | None = None, **spec: Any) -> LabAction:
    """A LabAction that releases a stop."""
    body = {"device": "resort", "action": "Release", "reason": "looked at it", "requester": "mori", **spec}
    return LabAction.model_validate({"metadata": metadata("LabAction", name, **(meta or {})), "spec": body})


def one_of_each() -> list[LabObject]:
    """One valid object of every kind."""
    return [an_action(), a_device(), a_pool(), a_run(), a_workflow()]


def raw(obj: LabObject, **meta: Any) -> dict[str, Any]:
    """An object as the API server sends it, with some of its metadata changed."""
    data = obj.wire()
    return {**data, "metadata": {**data["metadata"], **meta}}


def manifest(kind: str, name: str = "thing", spec: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    """A manifest as data, with a valid spec of its kind unless one is given."""
    specs: dict[str, dict[str, Any]] = {
        "LabAction": {"device": "resort", "action": "Release", "reason": "looked at it", "requester": "mori"},
        "LabDevice": {"driver": "plate-resort", "pool": "plates"},
        "LabPool": {"type": "device"},
        "LabRun": {"workflowRef": {"name": "move"}},
        "LabWorkflow": {"flow": {"name": READING_FLOW}, "placement": {"pool": "plates"}},
    }
    return {
        "apiVersion": "labkeeper.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **meta},
        "spec": specs.get(kind, {}) if spec is None else spec,
    }


def yaml_text(*documents: Any) -> str:
    """Documents as the text of one manifest file, in the order of their keys."""
    return "---\n".join(yaml.dump(document, Dumper=_Dumper, sort_keys=False) for document in documents)


class _Dumper(yaml.SafeDumper):
    """Quotes text that kubectl would take for something else, such as 0E0."""

    yaml_implicit_resolvers = DocumentLoader.yaml_implicit_resolvers


def observed_queue(name: str, priority: int, **given: Any) -> ObservedQueue:
    """A work queue as Prefect has it."""
    values: dict[str, Any] = {"is_paused": False, "concurrency_limit": None, "description": ""}
    return ObservedQueue(id=f"queue-{name}", name=name, priority=priority, **{**values, **given})


def observed_pool(pool: LabPool, *, prefect_type: str = wire.WORKER_TYPE, **given: Any) -> ObservedPool:
    """The work pool of a LabPool as it should be, but for what is given; `queues` may be priorities by name."""
    text = f"{pool.spec.description}\n\n" if pool.spec.description else ""
    queues = given.pop("queues", None)
    if queues is None:
        queues = {queue.name: queue.priority for queue in pool.spec.queues}
        queues.setdefault("default", max(queues.values(), default=0) + 1)
    if isinstance(queues, dict):
        queues = tuple(observed_queue(name, priority) for name, priority in queues.items())
    values: dict[str, Any] = {
        "id": f"pool-{pool.metadata.name}",
        "name": pool.prefect_name,
        "type": prefect_type,
        "description": f"{text}Managed by Labkeeper: LabPool {pool.metadata.key}, uid {pool.metadata.uid}.",
        "is_paused": pool.spec.suspend,
        "concurrency_limit": pool.spec.concurrency_limit,
        "base_job_template": wire.device_job_template() if pool.spec.type == "device" else {"variables": {}},
    }
    return ObservedPool(queues=queues, **{**values, **given})


def observed_deployment(flow_name: str, body: dict[str, Any], *, id_: str = "dep-1") -> ObservedDeployment:
    """The deployment that a creation with that body leaves in Prefect."""
    fields = {key: value for key, value in body.items() if key not in ("name", "schedules")}
    schedules = tuple(
        ObservedSchedule(
            id=f"sched-{schedule['slug']}",
            slug=schedule["slug"],
            active=schedule["active"],
            # Prefect fills in the anchor of an interval that was given none.
            schedule={"anchor_date": "2026-01-01T00:00:00Z", **schedule["schedule"]}
            if "interval" in schedule["schedule"]
            else dict(schedule["schedule"]),
            parameters=schedule["parameters"],
        )
        for schedule in body.get("schedules", [])
    )
    return ObservedDeployment(id=id_, name=body["name"], flow_name=flow_name, fields=fields, schedules=schedules)


def a_flow_run(state: str = "RUNNING", *, id_: str = "", **given: Any) -> ObservedRun:
    """A flow run of deployment `dep-1` in that state."""
    number = next(_numbers)
    terminal = state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    values: dict[str, Any] = {
        "name": "calm-otter",
        "deployment_id": "dep-1",
        "idempotency_key": "uid-labrun-run",
        "state_type": state,
        "state_name": state.capitalize(),
        "message": "",
        "started": NOW if state not in ("SCHEDULED", "PENDING") else None,
        "ended": after(10) if terminal else None,
        "expected": NOW,
        "changed": after(10) if terminal else NOW,
    }
    return ObservedRun(id=id_ or f"flow-run-{number}", **{**values, **given})
