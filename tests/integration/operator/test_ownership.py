"""Whose a name in Prefect is: what others made is left alone until a person says `adopt`; a name has one owner."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkeeper_api import wire
from tests.integration.operator.lab import LabNamespace, pool, queues, workflow
from tests.integration.operator.test_schedules import wait_rounds
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_link import Link

Data = dict[str, Any]


@pytest.fixture
def foreign_pool(prefect: Prefect) -> Iterator[Data]:
    """A work pool that somebody made by hand."""
    name = f"by-hand-{secrets.token_hex(3)}"
    body = {"name": name, "type": wire.WORKER_TYPE, "description": "Mine.", "concurrency_limit": 3}
    prefect.call("POST", "/work_pools/", body)
    prefect.call("POST", f"/work_pools/{name}/queues", {"name": "mine", "priority": 1})
    yield seen_pool(prefect, name)
    prefect.call("DELETE", f"/work_pools/{name}")


@pytest.fixture
def foreign_deployment(prefect: Prefect) -> Iterator[Data]:
    """A deployment that somebody made by hand, with a schedule."""
    flow = prefect.call("POST", "/flows/", {"name": "activate-hotel"})
    body = {
        "name": f"by-hand-{secrets.token_hex(3)}",
        "flow_id": flow["id"],
        "tags": ["mine"],
        "parameters": {"hotel": "Z"},
        "description": "Mine.",
        "schedules": [{"slug": "mine", "schedule": {"cron": "0 3 * * *", "timezone": "UTC"}, "active": True}],
    }
    created = prefect.call("POST", "/deployments/", body)
    yield seen(prefect, created["name"])
    prefect.call("DELETE", f"/deployments/{created['id']}")


def seen(prefect: Prefect, name: str) -> Data:
    """A deployment of the flow without what Prefect itself changes all the time."""
    found = prefect.the_deployment(f"activate-hotel/{name}")
    return {key: value for key, value in found.items() if key not in ("status", "last_polled")}


def seen_pool(prefect: Prefect, name: str) -> Data:
    """A work pool and its queues without what Prefect itself changes all the time."""
    found = prefect.pool(name)
    assert found is not None
    return {**{key: value for key, value in found.items() if key != "status"}, "queues": prefect.order(name)}


def test_a_foreign_work_pool_is_a_conflict_and_stays_untouched_until_adopted(
    lab: LabNamespace, prefect: Prefect, lab_link: Link, foreign_pool: Data
) -> None:
    name = foreign_pool["name"]
    lab.apply(pool("taken", prefect={"poolName": name}, queues=queues("fast"), description="Ours."))
    message = lab.wait_stalled("lpool", "taken", "Conflict")
    assert f"work pool {name!r} exists in Prefect and is not made by Labkeeper" in message
    assert "set spec.adopt: true to take it over" in message
    wait_rounds(lab_link, 2)
    assert seen_pool(prefect, name) == foreign_pool

    lab.delete("lpool", "taken")  # what is not ours is not deleted with our resource either
    assert seen_pool(prefect, name) == foreign_pool

    lab.apply(pool("taken", prefect={"poolName": name}, queues=queues("fast"), description="Ours.", adopt=True))
    lab.wait_current("lpool", "taken")
    adopted = seen_pool(prefect, name)
    assert adopted["id"] == foreign_pool["id"]
    assert adopted["description"].startswith("Ours.")
    assert adopted["concurrency_limit"] is None
    assert {"fast", "mine", "default"} == {queue for queue, _ in adopted["queues"]}
    lab.delete("lpool", "taken")
    assert prefect.pool(name) is None


def test_a_work_pool_of_another_type_is_not_even_adopted(
    lab: LabNamespace, prefect: Prefect, foreign_pool: Data
) -> None:
    lab.apply(pool("taken", type="kubernetes", prefect={"poolName": foreign_pool["name"]}, adopt=True))
    message = lab.wait_stalled("lpool", "taken", "Conflict")
    assert "is of type 'lab-device', which Prefect cannot change to 'kubernetes'" in message
    assert seen_pool(prefect, foreign_pool["name"]) == foreign_pool


def test_a_foreign_deployment_is_a_conflict_and_stays_untouched_until_adopted(
    lab: LabNamespace, prefect: Prefect, lab_link: Link, foreign_deployment: Data
) -> None:
    name = foreign_deployment["name"]
    taken = {"prefect": {"deploymentName": name}, "parameters": {"hotel": "A"}}
    lab.apply(pool(), workflow("taken", **taken))
    message = lab.wait_stalled("lwf", "taken", "Conflict")
    assert f"deployment 'activate-hotel/{name}' exists in Prefect and is not made by Labkeeper" in message
    lab_link.forget()
    wait_rounds(lab_link, 2)
    assert seen(prefect, name) == foreign_deployment

    lab.delete("lwf", "taken")
    assert seen(prefect, name) == foreign_deployment

    lab.apply(workflow("taken", **taken, adopt=True))
    adopted = lab.wait_current("lwf", "taken")["status"]
    assert adopted["deploymentId"] == foreign_deployment["id"]
    found = prefect.the_deployment(f"activate-hotel/{name}")
    assert found["parameters"] == {"hotel": "A"}
    assert found["schedules"] == []
    lab.patch("lwf", "taken", adopt=False)  # it is ours by now
    lab.wait_current("lwf", "taken")


def test_of_two_claims_on_one_name_the_elder_wins_and_the_younger_follows_it(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    """Without a look at everything: the deletion itself makes the younger one go on."""
    lab = quiet_lab
    full_name = "activate-hotel/claimed-twice"
    lab.apply(pool(), workflow("elder", prefect={"deploymentName": "claimed-twice"}, parameters={"hotel": "A"}))
    elder = lab.wait_current("lwf", "elder")
    born = elder["metadata"]["creationTimestamp"]
    lab.apply(pool("later"))
    wait_next_second(born)
    lab.apply(workflow("another", prefect={"deploymentName": "claimed-twice"}, parameters={"hotel": "B"}))
    message = lab.wait_stalled("lwf", "another", "Conflict")
    assert message.startswith(f"LabWorkflow {lab.name}/elder already is deployment {full_name!r}")
    assert prefect.the_deployment(full_name)["parameters"] == {"hotel": "A"}

    lab.delete("lwf", "elder")
    taken = lab.wait_current("lwf", "another")["status"]
    found = prefect.the_deployment(full_name)
    assert found["id"] == taken["deploymentId"] != elder["status"]["deploymentId"]
    assert found["parameters"] == {"hotel": "B"}


def test_a_younger_claim_goes_on_when_the_elder_takes_another_name(quiet_lab: LabNamespace, prefect: Prefect) -> None:
    lab = quiet_lab
    lab.apply(pool(), workflow("a-elder", prefect={"deploymentName": "wanted-by-two"}))
    born = lab.wait_current("lwf", "a-elder")["metadata"]["creationTimestamp"]
    wait_next_second(born)
    lab.apply(workflow("b-younger", prefect={"deploymentName": "wanted-by-two"}, parameters={"hotel": "B"}))
    lab.wait_stalled("lwf", "b-younger", "Conflict")
    lab.patch("lwf", "a-elder", prefect={"deploymentName": "free-again"})
    lab.wait_current("lwf", "a-elder")
    lab.wait_current("lwf", "b-younger")
    assert prefect.the_deployment("activate-hotel/wanted-by-two")["parameters"] == {"hotel": "B"}
    assert prefect.deployment("activate-hotel/free-again") is not None


def test_an_elder_that_asks_for_a_name_later_does_not_take_it_from_who_is_that_deployment(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    """A slip in one manifest must not stop another workflow, whose manifest nobody touched."""
    lab = quiet_lab
    lab.apply(pool(), workflow("elder"))
    born = lab.wait_current("lwf", "elder")["metadata"]["creationTimestamp"]
    wait_next_second(born)
    lab.apply(workflow("younger", prefect={"deploymentName": "held"}, parameters={"hotel": "B"}))
    held = lab.wait_current("lwf", "younger")["status"]
    lab.patch("lwf", "elder", prefect={"deploymentName": "held"})
    message = lab.wait_stalled("lwf", "elder", "Conflict")
    assert message.startswith(f"LabWorkflow {lab.name}/younger already is deployment 'activate-hotel/held'")
    lab.patch("lwf", "younger", description="Looked at once more.")
    assert lab.wait_current("lwf", "younger")["status"]["deploymentId"] == held["deploymentId"]
    assert prefect.the_deployment("activate-hotel/held")["parameters"] == {"hotel": "B"}
    assert prefect.deployment(f"activate-hotel/{lab.name}.elder") is not None  # the last good one stays

    lab.delete("lwf", "younger")
    lab.wait_current("lwf", "elder")
    assert prefect.deployment(f"activate-hotel/{lab.name}.elder") is None


@pytest.mark.parametrize("adopt", [False, True], ids=["without adopt", "both adopt"])
def test_of_two_pools_that_claim_one_work_pool_the_first_has_it_and_the_other_follows(
    lab: LabNamespace, prefect: Prefect, lab_link: Link, adopt: bool
) -> None:
    """Also where both say `adopt`: they would take it from each other at every look, for ever."""
    name = f"shared-{secrets.token_hex(3)}"
    shared: Data = {"prefect": {"poolName": name}, "adopt": adopt}
    lab.apply(pool("first", **shared, concurrencyLimit=1))
    first = lab.wait_current("lpool", "first")
    wait_next_second(first["metadata"]["creationTimestamp"])
    lab.apply(pool("second", **shared, concurrencyLimit=2))
    message = lab.wait_stalled("lpool", "second", "Conflict")
    assert message == f"LabPool {lab.name}/first already is work pool {name!r}: give another spec.prefect.poolName"
    lab_link.forget()
    wait_rounds(lab_link, 2)
    assert lab_link.writes() == []
    assert (prefect.pool(name) or {})["concurrency_limit"] == 1
    assert lab.condition("lpool", "first")["status"] == "True"

    lab.delete("lpool", "first")
    second = lab.wait_current("lpool", "second")["status"]
    found = prefect.pool(name)
    assert found is not None
    assert found["concurrency_limit"] == 2
    assert found["id"] == second["poolId"] != first["status"]["poolId"]


def wait_next_second(born: str) -> None:
    """Wait until an object created now is younger than one created then."""
    eventually(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > born, what="the next second")


def test_a_deployment_whose_tags_were_taken_off_by_hand_is_still_ours(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), workflow("moves"))
    status = lab.wait_current("lwf", "moves")["status"]
    prefect.call("PATCH", f"/deployments/{status['deploymentId']}", {"tags": []})
    eventually(lambda: wire.TAG in prefect.the_deployment(status["deploymentName"])["tags"], 30, what="the tags again")
    assert lab.wait_current("lwf", "moves")["status"]["deploymentId"] == status["deploymentId"]
