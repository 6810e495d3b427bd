"""A LabRun is one flow run in Prefect from its creation to its end, as `kubectl` shows and waits for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.operator.lab import LabNamespace, pool, run, workflow
from tests.integration.operator.test_schedules import wait_rounds
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_link import Link

Data = dict[str, Any]


def begin(lab: LabNamespace, name: str = "once", **spec: Any) -> str:
    """Apply a pool, a workflow and a run of it; the id of the flow run."""
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A", "precise": False}), run(name, "moves", **spec))
    return flow_run(lab, name)


def flow_run(lab: LabNamespace, name: str) -> str:
    return str(eventually(lambda: lab.status("lrun", name).get("flowRunId"), 30, what="the flow run's id"))


def test_a_run_is_one_flow_run_with_its_own_parameters_over_the_workflows(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    lab = quiet_lab
    id_ = begin(lab, parameters={"hotel": "C"})
    found = prefect.runs_of_key(lab.uid("lrun", "once"))
    assert [each["id"] for each in found] == [id_]
    assert found[0]["parameters"] == {"hotel": "C", "precise": False}
    assert found[0]["deployment_id"] == lab.status("lwf", "moves")["deploymentId"]
    assert found[0]["work_pool_name"] == f"{lab.name}.pool"
    assert {"labkeeper"} <= set(found[0]["tags"])
    status = lab.status("lrun", "once")
    assert status["flowRunName"] == found[0]["name"]
    assert status["url"].endswith(f"/runs/flow-run/{id_}")
    conditions = lab.conditions("lrun", "once")
    assert conditions["Reconciling"]["reason"] == conditions["Ready"]["reason"] == "RunScheduled"


def test_a_run_is_followed_by_events_alone_until_it_is_complete_with_its_result(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    lab = quiet_lab
    id_ = begin(lab)
    prefect.set_state(id_, "PENDING")
    lab.wait_reason("lrun", "once", "RunPending")
    prefect.set_state(id_, "RUNNING")
    lab.wait_reason("lrun", "once", "RunRunning")
    assert "started" in lab.status("lrun", "once")
    prefect.set_state(id_, "COMPLETED", message="Hotel A.", data={"angle": 19.25, "hotel": "A", "simulated": True})
    lab.wait("lrun", "once", condition="Complete")
    status = lab.status("lrun", "once")
    assert status["result"] == {"angle": 19.25, "hotel": "A", "simulated": True}
    assert (status["state"], status["message"], status["simulated"]) == ("Completed", "Hotel A.", True)
    assert status["started"] <= status["ended"]
    conditions = lab.conditions("lrun", "once")
    assert set(conditions) == {"Ready", "Complete"}
    assert conditions["Ready"]["status"] == "True"
    shown = lab.kubectl("get", "lrun", "once").splitlines()[1].split()
    assert shown[:3] == ["once", "moves", "Completed"]


@pytest.mark.parametrize(
    ("end", "reason"), [("FAILED", "RunFailed"), ("CRASHED", "RunCrashed"), ("CANCELLED", "RunCancelled")]
)
def test_a_run_that_ends_badly_is_failed_with_the_reason(
    quiet_lab: LabNamespace, prefect: Prefect, end: str, reason: str
) -> None:
    lab = quiet_lab
    prefect.carry_out(begin(lab), end, message="the door was open")
    lab.wait("lrun", "once", condition="Failed")
    conditions = lab.conditions("lrun", "once")
    assert set(conditions) == {"Ready", "Stalled", "Failed"}
    assert {condition["reason"] for condition in conditions.values()} == {reason}
    assert "the door was open" in conditions["Failed"]["message"]
    assert lab.status("lrun", "once")["state"] == end.capitalize()


def test_parameters_that_the_flow_does_not_take_are_stalled_and_nothing_runs(
    lab: LabNamespace, prefect: Prefect
) -> None:
    lab.apply(pool(), workflow("moves"), run("wrong", "moves", parameters={"hotle": "A"}), run("none", "moves"))
    assert "the flow takes hotel, precise, overrides" in lab.wait_stalled("lrun", "wrong", "InvalidParameters")
    assert "'hotel' is a required property" in lab.wait_stalled("lrun", "none", "InvalidParameters")
    assert prefect.runs(lab.wait_current("lwf", "moves")["status"]["deploymentId"]) == []


def test_a_run_in_the_future_waits_for_its_time(lab: LabNamespace, prefect: Prefect) -> None:
    moment = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    id_ = begin(lab, startAt=moment.isoformat().replace("+00:00", "Z"))
    found = prefect.run(id_)
    assert found is not None
    assert datetime.fromisoformat(found["next_scheduled_start_time"]) == moment
    assert found["state_type"] == "SCHEDULED"
    answer = prefect.call(
        "POST", f"/work_pools/{lab.name}.pool/get_scheduled_flow_runs", {"scheduled_before": str(datetime.now(UTC))}
    )
    assert answer == []  # no agent gets it before


def test_a_finished_run_deletes_itself_after_its_time(quiet_lab: LabNamespace, prefect: Prefect) -> None:
    lab = quiet_lab
    id_ = begin(lab, ttlSecondsAfterFinished=2)
    prefect.carry_out(id_)
    lab.wait("lrun", "once", condition="Complete")
    eventually(lambda: not lab.exists("lrun", "once"), 15, what="the LabRun gone")
    found = prefect.run(id_)
    assert found is not None  # Prefect keeps the history
    assert found["state_type"] == "COMPLETED"


def test_deleting_a_scheduled_run_cancels_it(lab: LabNamespace, prefect: Prefect) -> None:
    id_ = begin(lab)
    lab.delete("lrun", "once")
    found = prefect.run(id_)
    assert found is not None
    assert found["state_type"] == "CANCELLED"


def test_deleting_a_running_run_waits_until_the_agent_has_stopped_it(lab: LabNamespace, prefect: Prefect) -> None:
    id_ = begin(lab)
    prefect.set_state(id_, "PENDING")
    prefect.set_state(id_, "RUNNING")
    lab.delete("lrun", "once", wait=False)
    eventually(lambda: (prefect.run(id_) or {}).get("state_type") == "CANCELLING", 30, what="asked to stop")
    assert lab.exists("lrun", "once")
    prefect.set_state(id_, "CANCELLED", message="at rest")
    eventually(lambda: not lab.exists("lrun", "once"), 15, what="the LabRun gone")


def test_deleting_a_finished_run_leaves_its_flow_run(lab: LabNamespace, prefect: Prefect) -> None:
    id_ = begin(lab)
    prefect.carry_out(id_)
    lab.wait("lrun", "once", condition="Complete")
    lab.delete("lrun", "once")
    found = prefect.run(id_)
    assert found is not None
    assert found["state_type"] == "COMPLETED"


def test_a_flow_run_that_was_deleted_in_prefect_is_not_carried_out_again(lab: LabNamespace, prefect: Prefect) -> None:
    id_ = begin(lab)
    prefect.call("DELETE", f"/flow_runs/{id_}")
    message = lab.wait_stalled("lrun", "once", "RunLost")
    assert f"flow run {id_} is no longer in Prefect" in message
    assert prefect.runs_of_key(lab.uid("lrun", "once")) == []


def test_a_run_whose_deployment_was_deleted_by_hand_is_carried_out_once_it_is_there_again(
    lab: LabNamespace, prefect: Prefect
) -> None:
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}))
    status = lab.wait_current("lwf", "moves")["status"]
    prefect.call("DELETE", f"/deployments/{status['deploymentId']}")
    lab.apply(run("once", "moves"))
    id_ = flow_run(lab, "once")
    found = prefect.run(id_)
    assert found is not None
    assert found["deployment_id"] == prefect.the_deployment(status["deploymentName"])["id"]


def test_a_suspended_workflow_still_carries_out_a_labrun(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}, suspend=True), run("once", "moves"))
    prefect.carry_out(flow_run(lab, "once"))
    lab.wait("lrun", "once", condition="Complete")


def test_a_run_of_the_same_name_made_again_is_another_run(lab: LabNamespace, prefect: Prefect) -> None:
    first = begin(lab)
    prefect.carry_out(first, data={"hotel": "A"})
    lab.wait("lrun", "once", condition="Complete")
    lab.delete("lrun", "once")
    lab.apply(run("once", "moves"))
    second = flow_run(lab, "once")
    assert second != first
    assert lab.status("lrun", "once").get("result") is None


def job_under_way(lab: LabNamespace, prefect: Prefect, timeout_seconds: int) -> str:
    """A run of a Job that goes on and on; its id. No device agent keeps its timeout."""
    where: Data = {"flow": {"entrypoint": "my_lab.flows:measure"}, "placement": {"pool": "cluster"}}
    lab.apply(pool("cluster", type="kubernetes"), workflow("measures", **where, timeoutSeconds=timeout_seconds))
    id_ = prefect.create_run(lab.wait_current("lwf", "measures")["status"]["deploymentId"])
    prefect.set_state(id_, "PENDING")
    prefect.set_state(id_, "RUNNING")
    return id_


def test_a_run_that_goes_on_for_longer_than_its_timeout_is_asked_to_stop(lab: LabNamespace, prefect: Prefect) -> None:
    id_ = job_under_way(lab, prefect, 1)
    eventually(lambda: (prefect.run(id_) or {})["state_type"] == "CANCELLING", 30, what="asked to stop")
    found = prefect.run(id_)
    assert found is not None
    assert "longer than the 1 s" in found["state"]["message"]


def test_an_overdue_run_that_was_deleted_is_forgotten_and_holds_nothing_up(
    lab: LabNamespace, prefect: Prefect, lab_link: Link
) -> None:
    lab.apply(pool())
    id_ = job_under_way(lab, prefect, 5)
    eventually(lambda: lab.status("lwf", "measures").get("lastRun", {}).get("id") == id_, 20, 0.05, what="seen running")
    prefect.call("DELETE", f"/flow_runs/{id_}")
    overdue = time.monotonic() + 6
    eventually(lambda: time.monotonic() > overdue, 10, what="the timeout over")
    wait_rounds(lab_link, 2)
    lab_link.forget()
    wait_rounds(lab_link, 2)
    assert lab_link.writes() == []
    prefect.call("PATCH", f"/work_pools/{lab.name}.pool", {"is_paused": True})
    eventually(lambda: (prefect.pool(f"{lab.name}.pool") or {})["is_paused"] is False, 30, what="the pool resumed")
