"""Reads from Prefect, in batches, as observed data. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from labkeeper_api import wire
from labkeeper_operator.prefect_api.session import NotFound, PrefectSession
from labkeeper_operator.reconcile.observed import (
    TERMINAL_TYPES,
    ObservedDeployment,
    ObservedPool,
    ObservedQueue,
    ObservedRun,
    ObservedSchedule,
    ObservedWorker,
)

PAGE = 200
"""Prefect's own limit of a page."""

T = TypeVar("T")

DEPLOYMENT_FIELDS = (
    "description",
    "paused",
    "parameters",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "work_pool_name",
    "work_queue_name",
    "job_variables",
    "entrypoint",
    "concurrency_options",
    "version",
)


class PrefectReader:
    """Batch readers over one session."""

    def __init__(self, session: PrefectSession) -> None:
        self._session = session
        self._flow_names: dict[str, str] = {}

    async def pool(self, name: str) -> ObservedPool | None:
        """A work pool with its queues; None if there is none of that name."""
        try:
            pool = await self._session.get(f"/work_pools/{name}")
            queues = await self._session.query(f"/work_pools/{name}/queues/filter", {"limit": PAGE})
        except NotFound:
            return None
        return observed_pool(pool, queues)

    async def workers(self, pool: str) -> tuple[ObservedWorker, ...]:
        """The workers that ever served a work pool; empty if there is no such pool."""
        try:
            found = await self._session.query(f"/work_pools/{pool}/workers/filter", {"limit": PAGE})
        except NotFound:
            return ()
        return tuple(ObservedWorker(item["name"], item["status"] == "ONLINE") for item in found)

    async def deployments(self, *, uids: Iterable[str], names: Iterable[str]) -> list[ObservedDeployment]:
        """Deployments that belong to one of the uids or have one of the names."""
        found: dict[str, ObservedDeployment] = {}
        for uid_chunk, name_chunk in _zip_chunks(sorted(set(uids)), sorted(set(names)), PAGE // 2):
            wanted = {
                "operator": "or_",
                "tags": {"any_": [wire.owner_tag(uid) for uid in uid_chunk]},
                "name": {"any_": list(name_chunk)},
            }
            for item in await self._pages("/deployments/filter", {"deployments": wanted}):
                found[item["id"]] = await self._deployment(item)
        return list(found.values())

    async def all_deployments(self) -> list[ObservedDeployment]:
        """Every deployment that Labkeeper made."""
        body = {"deployments": {"tags": {"all_": [wire.TAG]}}}
        return [await self._deployment(item) for item in await self._pages("/deployments/filter", body)]

    async def deployment(self, id_: str) -> ObservedDeployment:
        """One deployment. Raises `NotFound`."""
        return await self._deployment(await self._session.get(f"/deployments/{id_}"))

    async def observed_deployment(self, item: dict[str, Any]) -> ObservedDeployment:
        """A deployment from Prefect's answer to a creation."""
        return await self._deployment(item)

    async def runs(self, ids: Sequence[str]) -> list[ObservedRun]:
        """Flow runs by id; those that are gone are left out."""
        return await self._runs({"id": {"any_": list(ids)}}, len(ids))

    async def runs_by_key(self, keys: Sequence[str]) -> list[ObservedRun]:
        """Flow runs by idempotency key."""
        return await self._runs({"idempotency_key": {"any_": list(keys)}}, len(keys))

    async def active_runs(self) -> list[ObservedRun]:
        """All runs of Labkeeper's deployments that have begun and not ended, or are late."""
        types = ["PENDING", "RUNNING", "CANCELLING", "PAUSED"]
        body = {"flow_runs": {"tags": {"all_": [wire.TAG]}, "state": {"type": {"any_": types}}}}
        return [observed_run(item) for item in await self._pages("/flow_runs/filter", body)]

    async def ended_since(self, moment: datetime) -> list[ObservedRun]:
        """All runs of Labkeeper's deployments that ended at or after that moment, newest first."""
        runs = {"tags": {"all_": [wire.TAG]}, "end_time": {"after_": moment.isoformat()}}
        body = {"flow_runs": runs, "sort": "END_TIME_DESC"}
        return [observed_run(item) for item in await self._pages("/flow_runs/filter", body)]

    async def last_run(self, deployment_id: str) -> ObservedRun | None:
        """The run of a deployment that started last."""
        types = sorted({"RUNNING", "PENDING", "CANCELLING", *TERMINAL_TYPES})
        body = {
            "flow_runs": {"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"any_": types}}},
            "sort": "START_TIME_DESC",
            "limit": 1,
        }
        found = await self._session.query("/flow_runs/filter", body)
        return observed_run(found[0]) if found else None

    async def next_due(self, deployment_id: str) -> datetime | None:
        """When the next scheduled run of a deployment is due."""
        runs = {"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
        body = {"flow_runs": runs, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": 1}
        found = await self._session.query("/flow_runs/filter", body)
        return _moment(found[0]["next_scheduled_start_time"]) if found else None

    async def last_end(self, deployment_id: str) -> datetime | None:
        """When the run of a deployment that ended last did so."""
        runs = {"deployment_id": {"any_": [deployment_id]}, "end_time": {"is_null_": False}}
        body = {"flow_runs": runs, "sort": "END_TIME_DESC", "limit": 1}
        found = await self._session.query("/flow_runs/filter", body)
        return _moment(found[0]["end_time"]) if found else None

    async def counts(self, deployment_id: str, *, until: datetime) -> dict[str, int]:
        """How many runs of a deployment had ended in each way by that moment, by Prefect's state type."""
        counts: dict[str, int] = {}
        for state in sorted(TERMINAL_TYPES):
            runs = {
                "deployment_id": {"any_": [deployment_id]},
                "state": {"type": {"any_": [state]}},
                "end_time": {"before_": until.isoformat()},
            }
            counts[state] = int(await self._session.query("/flow_runs/count", {"flow_runs": runs}))
        return counts

    async def flow_name(self, flow_id: str) -> str:
        """Name of a flow; names never change, so they are remembered."""
        if flow_id not in self._flow_names:
            self._flow_names[flow_id] = (await self._session.get(f"/flows/{flow_id}"))["name"]
        return self._flow_names[flow_id]

    def remember_flow(self, flow_id: str, name: str) -> None:
        """Spare a look-up of a flow that was just created."""
        self._flow_names[flow_id] = name

    async def _runs(self, wanted: dict[str, Any], count: int) -> list[ObservedRun]:
        if not count:
            return []
        return [observed_run(item) for item in await self._pages("/flow_runs/filter", {"flow_runs": wanted})]

    async def _deployment(self, item: dict[str, Any]) -> ObservedDeployment:
        return observed_deployment(item, await self.flow_name(item["flow_id"]))

    async def _pages(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self._session.query(path, {**body, "limit": PAGE, "offset": len(found)})
            found.extend(page)
            if len(page) < PAGE:
                return found


def observed_pool(pool: dict[str, Any], queues: list[dict[str, Any]]) -> ObservedPool:
    """A work pool from Prefect's answers."""
    return ObservedPool(
        id=pool["id"],
        name=pool["name"],
        type=pool["type"],
        description=pool["description"] or "",
        is_paused=pool["is_paused"],
        concurrency_limit=pool["concurrency_limit"],
        base_job_template=pool["base_job_template"],
        queues=tuple(
            ObservedQueue(
                id=queue["id"],
                name=queue["name"],
                priority=queue["priority"],
                is_paused=queue["is_paused"],
                concurrency_limit=queue["concurrency_limit"],
                description=queue["description"] or "",
            )
            for queue in queues
        ),
    )


def observed_deployment(item: dict[str, Any], flow_name: str) -> ObservedDeployment:
    """A deployment from Prefect's answer."""
    fields = {name: item.get(name) for name in DEPLOYMENT_FIELDS}
    fields["tags"] = sorted(item["tags"])
    limit = item.get("global_concurrency_limit")
    fields["concurrency_limit"] = limit["limit"] if limit else None
    options = item.get("concurrency_options")
    fields["concurrency_options"] = (
        {key: value for key, value in options.items() if value is not None} if options else None
    )
    return ObservedDeployment(
        id=item["id"],
        name=item["name"],
        flow_name=flow_name,
        fields=fields,
        schedules=tuple(
            ObservedSchedule(
                id=schedule["id"],
                slug=schedule["slug"],
                active=schedule["active"],
                schedule=schedule["schedule"],
                parameters=schedule["parameters"] or {},
            )
            for schedule in item["schedules"]
        ),
    )


def observed_run(item: dict[str, Any]) -> ObservedRun:
    """A flow run from Prefect's answer."""
    state = item.get("state") or {}
    data = state.get("data")
    return ObservedRun(
        id=item["id"],
        name=item["name"],
        deployment_id=item["deployment_id"],
        idempotency_key=item["idempotency_key"],
        state_type=item["state_type"],
        state_name=item["state_name"],
        message=state.get("message") or "",
        started=_moment(item["start_time"]),
        ended=_moment(item["end_time"]),
        expected=_moment(item["expected_start_time"]),
        changed=_moment(state.get("timestamp")),
        tags=tuple(item["tags"]),
        parameters=item["parameters"] or {},
        result=data if isinstance(data, dict) and not _is_reference(data) else None,
    )


def _is_reference(data: dict[str, Any]) -> bool:
    """Prefect puts a reference to stored results in the same place."""
    return "storage_key" in data or "storage_block_id" in data


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _zip_chunks(left: list[T], right: list[T], size: int) -> Iterator[tuple[list[T], list[T]]]:
    for start in range(0, max(len(left), len(right)), size):
        yield left[start : start + size], right[start : start + size]
