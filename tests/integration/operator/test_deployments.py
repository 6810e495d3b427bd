"""LabPools and LabWorkflows become work pools and deployments, and follow every change of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from labkeeper_api import wire
from labkeeper_api.operations.plate_resort import GUIDE_DEPLOYMENTS
from tests.integration.operator.conftest import EXAMPLES
from tests.integration.operator.lab import READ, LabNamespace, manifest, pool, queues, workflow
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.operator.prefect import Prefect

Data = dict[str, Any]


def test_the_guides_pool_and_ten_deployments_have_the_guides_names(lab: LabNamespace, prefect: Prefect) -> None:
    files = [EXAMPLES / "lab.yaml", EXAMPLES / "workflows.yaml"]
    lab.kubectl("apply", "--validate=strict", *(f"--filename={file}" for file in files))
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
    workflows = [document["metadata"]["name"] for document in documents if document["kind"] == "LabWorkflow"]
    lab.wait("lpool", "plate-resort")
    lab.wait("lwf", *workflows)

    found = prefect.pool("plate-resort-pool")
    assert found is not None
    assert found["type"] == wire.WORKER_TYPE
    assert prefect.order("plate-resort-pool") == [("urgent", 1), ("standard", 2), ("monitoring", 3), ("default", 4)]
    assert prefect.queues("plate-resort-pool")[0]["description"] == "Stops and checks that cannot wait."
    for operation, deployment in GUIDE_DEPLOYMENTS.items():
        full_name = f"{operation.replace('_', '-')}/{deployment}"
        found = prefect.the_deployment(full_name)
        assert found["work_pool_name"] == "plate-resort-pool"
        assert found["job_variables"] == {"operation": f"plate-resort.{operation}"}
        assert found["enforce_parameter_schema"] is True
    assert prefect.deployment(f"tour/{lab.name}.tour") is not None  # where no name is given
    assert prefect.the_deployment("connect/plate-resort-connect")["work_queue_name"] == "urgent"

    status = lab.status("lwf", "connect")
    assert status["deploymentName"] == "connect/plate-resort-connect"
    assert status["url"].endswith(f"/deployments/deployment/{status['deploymentId']}")
    assert status["physical"] is True
    assert lab.status("lwf", "health")["physical"] is False
    assert [queue["name"] for queue in lab.status("lpool", "plate-resort")["queues"]] == [
        "urgent",
        "standard",
        "monitoring",
        "default",
    ]
    device = lab.wait_reason("ldev", "plate-resort", "UnitOffline")
    assert "labkeeper agent run" in device["Ready"]["message"]


def test_a_status_follows_the_generation_and_the_deployment_keeps_its_id(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}))
    first = lab.wait_current("lwf", "moves")
    assert first["metadata"]["generation"] == first["status"]["observedGeneration"] == 1
    ids = {first["status"]["deploymentId"]}
    name = first["status"]["deploymentName"]
    changes: list[Data] = [{"parameters": {"hotel": "B"}}, {"suspend": True}, {"tags": ["night"]}]
    for generation, change in enumerate(changes, 2):
        lab.patch("lwf", "moves", **change)
        changed = lab.wait_current("lwf", "moves")
        assert changed["status"]["observedGeneration"] == generation
        assert {c["observedGeneration"] for c in changed["status"]["conditions"]} == {generation}
        ids.add(prefect.the_deployment(name)["id"])
    assert len(ids) == 1
    deployment = prefect.the_deployment(name)
    assert deployment["parameters"] == {"hotel": "B"}
    assert deployment["paused"] is True
    assert "night" in deployment["tags"]
    assert lab.condition("lwf", "moves")["reason"] == "Suspended"


def test_a_field_that_is_taken_out_of_the_spec_is_cleared_in_prefect(lab: LabNamespace, prefect: Prefect) -> None:
    full = workflow(
        "reads",
        flow={"name": READ},
        placement={"pool": "pool", "queue": "slow"},
        description="Readings of the night.",
        tags=["night"],
        concurrency={"limit": 2, "onConflict": "Skip"},
        retries=3,
        retryDelaySeconds=7,
        timeoutSeconds=90,
        suspend=True,
        schedules=[{"name": "nightly", "cron": "0 3 * * *", "timezone": "Asia/Tokyo"}],
    )
    lab.apply(pool(description="For the night.", concurrencyLimit=4, queues=queues("fast", "slow"), suspend=True), full)
    lab.wait("lpool", "pool")
    name = lab.wait_current("lwf", "reads")["status"]["deploymentName"]
    deployment = prefect.the_deployment(name)
    assert deployment["description"].startswith("Readings of the night.\n\nManaged by Labkeeper")
    assert deployment["job_variables"] == {
        "operation": "plate-resort.get_motor_health",
        "retries": 3,
        "retry_delay_seconds": 7,
        "timeout_seconds": 90,
    }
    assert deployment["global_concurrency_limit"]["limit"] == 2
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert (deployment["work_queue_name"], deployment["paused"]) == ("slow", True)
    assert deployment["schedules"][0]["schedule"]["timezone"] == "Asia/Tokyo"

    lab.apply(pool(queues=queues("fast", "slow")), workflow("reads", flow={"name": READ}))
    lab.wait_current("lpool", "pool")
    lab.wait_current("lwf", "reads")
    cleared = prefect.the_deployment(name)
    assert cleared["id"] == deployment["id"]
    assert "Readings of the night." not in cleared["description"]
    assert "night" not in cleared["tags"]
    assert cleared["job_variables"] == {"operation": "plate-resort.get_motor_health"}
    assert cleared["global_concurrency_limit"] is None
    assert cleared["concurrency_options"] is None
    assert (cleared["work_queue_name"], cleared["paused"], cleared["schedules"]) == ("default", False, [])
    work_pool = prefect.pool(f"{lab.name}.pool")
    assert work_pool is not None
    assert (work_pool["concurrency_limit"], work_pool["is_paused"]) == (None, False)
    assert "For the night." not in work_pool["description"]


def test_parameters_that_are_taken_out_are_cleared_in_prefect(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A", "overrides": {"pwm_max": 500}}))
    name = lab.wait_current("lwf", "moves")["status"]["deploymentName"]
    lab.apply(workflow("moves", parameters={"hotel": "A"}))
    lab.wait_current("lwf", "moves")
    assert prefect.the_deployment(name)["parameters"] == {"hotel": "A"}
    lab.apply(workflow("moves"))
    lab.wait_current("lwf", "moves")
    assert prefect.the_deployment(name)["parameters"] == {}


def test_another_flow_in_the_same_workflow_replaces_the_deployment(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), workflow("one"))
    before = lab.wait_current("lwf", "one")["status"]
    lab.apply(workflow("one", flow={"name": READ}))
    after = lab.wait_current("lwf", "one")["status"]
    assert (before["deploymentName"], after["deploymentName"]) == (
        f"activate-hotel/{lab.name}.one",
        f"get-motor-health/{lab.name}.one",
    )
    assert prefect.deployment(before["deploymentName"]) is None
    assert prefect.the_deployment(after["deploymentName"])["id"] == after["deploymentId"]


def test_a_new_deployment_name_makes_a_new_deployment_and_removes_the_old_one(
    lab: LabNamespace, prefect: Prefect
) -> None:
    lab.apply(pool(), workflow("moves", prefect={"deploymentName": "first-name"}))
    before = lab.wait_current("lwf", "moves")["status"]
    assert before["deploymentName"] == "activate-hotel/first-name"
    lab.patch("lwf", "moves", prefect={"deploymentName": "second-name", "flowName": "My SDL1 Workflow"})
    after = lab.wait_current("lwf", "moves")["status"]
    assert after["deploymentName"] == "My SDL1 Workflow/second-name"
    assert after["deploymentId"] != before["deploymentId"]
    owned = prefect.deployments(wire.owner_tag(lab.uid("lwf", "moves")))
    assert [deployment["name"] for deployment in owned] == ["second-name"]


def test_a_workflow_moves_to_another_pool_and_queue(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(queues=queues("fast", "slow")), pool("other", queues=queues("fast")))
    lab.apply(workflow("moves", placement={"pool": "pool", "queue": "slow"}))
    status = lab.wait_current("lwf", "moves")["status"]
    for wanted in (("pool", "fast"), ("other", "fast"), ("pool", "slow")):
        lab.patch("lwf", "moves", placement={"pool": wanted[0], "queue": wanted[1]})
        lab.wait_current("lwf", "moves")
        found = prefect.the_deployment(status["deploymentName"])
        assert (found["work_pool_name"], found["work_queue_name"]) == (f"{lab.name}.{wanted[0]}", wanted[1])
        assert found["id"] == status["deploymentId"]
    assert [name for name, _ in prefect.order(f"{lab.name}.other")] == ["fast", "default"]


def test_deletion_policy_orphan_leaves_the_deployment_and_delete_removes_it(
    lab: LabNamespace, prefect: Prefect
) -> None:
    lab.apply(pool(), workflow("left", deletionPolicy="Orphan"), workflow("gone"))
    left = lab.wait_current("lwf", "left")["status"]
    gone = lab.wait_current("lwf", "gone")["status"]
    lab.delete("lwf", "left")
    lab.delete("lwf", "gone")
    assert prefect.the_deployment(left["deploymentName"])["id"] == left["deploymentId"]
    assert prefect.deployment(gone["deploymentName"]) is None
    prefect.call("DELETE", f"/deployments/{left['deploymentId']}")

    lab.apply(pool("left", deletionPolicy="Orphan"))
    lab.wait_current("lpool", "left")
    lab.delete("lpool", "left")
    lab.delete("lpool", "pool")
    assert prefect.pool(f"{lab.name}.left") is not None
    assert prefect.pool(f"{lab.name}.pool") is None
    prefect.call("DELETE", f"/work_pools/{lab.name}.left")


def test_what_was_changed_in_prefect_by_hand_is_put_right(lab: LabNamespace, prefect: Prefect) -> None:
    spec = {"parameters": {"hotel": "A"}, "schedules": [{"name": "nightly", "cron": "0 3 * * *"}]}
    lab.apply(pool(queues=queues("fast", "slow")), workflow("moves", **spec))
    status = lab.wait_current("lwf", "moves")["status"]
    name, path = status["deploymentName"], f"/deployments/{status['deploymentId']}"
    schedule = prefect.schedules(name)["nightly"]

    prefect.call("PATCH", path, {"parameters": {"hotel": "D"}, "tags": ["mine"], "paused": True})
    eventually(lambda: prefect.the_deployment(name)["parameters"] == {"hotel": "A"}, 30, what="parameters put right")
    found = prefect.the_deployment(name)
    assert wire.TAG in found["tags"]
    assert found["paused"] is False

    prefect.call("PATCH", f"{path}/schedules/{schedule['id']}", {"active": False})
    eventually(lambda: prefect.schedules(name)["nightly"]["active"], 30, what="schedule active again")
    prefect.call("DELETE", f"{path}/schedules/{schedule['id']}")
    eventually(lambda: "nightly" in prefect.schedules(name), 30, what="schedule there again")

    prefect.call("PATCH", f"/work_pools/{lab.name}.pool", {"is_paused": True})
    prefect.call("PATCH", f"/work_pools/{lab.name}.pool/queues/slow", {"priority": 1})
    wanted = [("fast", 1), ("slow", 2), ("default", 3)]
    eventually(lambda: prefect.order(f"{lab.name}.pool") == wanted, 30, what="queue order put right")
    eventually(lambda: prefect.pool(f"{lab.name}.pool")["is_paused"] is False, 30, what="pool resumed")  # type: ignore[index]

    prefect.call("DELETE", path)
    eventually(lambda: prefect.deployment(name), 30, what="deployment there again")
    new_id = prefect.the_deployment(name)["id"]
    eventually(lambda: lab.status("lwf", "moves")["deploymentId"] == new_id, 30, what="its new id in the status")
    assert lab.condition("lwf", "moves")["status"] == "True"


def test_a_flow_that_was_deleted_in_prefect_comes_back_with_its_deployment(lab: LabNamespace, prefect: Prefect) -> None:
    """Deleting a flow deletes its deployments; the id that the operator remembers of it is of no use any more."""
    lab.apply(pool(), workflow("moves", prefect={"flowName": "deleted-by-hand"}))
    status = lab.wait_current("lwf", "moves")["status"]
    name = status["deploymentName"]
    flow_id = prefect.the_deployment(name)["flow_id"]
    prefect.call("DELETE", f"/flows/{flow_id}")
    before = status["deploymentId"]
    eventually(lambda: lab.status("lwf", "moves")["deploymentId"] != before, 30, what="another deployment")
    now = lab.wait_current("lwf", "moves")["status"]
    found = prefect.the_deployment(name)
    assert found["id"] == now["deploymentId"]
    assert found["flow_id"] != flow_id


def test_a_kubernetes_pool_and_a_flow_by_entrypoint(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool("cluster", type="kubernetes"))
    lab.apply(
        manifest(
            "LabWorkflow",
            "measures",
            flow={"entrypoint": "my_lab.flows:measure_all"},
            placement={"pool": "cluster"},
            job={"image": "registry.example/my-lab:1"},
            retries=2,
            parameters={"cycles": 3},
        )
    )
    status = lab.wait_current("lwf", "measures")["status"]
    assert status["deploymentName"] == f"measure-all/{lab.name}.measures"
    found = prefect.the_deployment(status["deploymentName"])
    assert found["entrypoint"] == "my_lab.flows:measure_all"
    assert found["job_variables"]["image"] == "registry.example/my-lab:1"
    assert found["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRIES"] == "2"
    assert found["enforce_parameter_schema"] is False
    work_pool = prefect.pool(f"{lab.name}.cluster")
    assert work_pool is not None
    assert work_pool["type"] == "kubernetes"
