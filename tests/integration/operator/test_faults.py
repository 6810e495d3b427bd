"""The operator dies, answers get lost and objects change at the worst moment. Placed exactly by the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.operator.lab import LabNamespace, pool, queues, run, workflow
from tests.integration.operator.test_schedules import NIGHTLY, OFTEN, ids, scheduled
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.controlplane import ControlPlane
    from tests.integration.operator.conftest import StartOperator
    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_link import Link

Data = dict[str, Any]

NEW_RUN = "/create_flow_run$"
NEW_DEPLOYMENT = "/api/deployments/$"


@pytest.mark.parametrize("when", ["before", "after"])
def test_exactly_one_flow_run_when_the_operator_dies_around_its_creation(
    plane: ControlPlane, namespace: str, start_operator: StartOperator, prefect: Prefect, when: str
) -> None:
    operator, link = start_operator(namespace)
    lab = LabNamespace(plane, namespace)
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}))
    lab.wait_current("lwf", "moves")
    with link.fault("POST", NEW_RUN, when=when, action="hold") as fault:
        lab.apply(run("once", "moves"))
        fault.wait_met()
        operator.kill()
    key = lab.uid("lrun", "once")
    assert len(prefect.runs_of_key(key)) == (0 if when == "before" else 1)
    assert "flowRunId" not in lab.status("lrun", "once")

    operator.start()
    id_ = eventually(lambda: lab.status("lrun", "once").get("flowRunId"), 30, what="the flow run's id")
    assert [found["id"] for found in prefect.runs_of_key(key)] == [id_]
    assert len(prefect.runs(lab.status("lwf", "moves")["deploymentId"])) == 1
    operator.stop()


@pytest.mark.parametrize("when", ["before", "after"])
def test_exactly_one_flow_run_when_the_answer_to_its_creation_is_lost(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link, when: str
) -> None:
    lab = quiet_lab
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}))
    deployment = lab.wait_current("lwf", "moves")["status"]["deploymentId"]
    with quiet_link.fault("POST", NEW_RUN, when=when, action="cut", times=3) as fault:
        lab.apply(run("once", "moves"))
        fault.wait_met(3)
        id_ = eventually(lambda: lab.status("lrun", "once").get("flowRunId"), 30, what="the flow run's id")
    assert [found["id"] for found in prefect.runs(deployment)] == [id_]


def test_a_deployment_whose_creation_got_no_answer_is_found_and_not_made_again(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link
) -> None:
    lab = quiet_lab
    lab.apply(pool())
    lab.wait_current("lpool", "pool")
    with quiet_link.fault("POST", NEW_DEPLOYMENT, when="after", action="hold") as fault:
        lab.apply(scheduled(NIGHTLY, OFTEN))
        fault.wait_met()
        name = f"activate-hotel/{lab.name}.moves"
        before = ids(prefect, name)
        assert set(before) == {"nightly", "often"}
    lab.wait_current("lwf", "moves")
    assert ids(prefect, name) == before


def test_schedules_keep_their_ids_when_the_answer_to_the_creation_is_lost(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link
) -> None:
    """Asking again would upsert: delete every schedule and make new ones, and wipe what Prefect has planned."""
    lab = quiet_lab
    lab.apply(pool())
    lab.wait_current("lpool", "pool")
    quiet_link.forget()
    with quiet_link.fault("POST", NEW_DEPLOYMENT, when="after", action="cut") as fault:
        lab.apply(scheduled(NIGHTLY, OFTEN))
        fault.wait_met()
        lab.wait_current("lwf", "moves")
    created = [request for request in quiet_link.writes() if request.path.endswith("/api/deployments/")]
    assert len(created) == 1
    assert set(ids(prefect, f"activate-hotel/{lab.name}.moves")) == {"nightly", "often"}


LOST: dict[str, tuple[str, str, Callable[[LabNamespace], None]]] = {
    "new pool": ("POST", "/work_pools/$", lambda lab: lab.apply(pool(queues=queues("a", "b")))),
    "new queue": ("POST", "/queues$", lambda lab: lab.apply(pool(queues=queues("a", "b", "c")))),
    "order of queues": ("PATCH", "/queues/", lambda lab: lab.apply(pool(queues=queues("b", "a")))),
    "new schedule": ("POST", "/schedules$", lambda lab: lab.apply(scheduled(NIGHTLY, OFTEN))),
    "changed schedule": ("PATCH", "/schedules/", lambda lab: lab.apply(scheduled({**NIGHTLY, "cron": "5 4 * * *"}))),
    "gone schedule": ("DELETE", "/schedules/", lambda lab: lab.apply(scheduled())),
    "changed deployment": ("PATCH", "/deployments/", lambda lab: lab.apply(scheduled(NIGHTLY, tags=["night"]))),
    "gone deployment": ("DELETE", "/deployments/", lambda lab: lab.delete("lwf", "moves")),
    "gone pool": ("DELETE", "/work_pools/", lambda lab: lab.delete("lpool", "pool")),
}


def test_a_lost_answer_to_any_write_duplicates_and_loses_nothing(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link
) -> None:
    """One write after the other, each with its first answer lost, and the result looked at each time."""
    lab = quiet_lab
    name = f"activate-hotel/{lab.name}.moves"
    for what, (method, path, change) in LOST.items():
        if what == "new schedule":
            lab.apply(scheduled(NIGHTLY))
            lab.wait_current("lwf", "moves")
        with quiet_link.fault(method, path, when="after", action="cut") as fault:
            change(lab)
            fault.wait_met()
        if what.startswith("gone"):
            continue
        kind, object_ = ("lpool", "pool") if "queue" in what or "pool" in what else ("lwf", "moves")
        found = lab.wait_current(kind, object_)["spec"]
        if kind == "lpool":
            wanted = [queue["name"] for queue in sorted(found["queues"], key=lambda queue: int(queue["priority"]))]
            assert [queue for queue, _ in prefect.order(f"{lab.name}.pool")] == [*wanted, "default"], what
        else:
            schedules = prefect.the_deployment(name)["schedules"]
            assert len(schedules) == len(found.get("schedules", [])), what
    eventually(lambda: prefect.deployment(name) is None, 10, what="the deployment gone")
    eventually(lambda: prefect.pool(f"{lab.name}.pool") is None, 10, what="the pool gone")


def test_a_change_during_a_reconciliation_is_not_lost(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link
) -> None:
    """No look at everything comes to the rescue here: the change itself has to be enough."""
    lab = quiet_lab
    lab.apply(pool(), workflow("moves", parameters={"hotel": "A"}))
    name = lab.wait_current("lwf", "moves")["status"]["deploymentName"]
    for when in ("before", "after"):
        with quiet_link.fault("PATCH", "/deployments/", when=when, action="hold") as fault:
            lab.patch("lwf", "moves", parameters={"hotel": "B"})
            fault.wait_met()
            lab.patch("lwf", "moves", parameters={"hotel": "C"})
            generation = lab.get("lwf", "moves")["metadata"]["generation"]
        assert lab.wait_current("lwf", "moves", timeout=10)["status"]["observedGeneration"] == generation
        assert prefect.the_deployment(name)["parameters"] == {"hotel": "C"}
        lab.patch("lwf", "moves", parameters={"hotel": "A"})
        lab.wait_current("lwf", "moves")


def test_a_pool_that_changes_during_a_reconciliation_of_its_workflow_is_seen(
    quiet_lab: LabNamespace, quiet_link: Link
) -> None:
    lab = quiet_lab
    lab.apply(pool(queues=queues("fast", "slow")), workflow("moves", placement={"pool": "pool", "queue": "slow"}))
    lab.wait_current("lwf", "moves")
    with quiet_link.fault("PATCH", "/deployments/", when="after", action="hold") as fault:
        lab.patch("lwf", "moves", description="Another one.")
        fault.wait_met()
        lab.apply(pool(queues=queues("fast")))
        eventually(lambda: len(lab.get("lpool", "pool")["spec"]["queues"]) == 1)
    assert "has no queue 'slow'" in lab.wait_stalled("lwf", "moves", "UnknownQueue", timeout=10)


def test_two_fast_changes_of_a_pool_end_in_the_second(
    quiet_lab: LabNamespace, prefect: Prefect, quiet_link: Link
) -> None:
    lab = quiet_lab
    lab.apply(pool(queues=queues("a", "b")))
    lab.wait_current("lpool", "pool")
    with quiet_link.fault("PATCH", "/work_pools/", when="before", action="hold") as fault:
        lab.apply(pool(queues=queues("b", "a")))
        fault.wait_met()
        lab.apply(pool(queues=queues("c", "a"), suspend=True))
    lab.wait_current("lpool", "pool")
    assert [name for name, _ in prefect.order(f"{lab.name}.pool")] == ["c", "a", "default"]
    assert (prefect.pool(f"{lab.name}.pool") or {})["is_paused"] is True
