"""The status of a LabWorkflow: what it says of its deployment and of its runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from labkeeper_api.kinds import LabWorkflow
from labkeeper_api.kinds.labworkflow import LabWorkflowStatus
from labkeeper_operator.reconcile import workflows
from labkeeper_operator.reconcile.runs import RunHistory
from tests.unit import builders as b
from tests.unit.api.crd_schema import refusals
from tests.unit.operator.worlds import a_world, deployed

NIGHTLY = [{"name": "night", "cron": "0 2 * * *"}]
OLD_RUN = {"id": "run-0", "state": "Completed"}


def status_of(
    workflow: LabWorkflow, history: RunHistory | None = None, now: datetime = b.NOW, **world: Any
) -> LabWorkflowStatus:
    """The status of a workflow whose deployment is as wanted."""
    deployment = deployed(b.a_workflow())
    written = workflows.status(workflow, a_world(**world), deployment, history or RunHistory(), now=now)
    return LabWorkflowStatus.model_validate(written)


def refreshed(workflow: LabWorkflow, history: RunHistory) -> LabWorkflowStatus:
    """The status after only its runs were looked at."""
    written = workflows.history_status(workflow, history)
    assert written is not None
    return LabWorkflowStatus.model_validate(written)


def test_a_status_names_the_deployment() -> None:
    status = status_of(b.a_workflow())
    assert (status.deployment_id, status.deployment_name) == ("dep-1", "get-motor-health/default.move")
    assert status.physical is False


def test_a_status_links_to_the_prefect_ui_where_there_is_one() -> None:
    url = status_of(b.a_workflow(), ui_url="http://prefect:4200").url
    assert url == "http://prefect:4200/deployments/deployment/dep-1"
    assert status_of(b.a_workflow()).url is None


def test_whether_an_entrypoint_is_physical_is_not_known() -> None:
    assert status_of(b.a_script_workflow()).physical is None


@pytest.mark.parametrize(("suspend", "reason"), [(False, "Reconciled"), (True, "Suspended")])
def test_a_workflow_as_wanted_is_ready(suspend: bool, reason: str) -> None:
    status = status_of(b.a_workflow(suspend=suspend, meta={"generation": 4}))
    (ready,) = status.conditions
    assert (ready.type, ready.status, ready.reason, ready.observed_generation) == ("Ready", "True", reason, 4)
    assert status.observed_generation == 4


def test_a_workflow_that_was_stalled_and_is_ready_has_nothing_left_of_it() -> None:
    stalled = {"conditions": [b.condition("Ready", False), b.condition("Stalled"), b.condition("Reconciling")]}
    assert [c.type for c in status_of(b.a_workflow(status=stalled)).conditions] == ["Ready"]


def test_writing_the_same_status_again_changes_nothing() -> None:
    workflow = b.a_workflow()
    first = status_of(workflow)
    again = workflow.model_copy(update={"status": first})
    assert status_of(again, now=b.after(3600)) == first


def test_a_status_tells_of_the_last_run() -> None:
    run = b.a_flow_run("FAILED", id_="run-1", name="calm-otter", message="the door is open", tags=("simulated",))
    last = status_of(b.a_workflow(), RunHistory(last=run)).last_run
    assert last is not None
    assert (last.id, last.name, last.state, last.message) == ("run-1", "calm-otter", "Failed", "the door is open")
    assert (last.started, last.ended, last.simulated) == (b.NOW, b.after(10), True)


def test_a_run_under_way_has_not_ended() -> None:
    """Prefect keeps the end of an earlier attempt."""
    run = b.a_flow_run("RUNNING", ended=b.after(-60))
    last = status_of(b.a_workflow(), RunHistory(last=run)).last_run
    assert last is not None
    assert last.ended is None


def test_a_long_message_of_a_run_is_cut() -> None:
    last = status_of(b.a_workflow(), RunHistory(last=b.a_flow_run("FAILED", message="x" * 5000))).last_run
    assert last is not None
    assert len(last.message) == 2048
    assert last.message.endswith("…")


def test_what_is_not_known_of_runs_stays_as_it_was() -> None:
    """An operator that has just started knows no history yet."""
    old = {"lastRun": OLD_RUN, "runs": {"completed": 7}, "deploymentId": "dep-1"}
    status = status_of(b.a_workflow(status=old))
    assert status.last_run is not None
    assert status.runs is not None
    assert (status.last_run.id, status.runs.completed) == ("run-0", 7)


def test_counts_are_written_by_outcome() -> None:
    counts = {"COMPLETED": 3, "FAILED": 2, "CRASHED": 1}
    runs = status_of(b.a_workflow(), RunHistory(counts=counts)).runs
    assert runs is not None
    assert runs.model_dump() == {"completed": 3, "failed": 2, "crashed": 1, "cancelled": 0}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"schedules": NIGHTLY}, b.after(60)),
        ({"schedules": NIGHTLY, "suspend": True}, None),
        ({}, None),
    ],
    ids=["scheduled", "suspended", "without schedules"],
)
def test_the_next_run_is_told_only_where_one_will_come(spec: dict[str, Any], expected: datetime | None) -> None:
    history = RunHistory(next_due=b.after(60))
    assert status_of(b.a_workflow(**spec), history).next_run == expected
    assert refreshed(b.a_ready_workflow(**spec), history).next_run == expected


def test_refreshing_runs_leaves_the_conditions_alone() -> None:
    workflow = b.a_ready_workflow()
    assert workflow.status is not None
    status = refreshed(workflow, RunHistory(last=b.a_flow_run("COMPLETED"), counts={"COMPLETED": 1}))
    assert status.conditions == workflow.status.conditions
    assert status.observed_generation == workflow.status.observed_generation
    assert status.runs is not None
    assert status.runs.completed == 1


def test_a_workflow_that_was_never_reconciled_has_no_runs_to_refresh() -> None:
    assert workflows.history_status(b.a_workflow(), RunHistory()) is None


def test_a_status_fits_the_crd() -> None:
    history = RunHistory(b.a_flow_run("FAILED", message="x" * 5000), b.after(60), {"COMPLETED": 1})
    status = status_of(b.a_workflow(schedules=NIGHTLY), history, ui_url="http://prefect:4200")
    assert refusals(LabWorkflow, b.a_workflow().model_copy(update={"status": status}).wire()) == []
