"""The agent's link to Prefect: notices due runs, claims them, proposes their states. Moves nothing, decides nothing.

Raw requests over Prefect's own client: one request per state, without a flow engine in between. Every method raises
`PrefectAway` while the server does not answer; nothing here retries for longer than a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from labkeeper_api.errors import LabkeeperError
from labkeeper_devices.agent.prefect_answers import (
    ClaimedRun,
    DueRun,
    Noticed,
    PrefectAway,
    PrefectRefused,
    Proposal,
    RunState,
    Work,
)
from labkeeper_devices.agent.records import Conclusion

log = logging.getLogger(__name__)

RETRY_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds between attempts while the server answers 503 because SQLite is locked."""
ANSWER_SECONDS = 15.0
"""After so long without an answer the server counts as away: one that hangs must not hold up a shutdown."""
SKEW_PATIENCE_SECONDS = 2.0
"""How long an answer may take that clocks are compared by."""
EARLY = timedelta(seconds=1)
"""How early a run may be taken by its id: about what the clocks differ by."""
MOST_PLANNED = 200
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
HEARD_EVENTS = (
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.Late",
    "prefect.flow-run.AwaitingRetry",
    "prefect.flow-run.Cancelling",
    "prefect.work-pool.",
    "prefect.work-queue.",
)
"""How the names of events begin that wake the agent, or tell it that a pause or a limit may have changed."""


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
        return [_due_run(item) for item in await self._scheduled(datetime.now(UTC), limit)]

    async def first_planned(self, start: datetime, end: datetime) -> datetime:
        """When the first run becomes due that is planned between now, which is `start`, and `end`; `end` if none is."""
        found = await self._scheduled(end, MOST_PLANNED)
        if len(found) == MOST_PLANNED:
            return start  # they come by priority, so the first of all may be missing
        times = (item["next_scheduled_start_time"] for item in found)
        return min([end, *(datetime.fromisoformat(time) if time else start for time in times)])

    async def _scheduled(self, before: datetime, limit: int) -> list[dict[str, Any]]:
        body: dict[str, Any] = {"scheduled_before": before.isoformat(), "limit": limit}
        if self._queues:
            body["work_queue_names"] = list(self._queues)
        found = await self._ask("POST", f"/work_pools/{self._pool}/get_scheduled_flow_runs", body)
        return [item["flow_run"] for item in found]

    async def work(self, deployment_id: str) -> Work:
        """What a deployment asks for. Raises `PrefectRefused` if it is gone or not for a device agent."""
        found = await self._ask("GET", f"/deployments/{deployment_id}")
        variables = found.get("job_variables") or {}
        if not isinstance(variables.get("operation"), str):
            raise PrefectRefused(422, f"deployment {found['name']!r} names no operation in its job variables")
        try:
            return Work(
                operation=variables["operation"],
                version=found.get("version"),
                retries=int(variables.get("retries") or 0),
                retry_delay_seconds=float(variables.get("retry_delay_seconds") or 0),
                timeout_seconds=float(variables.get("timeout_seconds") or 0) or None,
            )
        except (TypeError, ValueError) as error:
            text = f"the job variables of deployment {found['name']!r} are not numbers where they must be: {error}"
            raise PrefectRefused(422, text) from error

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
        said = f"{run_id} {conclusion.type} {conclusion.name} {conclusion.message}"
        # The same each time it is told: Prefect drops what it has already, where only its answer was lost.
        details = {"transition_id": str(uuid.uuid5(uuid.NAMESPACE_OID, said))}
        state: dict[str, Any] = {
            "type": conclusion.type,
            "name": conclusion.name,
            "message": conclusion.message,
            "state_details": details,
        }
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
        """The present state of a run and all before it; None if the run is gone.

        All from one answer: a state that is entered between two requests would be taken for one that was left again.
        """
        states = await self._ask("GET", f"/flow_run_states/?flow_run_id={run_id}")
        if not states:
            return None
        ids = {(state.get("state_details") or {}).get("transition_id") for state in states}
        return RunState(states[-1]["type"], frozenset(str(id_) for id_ in ids if id_))

    async def end_before(self, run_id: str, transition_id: str) -> dict[str, Any] | None:
        """The final state that a run was in when we claimed it by that transition; None as it should be.

        Prefect lets a run that failed be claimed: one that another agent took and ended since we read that it is due.
        """
        before: dict[str, Any] = {}
        for state in await self._ask("GET", f"/flow_run_states/?flow_run_id={run_id}"):
            if (state.get("state_details") or {}).get("transition_id") == transition_id:
                break
            before = state
        return before if before.get("type") in FINAL else None

    async def put_back(self, run_id: str, state: dict[str, Any]) -> None:
        """Give a run that was not ours the state back that it had."""
        kept = {key: state.get(key) for key in ("type", "name", "message", "data")}
        await self._ask("POST", f"/flow_runs/{run_id}/set_state", {"state": kept, "force": True})

    async def due_run(self, run_id: str) -> DueRun | None:
        """A run by its id, if it waits to be claimed and its time has come."""
        try:
            found = await self._ask("GET", f"/flow_runs/{run_id}")
        except PrefectRefused as error:
            if error.status == 404:
                return None
            raise
        scheduled = ((found.get("state") or {}).get("state_details") or {}).get("scheduled_time")
        early = scheduled is not None and datetime.fromisoformat(scheduled) > datetime.now(UTC) + EARLY
        return None if found["state_type"] != "SCHEDULED" or early else _due_run(found)

    async def free_queues(self) -> frozenset[str]:
        """Names of the agent's queues whose due runs are given out one and all: nothing is paused or has a limit."""
        pool = await self._ask("GET", f"/work_pools/{self._pool}")
        if pool["is_paused"] or pool["concurrency_limit"] is not None:
            return frozenset()
        queues = await self._ask("POST", f"/work_pools/{self._pool}/queues/filter", {})
        free = {queue["name"] for queue in queues if not queue["is_paused"] and queue["concurrency_limit"] is None}
        return frozenset(free.intersection(self._queues) if self._queues else free)

    async def runs_of_unit(self, unit: str) -> list[ClaimedRun]:
        """Runs of the pool that have not ended and say that this unit claimed or began them."""
        body = {
            "work_pools": {"name": {"any_": [self._pool]}},
            "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}},
        }
        found = await self._ask("POST", "/flow_runs/filter", body)
        return [_claimed_run(item) for item in found if await self._is_of_unit(item, unit)]

    async def _is_of_unit(self, run: dict[str, Any], unit: str) -> bool:
        states = [run.get("state") or {}]
        if run["state_type"] == "CANCELLING":
            # Who asks for the end of a run says nothing about who carries it out.
            states = await self._ask("GET", f"/flow_run_states/?flow_run_id={run['id']}")
        return any((state.get("message") or "").endswith(f"unit {unit}") for state in states)

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

    async def events(self) -> AsyncIterator[Noticed]:
        """What happens to the pool, its queues and runs, from a minute ago. Ends or raises when the stream breaks."""
        wanted = EventFilter(
            event=EventNameFilter(prefix=list(HEARD_EVENTS)),
            any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{await self.pool_id()}"]),
        )
        async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as stream:
            yield Noticed("connected")
            async for event in stream:
                deployments = event.resource_in_role
                deployment = deployments["deployment"].id if "deployment" in deployments else ""
                yield Noticed(
                    event.event,
                    event.resource.id.removeprefix("prefect.flow-run."),
                    deployment.removeprefix("prefect.deployment."),
                )

    async def _propose(self, run_id: str, state: dict[str, Any]) -> Proposal:
        answer = await self._ask("POST", f"/flow_runs/{run_id}/set_state", {"state": state})
        details, now = answer.get("details") or {}, answer.get("state") or {}
        return Proposal(
            accepted=answer["status"] == "ACCEPT",
            state_type=str(now.get("type", "")),
            reason=str(details.get("reason") or answer["status"]),
            lease_id=(now.get("state_details") or {}).get("deployment_concurrency_lease_id"),
        )

    async def _ask(self, method: Literal["GET", "POST", "PATCH"], path: str, body: Any = None) -> Any:
        for pause in (*RETRY_PAUSES, None):
            sent = time.time()
            try:
                response = await self._client.request(method, path, json=body)  # type: ignore[arg-type]
                self._note_skew(response, sent)
                return response.json() if response.content else None
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 503 or pause is None:
                    raise _translated(error.response) from error
            except httpx.RequestError as error:
                raise PrefectAway(f"Prefect does not answer: {type(error).__name__} {error}".rstrip()) from error
            except ValueError as error:
                raise PrefectAway(f"what answers at {path} is not Prefect: {error}") from error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt either returns or raises")

    def _note_skew(self, response: httpx.Response, sent: float) -> None:
        """Compare clocks by the Date header. It counts whole seconds, so half a second is added to it.

        An answer that took long says too little: nobody knows when in that time it was stamped.
        """
        now = time.time()
        stamp = response.headers.get("date")
        if stamp is None or not 0 <= now - sent <= SKEW_PATIENCE_SECONDS:
            return
        try:
            self.clock_skew = parsedate_to_datetime(stamp).timestamp() + 0.5 - (sent + now) / 2
        except ValueError:
            log.debug("the server's Date header is none: %r", stamp)


def _translated(response: httpx.Response) -> LabkeeperError:
    """What an error answer means. Prefect answers in JSON, refusals too; a page is a proxy's, and Prefect behind it."""
    code = response.status_code
    if code >= 500 or code in (408, 429) or "json" not in response.headers.get("content-type", ""):
        return PrefectAway(f"Prefect answered {code}")
    return PrefectRefused(code, f"Prefect answered {code}: {response.text[:500]}")


async def _refuse_at_once(response: httpx.Response) -> None:
    """Raise for what Prefect's client would wait two seconds about, even when told not to try again."""
    if response.status_code in (408, 429, 502, 503):
        await response.aread()
        response.raise_for_status()


@asynccontextmanager
async def open_link(pool: str, queues: tuple[str, ...]) -> AsyncIterator[PrefectLink]:
    """A link to the server that Prefect's settings name. Does not fail while the server is away."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        settings = {"timeout": httpx.Timeout(ANSWER_SECONDS), "event_hooks": {"response": [_refuse_at_once]}}
        async with get_client(httpx_settings=settings) as client:
            yield PrefectLink(client, pool, queues)


def _due_run(item: dict[str, Any]) -> DueRun:
    return DueRun(
        id=item["id"],
        name=item["name"],
        deployment_id=item["deployment_id"],
        deployment_version=item.get("deployment_version"),
        parameters=item["parameters"] or {},
        queue=item.get("work_queue_name"),
    )


def _claimed_run(item: dict[str, Any]) -> ClaimedRun:
    since = datetime.fromisoformat(item["state"]["timestamp"])
    return ClaimedRun(id=item["id"], name=item["name"], state_type=item["state_type"], since=since)
