"""LabRun to a plan for its one flow run: creation, deletion and expiry."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabRun, LabWorkflow
from labkeeper_operator.reconcile import runs
from labkeeper_operator.reconcile.observed import ObservedRun
from labkeeper_operator.reconcile.plan import CancelRun, CreateRun, Plan
from tests.unit import builders as b

COMPLETE = {"conditions": [b.condition("Complete")], "ended": b.NOW.isoformat()}


def plan(labrun: LabRun, workflow: LabWorkflow | None = None, **world: Any) -> Plan:
    """What is planned for a LabRun of a workflow that is ready, unless another is given."""
    return runs.plan(labrun, runs.RunWorld(b.CATALOG, workflow or b.a_ready_workflow(), **world))


def creation(run: LabRun, workflow: LabWorkflow | None = None) -> CreateRun:
    """The one creation that is planned."""
    (action,) = plan(run, workflow).actions
    assert isinstance(action, CreateRun)
    return action


def waits(run: LabRun, workflow: LabWorkflow | None) -> Waiting:
    """What the LabRun waits for."""
    with pytest.raises(Waiting) as caught:
        runs.plan(run, runs.RunWorld(b.CATALOG, workflow))
    assert caught.value.retry_after > 0
    return caught.value


def test_the_uid_of_a_labrun_is_the_idempotency_key_of_its_flow_run() -> None:
    """Asking again after a crash finds the same run."""
    action = creation(b.a_run(meta={"uid": "uid-1"}))
    assert action.idempotency_key == "uid-1"
    assert action.body["idempotency_key"] == "uid-1"
    assert action.deployment_id == "dep-1"


def test_a_flow_run_gets_the_parameters_of_the_labrun_only() -> None:
    """Prefect puts them over those of the deployment."""
    workflow = b.a_ready_workflow(flow={"name": b.PHYSICAL_FLOW}, parameters={"hotel": "A"})
    assert creation(b.a_run(parameters={"precise": False}), workflow).body["parameters"] == {"precise": False}


def test_a_labrun_without_a_start_begins_at_once() -> None:
    assert "state" not in creation(b.a_run()).body


def test_a_labrun_can_start_later() -> None:
    state = creation(b.a_run(start_at="2026-05-01T09:00:00+09:00")).body["state"]
    assert state["type"] == "SCHEDULED"
    assert state["state_details"] == {"scheduled_time": "2026-05-01T09:00:00+09:00"}


def test_a_run_that_is_there_needs_nothing() -> None:
    assert plan(b.a_run(), run=b.a_flow_run("RUNNING")) == Plan()


def test_a_run_that_is_there_needs_nothing_even_where_its_workflow_is_gone() -> None:
    assert runs.plan(b.a_run(), runs.RunWorld(b.CATALOG, None, run=b.a_flow_run("RUNNING"))) == Plan()


def test_a_run_that_vanished_is_never_created_again() -> None:
    with pytest.raises(Stalled) as caught:
        plan(b.a_run(status={"flowRunId": "run-1"}))
    assert caught.value.reason == Reason.RUN_LOST
    assert "flow run run-1 is no longer in Prefect" in caught.value.message


def test_a_workflow_that_is_not_there_is_waited_for() -> None:
    error = waits(b.a_run(), None)
    assert error.reason == Reason.UNKNOWN_WORKFLOW
    assert "there is no LabWorkflow 'move' in this namespace yet" in error.message


@pytest.mark.parametrize(
    "workflow",
    [
        b.a_workflow(),
        b.a_ready_workflow(status={"observedGeneration": 1, "deploymentId": "dep-1"}),
        b.a_ready_workflow(meta={"generation": 2}),
        b.a_ready_workflow(status={"observedGeneration": 1, "conditions": [b.condition("Ready")]}),
        b.a_ready_workflow(
            status={"observedGeneration": 1, "conditions": [b.condition("Ready", False)], "deploymentId": "dep-1"}
        ),
    ],
    ids=["never reconciled", "no condition", "spec just changed", "no deployment", "not ready"],
)
def test_a_workflow_that_is_not_ready_is_waited_for(workflow: LabWorkflow) -> None:
    """The deployment may still be that of an older spec."""
    assert waits(b.a_run(), workflow).reason == Reason.WORKFLOW_NOT_READY


def test_waiting_for_a_workflow_says_why_it_is_not_ready() -> None:
    ready = b.condition("Ready", False, "UnknownPool", "there is no LabPool 'plates'")
    status = {"observedGeneration": 1, "conditions": [ready]}
    error = waits(b.a_run(), b.a_workflow(status=status))
    assert error.message == "LabWorkflow 'move' is not ready: there is no LabPool 'plates'"


def test_a_suspended_workflow_still_runs_on_request() -> None:
    assert creation(b.a_run(), b.a_ready_workflow(suspend=True)).deployment_id == "dep-1"


@pytest.mark.parametrize(
    ("shared", "own", "text"),
    [
        ({}, {}, "'hotel' is a required property"),
        ({"hotel": "A"}, {"hotel": 5}, "spec.parameters.hotel"),
        ({"hotel": "A"}, {"hotle": "B"}, "'hotle' was unexpected"),
    ],
    ids=["missing", "wrong", "unknown"],
)
def test_wrong_parameters_are_for_a_person_to_mend(shared: dict[str, Any], own: dict[str, Any], text: str) -> None:
    workflow = b.a_ready_workflow(flow={"name": b.PHYSICAL_FLOW}, parameters=shared)
    with pytest.raises(Stalled) as caught:
        plan(b.a_run(parameters=own), workflow)
    assert caught.value.reason == Reason.INVALID_PARAMETERS
    assert text in caught.value.message


def test_parameters_of_an_entrypoint_are_not_checked() -> None:
    workflow = b.a_ready_workflow(flow={"entrypoint": "lab:measure"}, placement={"pool": "jobs"})
    assert creation(b.a_run(parameters={"anything": 1}), workflow).body["parameters"] == {"anything": 1}


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "PAUSED"])
def test_deleting_a_labrun_cancels_its_run(state: str) -> None:
    assert runs.plan_deletion(b.a_flow_run(state, id_="run-1")) == Plan((CancelRun("run-1", "its LabRun was deleted"),))


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING"])
def test_a_run_that_ended_or_is_being_stopped_is_not_cancelled_again(state: str) -> None:
    assert runs.plan_deletion(b.a_flow_run(state)) == Plan()


def test_a_run_that_goes_on_for_too_long_is_cancelled_and_told_why() -> None:
    run = b.a_flow_run("RUNNING", id_="run-1", started=b.after(-61))
    (action,) = runs.plan_timeout(run, 60, now=b.NOW).actions
    assert isinstance(action, CancelRun)
    assert action.id == "run-1"
    assert "longer than the 60 s" in action.why


@pytest.mark.parametrize(
    ("run", "timeout"),
    [
        (b.a_flow_run("RUNNING", started=b.after(-60)), 60),
        (b.a_flow_run("RUNNING", started=b.after(-3600)), None),
        (b.a_flow_run("CANCELLING", started=b.after(-61)), 60),
        (b.a_flow_run("COMPLETED", started=b.after(-61)), 60),
        (b.a_flow_run("PENDING", started=None), 60),
    ],
    ids=["in time", "no timeout", "stopping", "ended", "not started"],
)
def test_no_other_run_is_cancelled_for_its_time(run: ObservedRun, timeout: int | None) -> None:
    assert runs.plan_timeout(run, timeout, now=b.NOW) == Plan()


def test_deleting_a_labrun_that_has_no_run_needs_nothing() -> None:
    assert runs.plan_deletion(None) == Plan()


def deleted(seconds: float) -> LabRun:
    """A LabRun whose deletion was asked for that many seconds before NOW."""
    return b.a_run(meta={"deletionTimestamp": b.after(-seconds).isoformat()})


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_a_labrun_goes_once_its_run_has_ended(state: str) -> None:
    assert runs.may_go(deleted(0), b.a_flow_run(state), now=b.NOW)


@pytest.mark.parametrize("state", ["RUNNING", "CANCELLING", "PENDING"])
def test_a_labrun_waits_until_the_hardware_is_at_rest(state: str) -> None:
    assert not runs.may_go(deleted(59), b.a_flow_run(state), now=b.NOW)


def test_a_deletion_never_hangs() -> None:
    assert runs.may_go(deleted(60), b.a_flow_run("CANCELLING"), now=b.NOW)


def test_a_labrun_without_a_run_may_go() -> None:
    assert runs.may_go(deleted(0), None, now=b.NOW)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([b.condition("Complete")], True),
        ([b.condition("Failed"), b.condition("Stalled")], True),
        ([b.condition("Stalled")], False),
        ([b.condition("Complete", False)], False),
        ([], False),
    ],
    ids=["complete", "failed", "only stalled", "not complete", "nothing"],
)
def test_a_labrun_is_finished_when_it_completed_or_failed(conditions: list[dict[str, Any]], expected: bool) -> None:
    assert runs.finished(b.a_run(status={"conditions": conditions})) is expected


def test_a_labrun_without_a_status_is_not_finished() -> None:
    assert not runs.finished(b.a_run())


def test_a_finished_labrun_expires_after_its_time() -> None:
    assert runs.expires_at(b.a_run(status=COMPLETE, ttl_seconds_after_finished=60)) == b.after(60)
    assert runs.expires_at(b.a_run(status=COMPLETE, ttl_seconds_after_finished=0)) == b.NOW


def test_a_labrun_whose_end_is_not_known_expires_from_its_last_condition() -> None:
    status = {"conditions": [b.condition("Failed")]}
    assert runs.expires_at(b.a_run(status=status, ttl_seconds_after_finished=60)) == b.after(60)


@pytest.mark.parametrize(
    "run",
    [
        b.a_run(status=COMPLETE),
        b.a_run(ttl_seconds_after_finished=60),
        b.a_run(status={"conditions": [b.condition("Reconciling")]}, ttl_seconds_after_finished=60),
    ],
    ids=["no time given", "not begun", "under way"],
)
def test_other_labruns_never_expire(run: LabRun) -> None:
    assert runs.expires_at(run) is None
