"""LabWorkflow to a plan for its deployment: creation, steady state, and single changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api import wire
from labkeeper_api.kinds import LabWorkflow
from labkeeper_operator.reconcile import workflows
from labkeeper_operator.reconcile.plan import DeleteDeployment, Plan, UpdateDeployment
from tests.unit import builders as b
from tests.unit.operator.worlds import actions, changes, created, deployed, planned_over

FULL: dict[str, Any] = {
    "flow": {"name": b.PHYSICAL_FLOW},
    "placement": {"pool": "plates", "queue": "standard"},
    "description": "Turns.",
    "parameters": {"hotel": "A"},
    "schedules": [{"name": "night", "cron": "0 2 * * *"}],
    "concurrency": {"limit": 2, "onConflict": "Skip"},
    "timeout_seconds": 60,
    "tags": ["night", "hotel"],
    "suspend": True,
}


def test_a_deployment_that_is_not_there_is_created_with_all_its_fields() -> None:
    create = created(b.a_workflow(**FULL))
    body = dict(create.body)
    version = body.pop("version")
    entry = b.CATALOG.get(b.PHYSICAL_FLOW)
    assert entry is not None
    assert create.flow_name == "activate-hotel"
    assert len(version) == 12
    assert body == {
        "name": "default.move",
        "description": "Turns.\n\nManaged by Labkeeper: LabWorkflow default/move.",
        "paused": True,
        "tags": ["hotel", "labkeeper", "labkeeper.dev/uid=uid-labworkflow-move", "night"],
        "parameters": {"hotel": "A"},
        "parameter_openapi_schema": entry.parameter_schema,
        "enforce_parameter_schema": True,
        "work_pool_name": "default.plates",
        "work_queue_name": "standard",
        "job_variables": {"operation": "plate-resort.activate_hotel", "timeout_seconds": 60},
        "entrypoint": "plate-resort.activate_hotel",
        "concurrency_limit": 2,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
        "schedules": [
            {
                "slug": "night",
                "active": True,
                "schedule": {"cron": "0 2 * * *", "timezone": "UTC", "day_or": True},
                "parameters": {},
            }
        ],
    }


def test_a_flow_given_by_entrypoint_is_not_checked_by_a_schema() -> None:
    create = created(b.a_script_workflow(parameters={"anything": [1]}))
    assert create.flow_name == "measure-all"
    assert create.body["entrypoint"] == "my_lab.flows:measure_all"
    assert create.body["enforce_parameter_schema"] is False
    assert create.body["parameter_openapi_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("entrypoint", "flow"),
    [("a:b", "b"), ("my_lab.flows.measure_all", "measure-all"), ("my_lab.flows:Measure", "Measure")],
)
def test_a_flow_given_by_entrypoint_is_named_after_its_function(entrypoint: str, flow: str) -> None:
    assert created(b.a_script_workflow(flow={"entrypoint": entrypoint})).flow_name == flow


def test_the_names_of_a_guide_win_over_generated_ones() -> None:
    create = created(b.a_workflow(prefect={"flow_name": "My SDL1 Workflow", "deployment_name": "nightly"}))
    assert (create.flow_name, create.body["name"]) == ("My SDL1 Workflow", "nightly")


def test_without_a_queue_runs_wait_in_the_default_one() -> None:
    assert created(b.a_workflow()).body["work_queue_name"] == "default"


@pytest.mark.parametrize(("on_conflict", "strategy"), [("Queue", "ENQUEUE"), ("Skip", "CANCEL_NEW")])
def test_a_run_over_the_limit_waits_or_is_skipped(on_conflict: str, strategy: str) -> None:
    body = created(b.a_workflow(concurrency={"limit": 1, "onConflict": on_conflict})).body
    assert body["concurrency_options"] == {"collision_strategy": strategy}


def test_no_concurrency_is_no_limit() -> None:
    body = created(b.a_workflow()).body
    assert (body["concurrency_limit"], body["concurrency_options"]) == (None, None)


def test_retries_of_a_device_flow_are_for_the_agent() -> None:
    variables = created(b.a_workflow(retries=2, retry_delay_seconds=5)).body["job_variables"]
    assert variables[wire.RETRIES_VARIABLE] == 2
    assert variables[wire.RETRY_DELAY_VARIABLE] == 5


def test_retries_of_a_job_are_for_prefect() -> None:
    env = created(b.a_script_workflow(retries=2, retry_delay_seconds=5)).body["job_variables"]["env"]
    assert env == {"PREFECT_FLOWS_DEFAULT_RETRIES": "2", "PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": "5"}


def test_the_image_of_a_job_is_a_job_variable() -> None:
    assert created(b.a_script_workflow(job={"image": "lab:2"})).body["job_variables"]["image"] == "lab:2"
    assert "image" not in created(b.a_script_workflow()).body["job_variables"]


def test_the_surroundings_add_job_variables() -> None:
    variables = created(b.a_script_workflow(), job_variables={"working_dir": "/lab"}).body["job_variables"]
    assert variables["working_dir"] == "/lab"
    assert variables["env"]


def test_environment_variables_of_the_surroundings_join_those_for_retries() -> None:
    given_ = {"env": {"PYTHONPATH": "/lab"}}
    env = created(b.a_script_workflow(retries=2), job_variables=given_).body["job_variables"]["env"]
    assert env["PYTHONPATH"] == "/lab"
    assert env["PREFECT_FLOWS_DEFAULT_RETRIES"] == "2"


@pytest.mark.parametrize("workflow", [b.a_workflow(), b.a_script_workflow()], ids=["device", "job"])
def test_job_variables_are_never_empty(workflow: LabWorkflow) -> None:
    """Prefect takes {} for "leave it" and could not clear what was there."""
    assert created(workflow, job_variables={}).body["job_variables"]


@pytest.mark.parametrize(
    "workflow",
    [
        b.a_workflow(),
        b.a_workflow(**FULL),
        b.a_script_workflow(job={"image": "lab:2"}, retries=1),
        b.a_workflow(schedules=[{"name": "a", "intervalSeconds": 60}, {"name": "b", "rrule": "FREQ=DAILY"}]),
        b.a_workflow(prefect={"deployment_name": "nightly"}),
    ],
    ids=["bare", "full", "job", "schedules", "named"],
)
def test_a_deployment_that_is_as_wanted_needs_nothing(workflow: LabWorkflow) -> None:
    """Any PATCH wipes future runs, so a steady state makes no writes."""
    assert planned_over(workflow, workflow) == ()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"description": "Reads."},
            {"description": "Reads.\n\nManaged by Labkeeper: LabWorkflow default/move."},
        ),
        ({"suspend": True}, {"paused": True}),
        ({"tags": ["night"]}, {"tags": ["labkeeper", "labkeeper.dev/uid=uid-labworkflow-move", "night"]}),
        (
            {"concurrency": {"limit": 1}},
            {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "ENQUEUE"}},
        ),
        (
            {"retries": 2},
            {"job_variables": {"operation": "plate-resort.get_motor_health", "retries": 2, "retry_delay_seconds": 0}},
        ),
        (
            {"timeout_seconds": 9},
            {"job_variables": {"operation": "plate-resort.get_motor_health", "timeout_seconds": 9}},
        ),
        (
            {"placement": {"pool": "plates", "queue": "urgent"}},
            {"work_queue_name": "urgent", "work_pool_name": "default.plates"},
        ),
    ],
    ids=["description", "suspend", "tags", "concurrency", "retries", "timeoutSeconds", "queue"],
)
def test_a_changed_field_changes_that_field_and_the_version(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    found = changes(b.a_workflow(), b.a_workflow(**spec))
    assert found.pop("version")
    assert found == expected


@pytest.mark.parametrize(
    "spec",
    [
        {"description": "Reads."},
        {"suspend": True},
        {"tags": ["night"]},
        {"concurrency": {"limit": 1}},
        {"retries": 2},
        {"timeout_seconds": 9},
        {"placement": {"pool": "plates", "queue": "urgent"}},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_a_cleared_field_is_as_if_it_had_never_been_given(spec: dict[str, Any]) -> None:
    found = changes(b.a_workflow(**spec), b.a_workflow())
    body = created(b.a_workflow()).body
    assert found == {key: body[key] for key in found}


def test_cleared_concurrency_is_no_limit_again() -> None:
    found = changes(b.a_workflow(concurrency={"limit": 1}), b.a_workflow())
    assert (found["concurrency_limit"], found["concurrency_options"]) == (None, None)


def test_changed_parameters_replace_the_old_ones() -> None:
    before, after = b.a_script_workflow(parameters={"a": 1, "b": 2}), b.a_script_workflow(parameters={"b": 2})
    assert changes(before, after)["parameters"] == {"b": 2}


def test_changed_conflict_handling_leaves_the_limit() -> None:
    skip, queue = (b.a_workflow(concurrency={"limit": 1, "onConflict": way}) for way in ("Skip", "Queue"))
    assert set(changes(skip, queue)) == {"concurrency_options", "version"}


def test_another_function_of_the_same_name_changes_the_entrypoint() -> None:
    before, after = (b.a_script_workflow(flow={"entrypoint": f"{module}:measure"}) for module in ("lab_a", "lab_b"))
    assert set(changes(before, after)) == {"entrypoint", "version"}


def test_a_changed_image_changes_the_job_variables() -> None:
    found = changes(b.a_script_workflow(), b.a_script_workflow(job={"image": "lab:2"}))
    assert set(found) == {"job_variables", "version"}


def test_a_queue_is_never_changed_without_its_pool() -> None:
    """Prefect looks a queue up in the pool of the same request."""
    moved = b.a_workflow(placement={"pool": "plates", "queue": "urgent"})
    renamed = b.a_pool("plates", queues={"urgent": 1}, prefect={"pool_name": "hotel"})
    assert {"work_pool_name", "work_queue_name"} <= set(changes(b.a_workflow(), moved))
    assert changes(moved, moved, pool=renamed)["work_queue_name"] == "urgent"


def test_what_was_changed_by_hand_is_put_right() -> None:
    observed = deployed(b.a_workflow())
    observed.fields["paused"] = True
    assert actions(b.a_workflow(), observed=observed) == (UpdateDeployment("dep-1", {"paused": False}),)


@given(st.lists(st.sampled_from(sorted(FULL)), unique=True), st.lists(st.sampled_from(sorted(FULL)), unique=True))
def test_any_change_is_one_update_that_leads_to_the_wanted_deployment(before: list[str], after: list[str]) -> None:
    def workflow(fields: list[str]) -> LabWorkflow:
        base = {"flow": FULL["flow"], "parameters": FULL["parameters"]}
        return b.a_workflow(**base, **{key: FULL[key] for key in fields if key not in base})

    observed = deployed(workflow(before))
    updates = [a for a in actions(workflow(after), observed=observed) if isinstance(a, UpdateDeployment)]
    assert len(updates) <= 1
    for update in updates:
        observed.fields.update(update.changes)
    assert observed.fields == deployed(workflow(after)).fields


def test_the_version_says_whether_two_deployments_differ() -> None:
    version = created(b.a_workflow()).body["version"]
    assert created(b.a_workflow()).body["version"] == version
    assert created(b.a_workflow(description="Other.")).body["version"] != version


def test_the_order_of_parameters_makes_no_difference() -> None:
    before, after = b.a_script_workflow(parameters={"a": 1, "b": 2}), b.a_script_workflow(parameters={"b": 2, "a": 1})
    assert planned_over(before, after) == ()


def test_the_order_of_tags_makes_no_difference() -> None:
    assert planned_over(b.a_workflow(tags=["a", "b"]), b.a_workflow(tags=["b", "a"])) == ()


def test_a_renamed_deployment_is_created_before_the_old_one_is_deleted() -> None:
    old = deployed(b.a_workflow())
    renamed = b.a_workflow(prefect={"deployment_name": "nightly"})
    create, delete = actions(renamed, owned=(old,))
    assert getattr(create, "body", {})["name"] == "nightly"
    assert delete == DeleteDeployment("dep-1")


def test_another_flow_is_another_deployment() -> None:
    old = deployed(b.a_workflow())
    assert actions(b.a_workflow(flow={"name": "plate-resort.go-home"}), owned=(old,))[-1] == DeleteDeployment("dep-1")


def test_what_is_left_of_a_rename_that_was_broken_off_is_deleted() -> None:
    old = b.observed_deployment("get-motor-health", {**created(b.a_workflow()).body, "name": "old"}, id_="dep-old")
    new = deployed(b.a_workflow())
    assert actions(b.a_workflow(), observed=new, owned=(old, new)) == (DeleteDeployment("dep-old"),)


def test_deleting_a_workflow_deletes_all_that_it_owns() -> None:
    body = created(b.a_workflow()).body
    owned = tuple(b.observed_deployment("f", {**body, "name": name}, id_=name) for name in ("a", "b"))
    plan = workflows.plan_deletion(b.a_workflow(), owned)
    assert plan == Plan((DeleteDeployment("a"), DeleteDeployment("b")))


def test_deleting_a_workflow_can_leave_its_deployment() -> None:
    workflow = b.a_workflow(deletion_policy="Orphan")
    assert workflows.plan_deletion(workflow, (deployed(workflow),)) == Plan()


def test_deleting_a_workflow_that_owns_nothing_needs_nothing() -> None:
    assert workflows.plan_deletion(b.a_workflow(), ()) == Plan()
