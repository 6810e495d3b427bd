"""What only a person can mend is Stalled with a reason and a sentence, and goes on as soon as it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.operator.lab import READ, LabNamespace, manifest, pool, queues, run, workflow

if TYPE_CHECKING:
    from tests.integration.operator.prefect import Prefect

Data = dict[str, Any]

STALLED = {
    "unknown flow": (
        workflow("bad", flow={"name": "plate-resort.activate-hotle"}),
        "UnknownFlow",
        "the catalog has no flow 'plate-resort.activate-hotle': did you mean 'plate-resort.activate-hotel'?",
    ),
    "unknown queue": (
        workflow("bad", placement={"pool": "pool", "queue": "slwo"}),
        "UnknownQueue",
        "LabPool 'pool' has no queue 'slwo': did you mean 'slow'?",
    ),
    "misspelt parameter": (
        workflow("bad", parameters={"hotell": "A"}),
        "InvalidParameters",
        "the flow takes hotel, precise, overrides",
    ),
    "parameter of another type": (
        workflow("bad", parameters={"hotel": 7}),
        "InvalidParameters",
        "spec.parameters.hotel: 7 is not of type 'string'",
    ),
    "schedule without a required parameter": (
        workflow("bad", schedules=[{"name": "nightly", "cron": "0 3 * * *"}]),
        "InvalidParameters",
        "spec.schedules[0].parameters: 'hotel' is a required property",
    ),
    "retries of what moves hardware": (
        workflow("bad", retries=1),
        "RetriesForbidden",
        "so a failed run is never tried again by itself: remove spec.retries",
    ),
    "device flow on a kubernetes pool": (
        workflow("bad", placement={"pool": "cluster"}),
        "UnsuitablePool",
        "needs a LabPool of type device, but 'cluster' is of type kubernetes",
    ),
    "unknown time zone": (
        workflow(
            "bad",
            parameters={"hotel": "A"},
            schedules=[{"name": "nightly", "cron": "0 3 * * *", "timezone": "Asia/Tokio"}],
        ),
        "InvalidSpec",
        "spec.schedules[0].timezone: unknown time zone 'Asia/Tokio': give an IANA name such as Asia/Tokyo",
    ),
    "malformed recurrence rule": (
        workflow("bad", parameters={"hotel": "A"}, schedules=[{"name": "odd", "rrule": "FREQ=SOMETIMES"}]),
        "InvalidSpec",
        "spec.schedules[0].rrule: not a recurrence rule of RFC 5545",
    ),
    "unknown driver": (
        manifest("LabDevice", "bad", driver="plate-resrt", pool="pool"),
        "InvalidSpec",
        "there is no driver 'plate-resrt': did you mean 'plate-resort'?",
    ),
}


@pytest.mark.parametrize(("mistake", "reason", "sentence"), STALLED.values(), ids=STALLED.keys())
def test_a_mistake_that_the_api_server_cannot_see_is_stalled_with_what_to_do(
    lab: LabNamespace, prefect: Prefect, mistake: Data, reason: str, sentence: str
) -> None:
    lab.apply(pool(queues=queues("fast", "slow")), pool("cluster", type="kubernetes"), mistake)
    message = lab.wait_stalled(mistake["kind"], "bad", reason)
    assert sentence in message
    assert lab.condition(mistake["kind"], "bad")["message"] == message
    assert prefect.deployment(f"activate-hotel/{lab.name}.bad") is None
    assert reason in lab.kubectl("get", mistake["kind"], "bad")


def test_a_workflow_without_its_pool_goes_on_when_the_pool_appears(quiet_lab: LabNamespace, prefect: Prefect) -> None:
    lab = quiet_lab
    lab.apply(pool("plate"), workflow("early", placement={"pool": "plat"}))
    message = lab.wait_stalled("lwf", "early", "UnknownPool")
    assert message == "there is no LabPool 'plat' in this namespace: did you mean 'plate'?"
    lab.apply(pool("plat"))
    status = lab.wait_current("lwf", "early")["status"]
    assert {condition["type"] for condition in status["conditions"]} == {"Ready"}
    assert prefect.the_deployment(status["deploymentName"])["work_pool_name"] == f"{lab.name}.plat"


def test_a_workflow_whose_pool_is_deleted_says_so(quiet_lab: LabNamespace) -> None:
    lab = quiet_lab
    lab.apply(pool(), workflow("moves"))
    lab.wait_current("lwf", "moves")
    lab.delete("lpool", "pool")
    assert "there is no LabPool 'pool'" in lab.wait_stalled("lwf", "moves", "UnknownPool")


def test_a_mended_spec_goes_on_and_a_broken_one_leaves_the_last_good_deployment(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    lab = quiet_lab
    nightly = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Asia/Tokyo"}
    good = workflow("reads", flow={"name": READ}, schedules=[nightly])
    lab.apply(pool(), good)
    status = lab.wait_current("lwf", "reads")["status"]
    lab.apply(workflow("reads", flow={"name": READ}, schedules=[{**nightly, "timezone": "Asia/Tokio"}]))
    lab.wait_stalled("lwf", "reads", "InvalidSpec")
    assert prefect.schedules(status["deploymentName"])["nightly"]["schedule"]["timezone"] == "Asia/Tokyo"
    assert lab.status("lwf", "reads")["deploymentId"] == status["deploymentId"]
    lab.apply(good)
    assert lab.wait_current("lwf", "reads")["status"]["deploymentId"] == status["deploymentId"]


def test_a_workflow_that_cannot_be_read_any_more_takes_its_deployment_with_it(
    lab: LabNamespace, prefect: Prefect
) -> None:
    """Or its schedules would go on moving hardware with nothing left in the cluster that says why."""
    nightly = {"name": "nightly", "cron": "0 3 * * *"}
    lab.apply(pool(), workflow("deleted", flow={"name": READ}, schedules=[nightly]))
    lab.apply(workflow("orphaned", flow={"name": READ}, schedules=[nightly], deletionPolicy="Orphan"))
    names = {name: lab.wait_current("lwf", name)["status"]["deploymentName"] for name in ("deleted", "orphaned")}
    for name in names:
        lab.patch("lwf", name, schedules=[{**nightly, "timezone": "Asia/Tokio"}])
        lab.wait_stalled("lwf", name, "InvalidSpec")
        lab.delete("lwf", name)
    assert prefect.deployment(names["deleted"]) is None
    left = prefect.the_deployment(names["orphaned"])
    prefect.call("DELETE", f"/deployments/{left['id']}")


def test_a_labaction_says_where_it_can_be_carried_out(lab: LabNamespace) -> None:
    action = {"device": "hotel", "action": "Release", "reason": "all clear", "requester": "ada"}
    lab.apply(manifest("LabAction", "release", **action))
    assert "labkeeper device release" in lab.wait_stalled("lact", "release", "NoChannel")


def test_a_run_of_a_workflow_that_is_not_there_waits_for_it(quiet_lab: LabNamespace, prefect: Prefect) -> None:
    lab = quiet_lab
    lab.apply(run("early", "moves", parameters={"hotel": "A"}))
    waiting = lab.wait_reason("lrun", "early", "UnknownWorkflow")
    assert waiting["Reconciling"]["status"] == "True"
    assert "the run is created once there is" in waiting["Ready"]["message"]
    lab.apply(pool(), workflow("moves"))
    lab.wait_reason("lrun", "early", "RunScheduled")
    assert len(prefect.runs_of_key(lab.uid("lrun", "early"))) == 1
