"""One reconciler per kind: reads what a decision needs, lets `reconcile` decide, has the plan carried out.

Each returns what to write and when to look again; `controller` does the writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from labkeeper_api.catalog import Catalog
from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabAction, LabDevice, LabPool, LabRun, LabWorkflow
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_operator.claims import Claims, pool_holder
from labkeeper_operator.objects import Key, Objects
from labkeeper_operator.prefect_api.gateway import Gateway
from labkeeper_operator.prefect_api.reads import PrefectReader
from labkeeper_operator.reconcile import devices, pools, runs, workflows
from labkeeper_operator.reconcile.histories import Histories
from labkeeper_operator.reconcile.observed import ObservedDeployment, ObservedRun
from labkeeper_operator.sources import CanvasCheck, DocumentSource, document

POOL_ROUNDS = 5
"""Looks at a pool until it is as wanted: creating, adding queues and ordering them are rounds of their own."""
DEVICE_LOOK = timedelta(seconds=10)
CANCEL_LOOK = timedelta(seconds=1)


@dataclass(frozen=True)
class Surroundings:
    """What differs between a cluster and the embedded lab.

    `kubernetes_pool_type` is the type of work pool that a LabPool of type kubernetes becomes; `job_variables` are given
    to every run there. `documents` is where canvases and protocols are kept; `canvas_problems` is the canvas engine's
    check, for an operator that was started by a process that has it.
    """

    kubernetes_pool_type: str = "kubernetes"
    job_variables: dict[str, Any] = field(default_factory=dict)
    ui_url: str | None = None
    documents: DocumentSource | None = None
    canvas_problems: CanvasCheck | None = None


@dataclass(frozen=True)
class Outcome:
    """What to write about an object, and when to look again by itself.

    `release`: its finalizer may go. `delete`: it shall be deleted.
    """

    status: dict[str, Any] | None = None
    look_again: datetime | None = None
    release: bool = False
    delete: bool = False


@dataclass
class Lab:
    """All that the reconcilers share."""

    gateway: Gateway
    reader: PrefectReader
    catalog: Catalog
    surroundings: Surroundings
    objects: Objects
    claims: Claims
    histories: Histories
    runs_by_key: dict[str, ObservedRun]
    clock: Callable[[], datetime]

    def prefect_type(self, pool: LabPool) -> str:
        """The work pool type in Prefect."""
        if pool.spec.type is PoolType.DEVICE:
            return "lab-device"
        return self.surroundings.kubernetes_pool_type


class PoolReconciler:
    """Keeps work pools as their LabPools say."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def reconcile(self, pool: LabPool) -> Outcome:
        """Bring the work pool and its queues into line."""
        lab = self._lab
        holder = pool_holder(pool, lab.objects.all(LabPool))
        claimed_by = holder.metadata.key if holder is not None else None
        for _ in range(POOL_ROUNDS):
            observed = await lab.reader.pool(pool.prefect_name)
            plan = pools.plan(pool, observed, prefect_type=lab.prefect_type(pool), claimed_by=claimed_by)
            if not plan and observed is not None:
                return Outcome(pools.status(pool, observed, now=lab.clock()))
            await lab.gateway.apply(plan)
        raise Waiting(
            Reason.PROGRESSING,
            f"work pool {pool.prefect_name!r} keeps changing under our hands",
            retry_after=1.0,
        )

    async def delete(self, pool: LabPool) -> Outcome:
        """Remove the work pool, where it is ours and not to be left."""
        observed = await self._lab.reader.pool(pool.prefect_name)
        await self._lab.gateway.apply(pools.plan_deletion(pool, observed))
        return Outcome(release=True)


class WorkflowReconciler:
    """Keeps deployments as their LabWorkflows say. Deployments are read for many workflows at once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._documents: dict[str, str | None] = {}
        """By uid, as last read."""

    async def observe(self, wanted: Iterable[LabWorkflow]) -> list[ObservedDeployment]:
        """The deployments that these workflows own or claim."""
        found = list(wanted)
        claimed = [self._lab.claims.name_of(_key(workflow)) for workflow in found]
        return await self._lab.reader.deployments(
            uids=[workflow.metadata.uid for workflow in found], names=[name[1] for name in claimed if name]
        )

    async def reconcile(self, workflow: LabWorkflow, seen: list[ObservedDeployment]) -> Outcome:
        """Bring the deployment and its schedules into line."""
        lab, around = self._lab, self._lab.surroundings
        self._documents[workflow.metadata.uid] = await document(workflow, around.documents, around.canvas_problems)
        world = self.world(workflow, seen)
        plan = workflows.plan(workflow, world)
        applied = await lab.gateway.apply(plan)
        deployment = applied.deployment or world.observed
        if deployment is None:
            raise Waiting(Reason.PROGRESSING, "the deployment is gone again", retry_after=1.0)
        lab.histories.begin(deployment.id, workflow.status)
        await self._recount(deployment.id)
        if plan:
            # The change wiped what Prefect had planned; the resync looks what it plans anew.
            lab.histories.due(deployment.id, None)
        history = lab.histories.get(deployment.id)
        return Outcome(workflows.status(workflow, world, deployment, history, now=lab.clock()))

    async def _recount(self, deployment_id: str) -> None:
        """Count the ended runs anew where the status, written in the middle of a run, cannot tell."""
        lab = self._lab
        if lab.histories.unsure(deployment_id):
            until = await lab.reader.last_end(deployment_id)
            counts = await lab.reader.counts(deployment_id, until=until) if until is not None else {}
            lab.histories.recount(deployment_id, counts, until)

    def differs(self, workflow: LabWorkflow, seen: list[ObservedDeployment]) -> bool:
        """Whether something in Prefect is not as the spec says."""
        try:
            return bool(workflows.plan(workflow, self.world(workflow, seen)))
        except (Stalled, Waiting):
            return True

    async def delete(self, workflow: LabWorkflow) -> Outcome:
        """Remove what the workflow owns in Prefect, unless it is to be left."""
        uid = workflow.metadata.uid
        owned = tuple(d for d in await self._lab.reader.deployments(uids=[uid], names=[]) if d.owner == uid)
        await self._lab.gateway.apply(workflows.plan_deletion(workflow, owned))
        for deployment in owned:
            self._lab.histories.forget(deployment.id)
        self._documents.pop(uid, None)
        return Outcome(release=True)

    def world(self, workflow: LabWorkflow, seen: list[ObservedDeployment]) -> workflows.WorkflowWorld:
        """What the decision about that workflow depends on."""
        lab, meta = self._lab, workflow.metadata
        name = lab.claims.name_of(_key(workflow))
        holder = lab.claims.holder(_key(workflow))
        observed = next((d for d in seen if (d.flow_name, d.name) == name), None)
        return workflows.WorkflowWorld(
            catalog=lab.catalog,
            pool=lab.objects.get(LabPool, meta.namespace, workflow.spec.placement.pool),
            known_pools=lab.objects.names(LabPool, meta.namespace),
            observed=observed,
            owned=tuple(d for d in seen if d.owner == meta.uid),
            claimed_by=f"{holder.namespace}/{holder.name}" if holder else None,
            left_by=self._left_by(workflow, observed),
            document=self._documents.get(meta.uid),
            job_variables=lab.surroundings.job_variables,
            ui_url=lab.surroundings.ui_url,
        )

    def _left_by(self, workflow: LabWorkflow, observed: ObservedDeployment | None) -> str | None:
        """Which other workflow owns the deployment of the name that this one holds."""
        owner = observed.owner if observed is not None else None
        if owner in (None, workflow.metadata.uid):
            return None
        found = (other.metadata.key for other in self._lab.objects.all(LabWorkflow) if other.metadata.uid == owner)
        return next(found, None)


class RunReconciler:
    """Brings flow runs about, exactly one per LabRun, and mirrors them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def reconcile(self, run: LabRun) -> Outcome:
        """Create the flow run if it is not there, and say how it is."""
        lab, meta = self._lab, run.metadata
        expires = runs.expires_at(run)
        if expires is not None and expires <= lab.clock():
            return Outcome(delete=True)
        if runs.finished(run):
            lab.runs_by_key.pop(meta.uid, None)
            return Outcome(look_again=expires)
        observed = await self._observed(run)
        world = runs.RunWorld(
            catalog=lab.catalog,
            workflow=lab.objects.get(LabWorkflow, meta.namespace, run.spec.workflow_ref.name),
            run=observed,
            ui_url=lab.surroundings.ui_url,
        )
        applied = await lab.gateway.apply(runs.plan(run, world))
        current = applied.run or observed
        if current is None:
            raise Waiting(Reason.PROGRESSING, "the flow run is not visible yet", retry_after=1.0)
        lab.runs_by_key[meta.uid] = current
        status = runs.status(run, current, ui_url=lab.surroundings.ui_url, now=lab.clock())
        # Once more when it has ended, to plan its own deletion: our own write alone makes nothing due.
        return Outcome(status, look_again=lab.clock() if current.terminal else None)

    async def delete(self, run: LabRun) -> Outcome:
        """Cancel the flow run if it has not ended, and wait until it is at rest."""
        lab = self._lab
        observed = await self._observed(run, fresh=True)
        await lab.gateway.apply(runs.plan_deletion(observed))
        if runs.may_go(run, observed, now=lab.clock()):
            lab.runs_by_key.pop(run.metadata.uid, None)
            return Outcome(release=True)
        return Outcome(look_again=lab.clock() + CANCEL_LOOK)

    async def _observed(self, run: LabRun, *, fresh: bool = False) -> ObservedRun | None:
        known = self._lab.runs_by_key.get(run.metadata.uid)
        if known is not None and not fresh:
            return known
        if run.status is not None and run.status.flow_run_id is not None:
            found = await self._lab.reader.runs([run.status.flow_run_id])
        else:
            found = await self._lab.reader.runs_by_key([run.metadata.uid])
        return found[0] if found else None


class DeviceReconciler:
    """Says whether agents serve a device's units."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def reconcile(self, device: LabDevice) -> Outcome:
        """Look who serves the device's pool."""
        lab, namespace = self._lab, device.metadata.namespace
        pool = devices.check(
            device,
            lab.objects.get(LabPool, namespace, device.spec.pool),
            lab.objects.names(LabPool, namespace),
            lab.catalog,
        )
        workers = await lab.reader.workers(pool.prefect_name)
        now = lab.clock()
        return Outcome(devices.status(device, workers, now=now), look_again=now + DEVICE_LOOK)


class ActionReconciler:
    """LabActions are carried out by the unit's own agent; this operator has no way to it yet and says so."""

    async def reconcile(self, action: LabAction) -> Outcome:
        """Say how the action can be carried out."""
        command = "acknowledge" if action.spec.action == "Acknowledge" else "release"
        raise Stalled(
            Reason.NO_CHANNEL,
            f"the operator cannot reach the agent of device {action.spec.device!r}: run "
            f"`labkeeper device {command}` on the host that has the hardware",
        )


def _key(workflow: LabWorkflow) -> Key:
    return Key("LabWorkflow", workflow.metadata.namespace, workflow.metadata.name)
