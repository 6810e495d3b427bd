"""`PrefectDeploymentManager`: the battery guide's way to deploy canvases (seeds/facts.md, 1.4), on Prefect 3.

Deployments go to the work pool `sdl1-pool`, queue `sdl1-workflows`; where a lab runs (`labkeeper up`, or `labkeeper
canvas server`) its worker carries their runs out. Not for workflows that are kept as manifests: those are LabWorkflows.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse, OrchestrationResult, SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Scheduled
from prefect.workers.process import ProcessWorker

from labkeeper.canvas import deployments
from labkeeper.canvas.deployments import FLOW_NAME, POOL, QUEUE, TAGS, Schedule
from labkeeper.embedded.lab import running_info
from labkeeper_api.errors import InvalidInput, LabkeeperError, Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.agent.host import home as lab_home

if TYPE_CHECKING:
    from labkeeper.opentrons_functions import OpentronsController

__all__ = ["PrefectDeploymentManager"]


class HasDryRun(Protocol):
    """What is asked of a controller: whether its runs are to be simulated."""

    dry_run: bool


class PrefectDeploymentManager:
    """Deploys canvases on a Prefect server, and watches their runs."""

    def __init__(
        self,
        controller: OpentronsController | HasDryRun | None = None,
        *,
        home: Path | None = None,
        api_url: str | None = None,
    ) -> None:
        """`controller.dry_run` is what runs do unless their parameters say otherwise; without one, hardware is meant.

        The server is that of `api_url`, else of PREFECT_API_URL, else of the lab that runs in `home`.
        """
        self._dry_run = bool(controller.dry_run) if controller is not None else False
        self._home = home
        self._api_url = api_url

    async def create_workflow_deployment(
        self,
        workflow_name: str,
        workflow_json: Mapping[str, Any] | str,
        schedule: Schedule | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Deploy a canvas, or replace the deployment of that name; its id.

        `schedule` is `{"type": "interval", "interval_seconds": 3600}` or `{"type": "cron", "cron": "0 9 * * *"}`, with
        a `timezone` if need be. Raises `InvalidInput` with everything that is wrong with the canvas or schedule.
        """
        if not workflow_name.strip() or any(character in workflow_name for character in "/%&<>"):
            raise InvalidInput([Problem("workflow_name", f"{workflow_name!r} is no name", "without / % & < >")])
        text = deployments.canvas_text(workflow_json)
        planned = deployments.schedules(schedule)
        fields = deployments.deployment_fields(
            text, workflow_name, parameters or {}, dry_run=self._dry_run, working_dir=str(Path.cwd())
        )
        async with self._client() as client:
            await _ensure_queue(client)
            flow_id = await client.create_flow_from_name(FLOW_NAME)
            return str(await client.create_deployment(flow_id, schedules=planned, **fields))

    async def schedule_workflow_execution(
        self,
        deployment_name: str,
        scheduled_time: datetime | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Have a deployment run once, at a moment (without a zone: of this computer's) or now; the flow run's id."""
        moment = scheduled_time.astimezone() if scheduled_time is not None else None
        async with self._client() as client:
            deployment = await _named(client, deployment_name)
            run = await client.create_flow_run_from_deployment(
                deployment.id,
                parameters=dict(parameters or {}),
                state=Scheduled(scheduled_time=moment) if moment is not None else None,
            )
            return str(run.id)

    async def get_workflow_status(self, flow_run_id: str) -> dict[str, Any]:
        """How a flow run is: id, name, state, state_message, start_time, end_time, total_run_time in s, parameters."""
        async with self._client() as client:
            try:
                return deployments.run_status(await client.read_flow_run(_uuid(flow_run_id)))
            except ObjectNotFound as error:
                raise LabkeeperError(f"Prefect has no flow run {flow_run_id}") from error

    async def cancel_workflow_execution(self, flow_run_id: str) -> bool:
        """Have a flow run cancelled; False if it has ended already. It is Cancelled when the hardware is at rest."""
        async with self._client() as client:
            try:
                run = await client.read_flow_run(_uuid(flow_run_id))
                if run.state is not None and run.state.is_final():
                    return False
                answer: OrchestrationResult[Any] = await client.set_flow_run_state(run.id, Cancelling())
            except ObjectNotFound as error:
                raise LabkeeperError(f"Prefect has no flow run {flow_run_id}") from error
            # One that nobody has begun is not cancelling: the server makes it Cancelled at once.
            ended = isinstance(answer.state, State) and answer.state.is_cancelled()
            return answer.status is SetStateStatus.ACCEPT or ended

    async def list_deployments(self) -> list[dict[str, Any]]:
        """Deployed canvases: id, name, flow_name, schedule, is_schedule_active, created, updated."""
        async with self._client() as client:
            tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAGS[0]]))
            named = DeploymentFilter(name=DeploymentFilterName(like_=TAGS[0]))
            found = {
                item.id: item
                for chosen in (tagged, named)
                for item in await client.read_deployments(deployment_filter=chosen)
            }
            names = await _flow_names(client, {item.flow_id for item in found.values()})
            ordered = sorted(found.values(), key=lambda item: item.name)
            return [deployments.described(item, names[item.flow_id]) for item in ordered]

    async def get_recent_flow_runs(self, limit: int = 10) -> list[dict[str, Any]]:
        """The latest runs of deployed canvases: id, name, flow_name, state, start_time, end_time, total_run_time."""
        async with self._client() as client:
            runs = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[TAGS[0]])),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=limit,
            )
            names = await _flow_names(client, {run.flow_id for run in runs})
            return [deployments.recent(run, names[run.flow_id]) for run in runs]

    async def create_deployment_config(
        self,
        workflow_name: str,
        workflow_json: Mapping[str, Any] | str,
        schedule: Schedule | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The same deployment as data, to be kept in a file. Raises `InvalidInput` for a wrong canvas or schedule."""
        text = deployments.canvas_text(workflow_json)
        deployments.schedules(schedule)
        return {
            "workflow_name": workflow_name,
            "workflow_json": text,
            "schedule": dict(schedule) if schedule is not None else None,
            "parameters": {"dry_run": self._dry_run, **(parameters or {})},
            "work_pool_name": POOL,
            "work_queue_name": QUEUE,
            "tags": list(TAGS),
        }

    async def deploy_from_config(self, config: Mapping[str, Any]) -> str:
        """Deploy what `create_deployment_config` gave; the deployment's id."""
        known = {
            "workflow_name",
            "workflow_json",
            "schedule",
            "parameters",
            "work_pool_name",
            "work_queue_name",
            "tags",
        }
        fixed = {"work_pool_name": POOL, "work_queue_name": QUEUE, "tags": list(TAGS)}
        wrong = [
            Problem(str(key), "is not known", did_you_mean(str(key), known)) for key in sorted(set(config) - known)
        ]
        wrong += [Problem(key, "is missing") for key in ("workflow_name", "workflow_json") if key not in config]
        wrong += [
            Problem(key, f"must be {value!r}", "a worker serves no other")
            for key, value in fixed.items()
            if config.get(key, value) != value
        ]
        if wrong:
            raise InvalidInput(wrong)
        return await self.create_workflow_deployment(
            config["workflow_name"], config["workflow_json"], config.get("schedule"), config.get("parameters")
        )

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[PrefectClient]:
        with temporary_settings(updates={PREFECT_API_URL: self._server()}):
            async with get_client() as client:
                try:
                    yield client
                except httpx.TransportError as error:
                    raise LabkeeperError(f"the Prefect server at {self._server()} does not answer: {error}") from error

    def _server(self) -> str:
        found = self._api_url or os.environ.get("PREFECT_API_URL")
        if found:
            return found
        home = self._home or lab_home()
        info = running_info(home)
        if info is None:
            raise LabkeeperError(
                f"no Prefect server: PREFECT_API_URL is not set and no lab runs in {home}; `labkeeper canvas server` "
                "starts one, and so does `labkeeper up FOLDER`"
            )
        return str(info["api_url"])


async def _ensure_queue(client: PrefectClient) -> None:
    """The work pool and queue of deployed canvases. One canvas at a time: a lab has each device once."""
    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template, concurrency_limit=1)
        try:
            await client.create_work_pool(pool)
        except ObjectAlreadyExists:
            return await _ensure_queue(client)
    try:
        await client.read_work_queue_by_name(QUEUE, work_pool_name=POOL)
    except ObjectNotFound:
        try:
            await client.create_work_queue(QUEUE, work_pool_name=POOL)
        except ObjectAlreadyExists:
            return None


async def _named(client: PrefectClient, name: str) -> DeploymentResponse:
    """The deployment of that name, or of `flow/name`."""
    flow_name, _, plain = name.rpartition("/")
    chosen = DeploymentFilter(name=DeploymentFilterName(any_=[plain]))
    found = await client.read_deployments(deployment_filter=chosen)
    names = await _flow_names(client, {item.flow_id for item in found})
    fitting = [item for item in found if not flow_name or names[item.flow_id] == flow_name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        all_names = ", ".join(f"{names[item.flow_id]}/{item.name}" for item in fitting)
        raise LabkeeperError(f"several deployments are called {name!r}: say which, {all_names}")
    known = [item.name for item in await client.read_deployments(limit=100)]
    raise LabkeeperError(f"Prefect has no deployment {name!r}: {did_you_mean(plain, known) or 'there are none'}")


async def _flow_names(client: PrefectClient, ids: set[UUID]) -> dict[UUID, str]:
    return {flow_id: (await client.read_flow(flow_id)).name for flow_id in ids}


def _uuid(text: str) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as error:
        raise LabkeeperError(f"{text!r} is no id of a flow run: it has the form of a UUID") from error
