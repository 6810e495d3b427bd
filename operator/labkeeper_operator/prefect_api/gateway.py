"""Carries plans out in Prefect, one action after the other. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import LabkeeperError, Waiting
from labkeeper_operator.prefect_api.reads import PrefectReader, observed_run
from labkeeper_operator.prefect_api.session import AlreadyExists, NotFound, PrefectSession
from labkeeper_operator.reconcile import plan as p
from labkeeper_operator.reconcile.observed import ObservedDeployment, ObservedRun

GONE_RETRY_SECONDS = 1.0


@dataclass
class Applied:
    """What carrying out a plan led to.

    `deployment` and `run` are as Prefect holds them after the plan, where the plan touched them.
    """

    deployment: ObservedDeployment | None = None
    run: ObservedRun | None = None
    touched_deployment: str | None = None


class Gateway:
    """Carries out plans over one session. Every method may be called again after a failure half way."""

    def __init__(self, session: PrefectSession, reader: PrefectReader) -> None:
        self._session = session
        self._reader = reader
        self._flow_ids: dict[str, str] = {}

    async def apply(self, plan: p.Plan) -> Applied:
        """Carry out all actions in order. Raises `Waiting` or `Stalled`; what was done until then stays done."""
        applied = Applied()
        try:
            for action in plan.actions:
                await self._do(action, applied)
            if applied.touched_deployment is not None:
                applied.deployment = await self._reader.deployment(applied.touched_deployment)
        except NotFound as error:
            raise Waiting(
                Reason.PROGRESSING,
                f"Prefect no longer has what was to be changed ({error}); it is looked at again",
                retry_after=GONE_RETRY_SECONDS,
            ) from error
        return applied

    @singledispatchmethod
    async def _do(self, action: Any, applied: Applied) -> None:  # noqa: ARG002
        raise TypeError(f"no way to carry out {type(action).__name__}")

    @_do.register
    async def _(self, action: p.CreatePool, applied: Applied) -> None:  # noqa: ARG002
        try:
            await self._session.write("POST", "/work_pools/", action.body)
        except AlreadyExists:
            # Our own request whose answer was lost, or somebody else's pool: the next look at it tells which.
            return

    @_do.register
    async def _(self, action: p.UpdatePool, applied: Applied) -> None:  # noqa: ARG002
        await self._session.write("PATCH", f"/work_pools/{action.name}", action.changes)

    @_do.register
    async def _(self, action: p.DeletePool, applied: Applied) -> None:  # noqa: ARG002
        await self._delete(f"/work_pools/{action.name}")

    @_do.register
    async def _(self, action: p.CreateQueue, applied: Applied) -> None:  # noqa: ARG002
        try:
            await self._session.write("POST", f"/work_pools/{action.pool}/queues", action.body)
        except AlreadyExists:
            return

    @_do.register
    async def _(self, action: p.UpdateQueue, applied: Applied) -> None:  # noqa: ARG002
        await self._session.write("PATCH", f"/work_pools/{action.pool}/queues/{action.name}", action.changes)

    @_do.register
    async def _(self, action: p.DeleteQueue, applied: Applied) -> None:  # noqa: ARG002
        await self._delete(f"/work_pools/{action.pool}/queues/{action.name}")

    @_do.register
    async def _(self, action: p.CreateDeployment, applied: Applied) -> None:
        flow_id = await self._flow_id(action.flow_name)
        body = {**action.body, "flow_id": flow_id}
        try:
            created = await self._session.write("POST", "/deployments/", body, resend=False)
        except LabkeeperError:
            # The flow may be gone, deleted by hand or with the whole database: the next attempt asks for it anew.
            self._forget_flow(action.flow_name, flow_id)
            raise
        applied.deployment = await self._reader.observed_deployment(created)

    @_do.register
    async def _(self, action: p.UpdateDeployment, applied: Applied) -> None:
        await self._session.write("PATCH", f"/deployments/{action.id}", action.changes)
        applied.touched_deployment = action.id

    @_do.register
    async def _(self, action: p.DeleteDeployment, applied: Applied) -> None:  # noqa: ARG002
        await self._delete(f"/deployments/{action.id}")

    @_do.register
    async def _(self, action: p.CreateSchedule, applied: Applied) -> None:
        await self._session.write("POST", f"/deployments/{action.deployment_id}/schedules", [action.body], resend=False)
        applied.touched_deployment = action.deployment_id

    @_do.register
    async def _(self, action: p.UpdateSchedule, applied: Applied) -> None:
        path = f"/deployments/{action.deployment_id}/schedules/{action.id}"
        await self._session.write("PATCH", path, action.changes)
        applied.touched_deployment = action.deployment_id

    @_do.register
    async def _(self, action: p.DeleteSchedule, applied: Applied) -> None:
        await self._delete(f"/deployments/{action.deployment_id}/schedules/{action.id}")
        applied.touched_deployment = action.deployment_id

    @_do.register
    async def _(self, action: p.CreateRun, applied: Applied) -> None:
        path = f"/deployments/{action.deployment_id}/create_flow_run"
        applied.run = observed_run(await self._session.write("POST", path, action.body))

    @_do.register
    async def _(self, action: p.CancelRun, applied: Applied) -> None:  # noqa: ARG002
        state = {"type": "CANCELLING", "name": "Cancelling", "message": action.why}
        await self._session.write("POST", f"/flow_runs/{action.id}/set_state", {"state": state})

    async def _delete(self, path: str) -> None:
        try:
            await self._session.write("DELETE", path)
        except NotFound:
            return

    async def _flow_id(self, name: str) -> str:
        """Id of the flow of that name; Prefect's creation of flows is idempotent."""
        if name not in self._flow_ids:
            flow = await self._session.write("POST", "/flows/", {"name": name})
            self._flow_ids[name] = flow["id"]
            self._reader.remember_flow(flow["id"], name)
        return self._flow_ids[name]

    def _forget_flow(self, name: str, id_: str) -> None:
        if self._flow_ids.get(name) == id_:
            del self._flow_ids[name]
