"""The status of a LabRun for every state that Prefect knows, as kubectl wait and kstatus read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.kinds import LabRun
from labkeeper_api.kinds.labrun import LabRunStatus
from labkeeper_operator.reconcile import runs
from labkeeper_operator.reconcile.observed import ObservedRun
from tests.unit import builders as b
from tests.unit.api.crd_schema import refusals

IN_PROGRESS = {
    "SCHEDULED": "RunScheduled",
    "PENDING": "RunPending",
    "RUNNING": "RunRunning",
    "PAUSED": "RunRunning",
    "CANCELLING": "RunCancelling",
}
ENDED_BADLY = {"FAILED": "RunFailed", "CRASHED": "RunCrashed", "CANCELLED": "RunCancelled"}
STATES = [*IN_PROGRESS, *ENDED_BADLY, "COMPLETED"]


def status_of(observed: ObservedRun, run: LabRun | None = None, ui_url: str | None = None) -> LabRunStatus:
    """The status that a LabRun gets from its flow run."""
    return LabRunStatus.model_validate(runs.status(run or b.a_run(), observed, ui_url=ui_url, now=b.NOW))


def conditions_of(status: LabRunStatus) -> dict[str, str]:
    """Status of the conditions by type."""
    return {condition.type: condition.status for condition in status.conditions}


@pytest.mark.parametrize(("state", "reason"), IN_PROGRESS.items())
def test_a_run_under_way_is_reconciling(state: str, reason: str) -> None:
    status = status_of(b.a_flow_run(state))
    assert conditions_of(status) == {"Ready": "False", "Reconciling": "True"}
    assert {condition.reason for condition in status.conditions} == {reason}


@pytest.mark.parametrize(("state", "reason"), ENDED_BADLY.items())
def test_a_run_that_ended_badly_has_failed_for_a_person_to_look(state: str, reason: str) -> None:
    status = status_of(b.a_flow_run(state, message="the door is open"))
    assert conditions_of(status) == {"Ready": "False", "Stalled": "True", "Failed": "True"}
    assert {condition.reason for condition in status.conditions} == {reason}
    assert all("the door is open" in condition.message for condition in status.conditions)


def test_a_run_that_completed_is_ready_and_complete() -> None:
    status = status_of(b.a_flow_run("COMPLETED"))
    assert conditions_of(status) == {"Ready": "True", "Complete": "True"}
    assert {condition.reason for condition in status.conditions} == {"RunCompleted"}


def test_a_state_that_a_newer_prefect_invents_is_not_taken_for_success() -> None:
    assert conditions_of(status_of(b.a_flow_run("EXPLODED")))["Ready"] == "False"


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=6))
def test_only_the_last_state_counts_however_a_run_came_to_it(states: list[str]) -> None:
    """A run may be retried after a crash: nothing of its former states is left."""
    run = b.a_run()
    for state in states:
        run = run.model_copy(update={"status": status_of(b.a_flow_run(state, id_="run-1"), run)})
    assert run.status is not None
    assert conditions_of(run.status) == conditions_of(status_of(b.a_flow_run(states[-1], id_="run-1")))


@pytest.mark.parametrize("state", STATES)
def test_a_labrun_is_finished_exactly_when_its_run_has_ended(state: str) -> None:
    run = b.a_run().model_copy(update={"status": status_of(b.a_flow_run(state))})
    assert runs.finished(run) is b.a_flow_run(state).terminal


def test_a_status_tells_which_run_it_is() -> None:
    status = status_of(b.a_flow_run("RUNNING", id_="run-1", name="calm-otter", state_name="Retrying"))
    assert (status.flow_run_id, status.flow_run_name, status.state) == ("run-1", "calm-otter", "Retrying")


def test_a_status_links_to_the_prefect_ui_where_there_is_one() -> None:
    url = status_of(b.a_flow_run(id_="run-1"), ui_url="http://prefect:4200").url
    assert url == "http://prefect:4200/runs/flow-run/run-1"
    assert status_of(b.a_flow_run()).url is None


def test_a_run_under_way_has_not_ended() -> None:
    assert status_of(b.a_flow_run("RUNNING", ended=b.after(-60))).ended is None
    assert status_of(b.a_flow_run("COMPLETED")).ended == b.after(10)


def test_a_status_speaks_of_the_generation_that_is_there() -> None:
    status = status_of(b.a_flow_run(), b.a_run(meta={"generation": 3}))
    assert status.observed_generation == 3
    assert {condition.observed_generation for condition in status.conditions} == {3}


@pytest.mark.parametrize(("message", "expected"), [("", None), ("short", "short"), ("x" * 5000, "x" * 2047 + "…")])
def test_a_message_is_kept_within_bounds(message: str, expected: str | None) -> None:
    assert status_of(b.a_flow_run("FAILED", message=message)).message == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"result": {"simulated": True}}, True),
        ({"result": {"simulated": False}}, False),
        ({"result": {"simulated": "yes"}}, None),
        ({"tags": ("simulated",)}, True),
        ({"tags": ("simulated",), "result": {"simulated": False}}, False),
        ({}, None),
    ],
)
def test_a_status_says_whether_a_simulator_carried_it_out(given_: dict[str, Any], expected: bool | None) -> None:
    assert status_of(b.a_flow_run("COMPLETED", **given_)).simulated is expected


def test_a_small_result_is_copied() -> None:
    result = {"angle": 12.5, "path": [1, 2], "note": None}
    assert status_of(b.a_flow_run("COMPLETED", result=result)).result == result


@pytest.mark.parametrize(
    "result",
    [{f"well-{n}": n for n in range(33)}, {"image": "x" * 2_000_000}, {"readings": list(range(300_000))}],
    ids=["many entries", "one long text", "one long list"],
)
def test_a_large_result_is_left_to_prefect(result: dict[str, Any]) -> None:
    """etcd takes no object beyond 1.5 MB: the status of that LabRun could never be written."""
    written = runs.status(b.a_run(), b.a_flow_run("COMPLETED", result=result), ui_url=None, now=b.NOW)
    assert "result" not in set(written)


@pytest.mark.parametrize("state", STATES)
def test_a_status_fits_the_crd(state: str) -> None:
    status = status_of(b.a_flow_run(state, message="x" * 5000, result={"a": 1}), ui_url="http://prefect:4200")
    assert refusals(LabRun, b.a_run().model_copy(update={"status": status}).wire()) == []
