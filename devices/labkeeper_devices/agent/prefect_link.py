"""The agent's link to Prefect: notices due runs, claims them, proposes their states. Moves nothing, decides nothing.

Raw requests over Prefect's own client: one request per state, without a flow engine in between. Every method raises
`PrefectAway` while the server does not answer; nothing here retries for longer than a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from labkeeper_api.errors import LabkeeperError
from labkeeper_devices.agent.journal import Conclusion

log = logging.getLogger(__name__)

RETRY_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds between attempts while the server answers 503 because SQLite is locked."""
WAKING_EVENTS = (
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.Late",
    "prefect.flow-run.AwaitingRetry",
    "prefect.flow-run.Cancelling",
)


class PrefectAway(LabkeeperError):
    """The Prefect server does not answer; what was asked may or may not have happened."""


class PrefectRefused(LabkeeperError):
    """The Prefect server answered and refused."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class DueRun:
    """A run that waits to be claimed."""

    id: str
    name: str
    deployment_id: str | None
    deployment_version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What a deployment asks of the agent."""

    operation: str
    version: str | None = None
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None


@dataclass(frozen=True)
class RunState:
    """Present state of a run and the transition ids of all that it went through."""

    type: str
    transition_ids: frozenset[str]


@dataclass(frozen=True)
class Proposal:
    """Prefect's answer to a proposed state."""

    accepted: bool
    state_type: str
    reason: str
    lease_id: str | None = None
    retry_after: float | None = None


class PrefectLink:
    """Requests of one agent to one Prefect server."""

    def __init__(self, client: PrefectClient, pool: str, queues: tuple[str, ...]) -> None:
        self._client = client
        self._pool = pool
        self._queues = queues
        self.clock_skew: float | None = None
        """The server's clock minus ours, in seconds; None until an answer came."""

    async def due_runs(self, limit: int) -> list[DueRun]:
        """Runs that are due now, the most urgent first."""
        body: dict[str, Any] = {"scheduled_before": datetime.now(UTC).isoformat(), "limit": limit}
        if self._queues:
            body["work_queue_names"] = list(self._queues)
        found = await self._ask("POST", f"/work_pools/{self._pool}/get_scheduled_flow_runs", body)
        return [_due_run(item["flow_run"]) for item in found]

    async def work(self, deployment_id: str) -> Work:
        """What a deployment asks for. Raises `PrefectRefused` if it is gone or not for a device agent."""
        found = await self._ask("GET", f"/deployments/{deployment_id}")
        variables = found.get("job_variables") or {}
        if not isinstance(variables.get("operation"), str):
            raise PrefectRefused(422, f"deployment {found['name']!r} names no operation in its job variables")
        timeout = variables.get("timeout_seconds")
        return Work(
            operation=variables["operation"],
            version=found.get("version"),
            retries=int(variables.get("retries") or 0),
            retry_delay_seconds=float(variables.get("retry_delay_seconds") or 0),
            timeout_seconds=float(timeout) if timeout else None,
        )

    async def propose_pending(self, run_id: str, transition_id: str, unit: str) -> Proposal:
        """Claim a run: of several agents that propose this, Prefect accepts one."""
        return await self._propose(
            run_id,
            {
                "type": "PENDING",
                "name": "Pending",
                "message": f"claimed by unit {unit}",
                "state_details": {"transition_id": transition_id},
            },
        )

    async def propose_running(self, run_id: str, transition_id: str, unit: str) -> Proposal:
        """Say that the run begins."""
        return await self._propose(
            run_id,
            {
                "type": "RUNNING",
                "name": "Running",
                "message": f"on unit {unit}",
                "state_details": {"transition_id": transition_id},
            },
        )

    async def conclude(self, run_id: str, conclusion: Conclusion) -> None:
        """Say how the run ended. A run that somebody else ended meanwhile still gets the true end."""
        state: dict[str, Any] = {"type": conclusion.type, "name": conclusion.name, "message": conclusion.message}
        if conclusion.data is not None:
            state["data"] = conclusion.data
        try:
            answer = await self._propose(run_id, state)
        except PrefectRefused as error:
            if error.status != 404:
                raise
            log.warning("run %s is gone from Prefect; its end, %s, stays in the journal", run_id, conclusion.name)
            return
        if not answer.accepted and answer.state_type != conclusion.type:
            # Orchestration rules would keep, say, Cancelling from becoming Completed; what happened is what counts.
            await self._ask("POST", f"/flow_runs/{run_id}/set_state", {"state": state, "force": True})

    async def state_of(self, run_id: str) -> RunState | None:
        """The present state of a run; None if the run is gone."""
        try:
            run = await self._ask("GET", f"/flow_runs/{run_id}")
        except PrefectRefused as error:
            if error.status == 404:
                return None
            raise
        states = await self._ask("GET", f"/flow_run_states/?flow_run_id={run_id}")
        ids = {(state.get("state_details") or {}).get("transition_id") for state in states}
        return RunState(run["state_type"], frozenset(str(id_) for id_ in ids if id_))

    async def run(self, run_id: str) -> DueRun | None:
        """A run by its id; None if it is gone."""
        try:
            return _due_run(await self._ask("GET", f"/flow_runs/{run_id}"))
        except PrefectRefused as error:
            if error.status == 404:
                return None
            raise

    async def runs_of_unit(self, unit: str) -> list[DueRun]:
        """Runs of the pool that have not ended and say that this unit claimed or began them."""
        body = {
            "work_pools": {"name": {"any_": [self._pool]}},
            "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}},
        }
        found = await self._ask("POST", "/flow_runs/filter", body)
        said = [(item, (item.get("state") or {}).get("message") or "") for item in found]
        return [_due_run(item) for item, message in said if message.endswith(f"unit {unit}")]

    async def state_type(self, run_id: str) -> str | None:
        """The type of a run's present state; None if the run is gone."""
        try:
            return str((await self._ask("GET", f"/flow_runs/{run_id}"))["state_type"])
        except PrefectRefused as error:
            if error.status == 404:
                return None
            raise

    async def log_lines(self, run_id: str, lines: list[tuple[datetime, int, str]]) -> None:
        """Send lines to the run's log in Prefect."""
        body = [
            {
                "name": "labkeeper.agent",
                "level": level,
                "message": message,
                "timestamp": moment.isoformat(),
                "flow_run_id": run_id,
            }
            for moment, level, message in lines
        ]
        await self._ask("POST", "/logs/", body)

    async def heartbeat(self, worker: str, interval: float) -> None:
        """Say that the agent lives."""
        body = {"name": worker, "heartbeat_interval_seconds": int(interval)}
        await self._ask("POST", f"/work_pools/{self._pool}/workers/heartbeat", body)

    async def renew_lease(self, lease_id: str, seconds: float) -> None:
        """Keep the deployment's concurrency slot: without this Prefect would let the next run begin."""
        await self._ask("POST", f"/v2/concurrency_limits/leases/{lease_id}/renew", {"lease_duration": seconds})

    async def variable(self, name: str) -> str | None:
        """The value of a Prefect variable; None if there is none."""
        try:
            found = await self._ask("GET", f"/variables/name/{name}")
        except PrefectRefused as error:
            if error.status == 404:
                return None
            raise
        return str(found["value"])

    async def set_variable(self, name: str, value: str) -> None:
        """Create or replace a Prefect variable."""
        if await self.variable(name) is None:
            await self._ask("POST", "/variables/", {"name": name, "value": value, "tags": ["labkeeper"]})
        else:
            await self._ask("PATCH", f"/variables/name/{name}", {"value": value})

    async def pool_id(self) -> str:
        """Id of the work pool. Raises `PrefectRefused` with status 404 while there is none."""
        return str((await self._ask("GET", f"/work_pools/{self._pool}"))["id"])

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """Event names and run ids of the pool, as they happen. Ends or raises when the stream breaks."""
        wanted = EventFilter(
            event=EventNameFilter(name=list(WAKING_EVENTS)),
            any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{await self.pool_id()}"]),
        )
        async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as stream:
            yield "connected", ""
            async for event in stream:
                yield event.event, event.resource.id.removeprefix("prefect.flow-run.")

    async def _propose(self, run_id: str, state: dict[str, Any]) -> Proposal:
        answer = await self._ask("POST", f"/flow_runs/{run_id}/set_state", {"state": state})
        details, now = answer.get("details") or {}, answer.get("state") or {}
        return Proposal(
            accepted=answer["status"] == "ACCEPT",
            state_type=str(now.get("type", "")),
            reason=str(details.get("reason") or answer["status"]),
            lease_id=(now.get("state_details") or {}).get("deployment_concurrency_lease_id"),
            retry_after=details.get("delay_seconds"),
        )

    async def _ask(self, method: Literal["GET", "POST", "PATCH"], path: str, body: Any = None) -> Any:
        for pause in (*RETRY_PAUSES, None):
            sent = time.time()
            try:
                response = await self._client.request(method, path, json=body)  # type: ignore[arg-type]
            except httpx.HTTPStatusError as error:
                code = error.response.status_code
                if code == 503 and pause is not None:
                    await asyncio.sleep(pause)
                    continue
                if code >= 500 or code == 429:
                    raise PrefectAway(f"Prefect answered {code}") from error
                raise PrefectRefused(code, f"Prefect answered {code}: {error.response.text[:500]}") from error
            except httpx.TransportError as error:
                raise PrefectAway(f"Prefect does not answer: {type(error).__name__} {error}".rstrip()) from error
            self._note_skew(response, sent)
            return response.json() if response.content else None
        raise AssertionError("the last attempt either returns or raises")

    def _note_skew(self, response: httpx.Response, sent: float) -> None:
        """Compare clocks by the Date header. It counts whole seconds, so half a second is added to it."""
        stamp = response.headers.get("date")
        if stamp is not None:
            middle = (sent + time.time()) / 2
            self.clock_skew = parsedate_to_datetime(stamp).timestamp() + 0.5 - middle


@asynccontextmanager
async def open_link(pool: str, queues: tuple[str, ...]) -> AsyncIterator[PrefectLink]:
    """A link to the server that Prefect's settings name. Does not fail while the server is away."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            yield PrefectLink(client, pool, queues)


def _due_run(item: dict[str, Any]) -> DueRun:
    return DueRun(
        id=item["id"],
        name=item["name"],
        deployment_id=item["deployment_id"],
        deployment_version=item.get("deployment_version"),
        parameters=item["parameters"] or {},
    )
