"""LabWorkflows that cannot be deployed: what stands in the way, whether a person has to act, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Waiting
from labkeeper_api.kinds import LabPool, LabWorkflow
from labkeeper_operator.reconcile.plan import UpdateDeployment
from tests.unit import builders as b
from tests.unit.operator.worlds import JOBS, PLATES, actions, deployed, stalls


def test_an_unknown_flow_is_answered_with_what_was_probably_meant() -> None:
    error = stalls(b.a_workflow(flow={"name": "plate-resort.activate-hotl"}))
    assert error.reason == Reason.UNKNOWN_FLOW
    assert "did you mean 'plate-resort.activate-hotel'?" in error.message


def test_an_unknown_pool_is_answered_with_what_was_probably_meant() -> None:
    error = stalls(b.a_workflow(), pool=None, known_pools=("plate",))
    assert error.reason == Reason.UNKNOWN_POOL
    assert error.message == "there is no LabPool 'plates' in this namespace: did you mean 'plate'?"


def test_without_any_pool_a_person_is_told_to_apply_one() -> None:
    assert "apply a LabPool of that name first" in stalls(b.a_workflow(), pool=None, known_pools=()).message


def test_an_unknown_queue_is_answered_with_those_of_the_pool() -> None:
    error = stalls(b.a_workflow(placement={"pool": "plates", "queue": "nightly"}))
    assert error.reason == Reason.UNKNOWN_QUEUE
    assert "known here: urgent, standard" in error.message


@pytest.mark.parametrize("queue", [None, "default", "urgent"])
def test_the_default_queue_is_always_there(queue: str | None) -> None:
    assert actions(b.a_workflow(placement={"pool": "plates", "queue": queue}))


@pytest.mark.parametrize(
    ("workflow", "pool", "text"),
    [
        (b.a_workflow(), JOBS, "flow 'plate-resort.get-motor-health' needs a LabPool of type device"),
        (b.a_script_workflow(), PLATES, "a flow given by entrypoint needs a LabPool of type kubernetes"),
    ],
    ids=["device flow", "entrypoint"],
)
def test_a_pool_of_the_wrong_type_is_unsuitable(workflow: LabWorkflow, pool: LabPool, text: str) -> None:
    error = stalls(workflow, pool=pool)
    assert error.reason == Reason.UNSUITABLE_POOL
    assert error.message.startswith(text)


def test_a_pool_that_is_not_ready_is_waited_for() -> None:
    with pytest.raises(Waiting) as caught:
        actions(b.a_workflow(), pool=b.a_pool(ready=False))
    assert caught.value.reason == Reason.POOL_NOT_READY
    assert caught.value.retry_after > 0


def test_wrong_parameters_are_all_named() -> None:
    error = stalls(b.a_workflow(flow={"name": b.PHYSICAL_FLOW}, parameters={"hotel": 5, "precize": True}))
    assert error.reason == Reason.INVALID_PARAMETERS
    assert "spec.parameters.hotel" in error.message
    assert "'precize' was unexpected" in error.message


def test_a_required_parameter_may_come_with_a_run() -> None:
    assert actions(b.a_workflow(flow={"name": b.PHYSICAL_FLOW}))


def test_a_schedule_needs_all_parameters() -> None:
    spec: dict[str, Any] = {"flow": {"name": b.PHYSICAL_FLOW}, "schedules": [{"name": "a", "cron": "0 9 * * *"}]}
    error = stalls(b.a_workflow(**spec))
    assert error.reason == Reason.INVALID_PARAMETERS
    assert error.message.startswith("spec.schedules[0].parameters: 'hotel' is a required property")


@pytest.mark.parametrize(("own", "shared"), [({"hotel": "A"}, {}), ({}, {"hotel": "A"})])
def test_parameters_of_a_schedule_stand_over_those_of_the_workflow(own: dict[str, str], shared: dict[str, str]) -> None:
    schedule = {"name": "a", "cron": "0 9 * * *", "parameters": own}
    assert actions(b.a_workflow(flow={"name": b.PHYSICAL_FLOW}, parameters=shared, schedules=[schedule]))


def test_a_movement_is_never_tried_again_by_itself() -> None:
    error = stalls(b.a_workflow(flow={"name": b.PHYSICAL_FLOW}, retries=1))
    assert error.reason == Reason.RETRIES_FORBIDDEN
    assert "remove spec.retries" in error.message


@pytest.mark.parametrize("workflow", [b.a_workflow(retries=3), b.a_script_workflow(retries=3)], ids=["reading", "job"])
def test_what_may_be_repeated_may_be_tried_again(workflow: LabWorkflow) -> None:
    assert actions(workflow)


def test_a_name_that_an_older_workflow_claims_is_a_conflict() -> None:
    error = stalls(b.a_workflow(), claimed_by="default/first")
    assert error.reason == Reason.CONFLICT
    assert error.message == (
        "LabWorkflow default/first already is deployment 'get-motor-health/default.move': give another "
        "spec.prefect.deploymentName"
    )


def test_a_claim_of_another_workflow_is_not_taken_over_by_adoption() -> None:
    assert stalls(b.a_workflow(adopt=True), claimed_by="default/first").reason == Reason.CONFLICT


def test_a_name_that_its_former_holder_is_about_to_leave_is_waited_for() -> None:
    """Nobody has to act: the other one removes its deployment by itself."""
    with pytest.raises(Waiting) as caught:
        actions(b.a_workflow(), observed=deployed(b.a_workflow()), left_by="default/first")
    assert caught.value.reason == Reason.PROGRESSING
    assert "default/first" in caught.value.message


def with_tags(tags: list[str]) -> Any:
    """The deployment of the workflow with other tags."""
    observed = deployed(b.a_workflow())
    observed.fields["tags"] = tags
    return observed


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ([], "is not made by Labkeeper"),
        (["night"], "is not made by Labkeeper"),
        (["labkeeper", "labkeeper.dev/uid=uid-of-another"], "is another resource's"),
    ],
)
def test_a_deployment_of_somebody_else_is_a_conflict(tags: list[str], text: str) -> None:
    error = stalls(b.a_workflow(), observed=with_tags(tags))
    assert error.reason == Reason.CONFLICT
    assert text in error.message
    assert "set spec.adopt: true to take it over" in error.message


@pytest.mark.parametrize("tags", [[], ["labkeeper", "labkeeper.dev/uid=uid-of-another"]])
def test_a_deployment_of_somebody_else_is_taken_over_when_asked_for(tags: list[str]) -> None:
    (update,) = actions(b.a_workflow(adopt=True), observed=with_tags(tags))
    assert isinstance(update, UpdateDeployment)
    assert "labkeeper.dev/uid=uid-labworkflow-move" in update.changes["tags"]


def test_our_deployment_is_known_by_its_id_where_somebody_took_its_tags_off() -> None:
    (update,) = actions(b.a_ready_workflow(deployment_id="dep-1"), observed=with_tags([]))
    assert isinstance(update, UpdateDeployment)
    assert "labkeeper" in update.changes["tags"]


def test_the_id_does_not_make_ours_what_another_resource_owns() -> None:
    observed = with_tags(["labkeeper.dev/uid=uid-of-another"])
    assert stalls(b.a_ready_workflow(deployment_id="dep-1"), observed=observed).reason == Reason.CONFLICT
