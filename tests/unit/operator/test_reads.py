"""Prefect's answers as observed data, and the batches in which they are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from labkeeper_operator.prefect_api import reads
from labkeeper_operator.prefect_api.reads import PrefectReader
from labkeeper_operator.prefect_api.session import NotFound, PrefectSession
from tests.unit import builders as b
from tests.unit.operator.worlds import actions, created


def deployment_answer(body: dict[str, Any], **given: Any) -> dict[str, Any]:
    """What Prefect answers for a deployment that was created with that body."""
    schedules = [
        {"id": f"sched-{schedule['slug']}", "deployment_id": "dep-1", **schedule} for schedule in body["schedules"]
    ]
    limit = body["concurrency_limit"]
    options = body["concurrency_options"]
    return {
        **body,
        "id": "dep-1",
        "flow_id": "flow-1",
        "tags": [*reversed(body["tags"])],
        "concurrency_limit": None,
        "global_concurrency_limit": {"id": "limit-1", "limit": limit} if limit else None,
        "concurrency_options": {**options, "grace_period_seconds": None} if options else None,
        "schedules": schedules,
        "status": "NOT_READY",
        **given,
    }


def run_answer(**given: Any) -> dict[str, Any]:
    """What Prefect answers for a flow run."""
    state = {
        "type": "COMPLETED",
        "name": "Completed",
        "timestamp": "2026-03-01T12:00:10Z",
        "message": "well",
        "data": None,
    }
    return {
        "id": "run-1",
        "name": "calm-otter",
        "deployment_id": "dep-1",
        "idempotency_key": "uid-1",
        "state_type": "COMPLETED",
        "state_name": "Completed",
        "state": {**state, **given.pop("state", {})},
        "start_time": "2026-03-01T12:00:00.5Z",
        "end_time": "2026-03-01T12:00:10Z",
        "expected_start_time": "2026-03-01T12:00:00Z",
        "tags": ["labkeeper"],
        "parameters": {"hotel": "A"},
        **given,
    }


@pytest.mark.parametrize(
    "workflow",
    [
        b.a_workflow(tags=["a", "z"]),
        b.a_workflow(concurrency={"limit": 2, "onConflict": "Skip"}),
        b.a_script_workflow(parameters={"a": None}, schedules=[{"name": "night", "cron": "0 2 * * *"}]),
    ],
    ids=["tags", "concurrency", "job"],
)
def test_a_deployment_read_back_from_prefect_needs_nothing(workflow: Any) -> None:
    creation = created(workflow)
    observed = reads.observed_deployment(deployment_answer(creation.body), creation.flow_name)
    assert actions(workflow, observed=observed, owned=(observed,)) == ()


def test_a_deployment_is_read_with_its_names_and_owner() -> None:
    observed = reads.observed_deployment(deployment_answer(created(b.a_workflow()).body), "get-motor-health")
    assert observed.full_name == "get-motor-health/default.move"
    assert observed.owner == "uid-labworkflow-move"


def test_a_schedule_without_parameters_has_empty_ones() -> None:
    body = created(b.a_workflow(schedules=[{"name": "night", "cron": "0 2 * * *"}])).body
    answer = deployment_answer(body)
    answer["schedules"][0]["parameters"] = None
    assert reads.observed_deployment(answer, "f").schedules[0].parameters == {}


def test_a_pool_is_read_with_its_queues() -> None:
    queue = {
        "id": "q-1",
        "name": "urgent",
        "priority": 1,
        "is_paused": False,
        "concurrency_limit": None,
        "description": None,
    }
    pool: dict[str, Any] = {
        "id": "pool-1",
        "name": "hotel",
        "type": "lab-device",
        "description": None,
        "is_paused": True,
        "concurrency_limit": 3,
        "base_job_template": {},
    }
    observed = reads.observed_pool(pool, [queue])
    assert (observed.name, observed.description, observed.is_paused, observed.concurrency_limit) == (
        "hotel",
        "",
        True,
        3,
    )
    assert [(q.name, q.priority, q.description) for q in observed.queues] == [("urgent", 1, "")]


def test_a_run_is_read_with_its_moments() -> None:
    run = reads.observed_run(run_answer())
    assert run.started == datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    assert (run.ended, run.changed, run.expected) == (b.after(10), b.after(10), b.NOW)
    assert (run.state_type, run.message, run.terminal) == ("COMPLETED", "well", True)


def test_a_run_that_has_not_begun_has_no_moments() -> None:
    run = reads.observed_run(
        run_answer(start_time=None, end_time=None, state_type="SCHEDULED", state={"message": None, "timestamp": None})
    )
    assert (run.started, run.ended, run.changed, run.message, run.terminal) == (None, None, None, "", False)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"angle": 5, "simulated": True}, {"angle": 5, "simulated": True}),
        ({"storage_key": "results/x", "expiration": None, "serializer": {}}, None),
        ({"storage_block_id": "x"}, None),
        ("text", None),
        (None, None),
    ],
    ids=["object", "reference", "block", "text", "nothing"],
)
def test_only_a_json_object_is_taken_for_a_result(data: Any, expected: dict[str, Any] | None) -> None:
    assert reads.observed_run(run_answer(state={"data": data})).result == expected


class FakeSession:
    """Answers queries from a list, page by page, and remembers them."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def query(self, path: str, body: dict[str, Any]) -> Any:
        """One page."""
        if path.startswith("/work_pools/"):
            raise NotFound(path)
        self.asked.append((path, body))
        return self.items[body["offset"] :][: body["limit"]]

    async def get(self, path: str) -> Any:
        """Flows are all called the same; nothing else is there."""
        if not path.startswith("/flows/"):
            raise NotFound(path)
        self.asked.append((path, {}))
        return {"name": "get-motor-health"}


def reader_of(*items: dict[str, Any]) -> tuple[PrefectReader, FakeSession]:
    """A reader of a session that answers with these."""
    session = FakeSession(list(items))
    return PrefectReader(cast("PrefectSession", session)), session


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (199, 1), (200, 2), (450, 3)])
async def test_all_pages_are_read(count: int, pages: int) -> None:
    reader, session = reader_of(*(run_answer(id=f"run-{n}") for n in range(count)))
    found = await reader.active_runs()
    assert [run.id for run in found] == [f"run-{n}" for n in range(count)]
    assert len(session.asked) == pages


async def test_nothing_is_asked_about_no_runs() -> None:
    reader, session = reader_of(run_answer())
    assert await reader.runs([]) == []
    assert await reader.runs_by_key([]) == []
    assert session.asked == []


async def test_a_deployment_found_by_owner_and_by_name_is_there_once() -> None:
    reader, session = reader_of(deployment_answer(created(b.a_workflow()).body))
    uids, names = [f"uid-{n}" for n in range(150)], ["default.move"]
    assert [d.id for d in await reader.deployments(uids=uids, names=names)] == ["dep-1"]
    questions = [body["deployments"] for path, body in session.asked if path == "/deployments/filter"]
    assert len(questions) == 2
    assert sum(len(question["tags"]["any_"]) for question in questions) == 150


async def test_names_of_flows_are_asked_for_once() -> None:
    answer = deployment_answer(created(b.a_workflow()).body)
    reader, session = reader_of(answer, {**answer, "id": "dep-2"})
    assert len(await reader.all_deployments()) == 2
    assert [path for path, _ in session.asked if path.startswith("/flows/")] == ["/flows/flow-1"]


async def test_a_pool_that_is_not_there_is_none() -> None:
    reader, _ = reader_of()
    assert await reader.pool("no-such-pool") is None
    assert await reader.workers("no-such-pool") == ()
