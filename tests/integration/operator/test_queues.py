"""The order of a work pool's queues: Prefect shifts the others with each change, and the order comes out right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.operator.lab import LabNamespace, pool, queues, workflow
from tests.integration.operator.test_schedules import wait_rounds

if TYPE_CHECKING:
    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_link import Link

FIVE = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    "changed",
    [
        {"b": 1, "a": 2, "c": 3, "d": 4, "e": 5},
        {"e": 1, "d": 2, "c": 3, "b": 4, "a": 5},
        {"c": 1, "a": 2, "e": 3, "b": 4, "d": 5},
        {"a": 10, "b": 20, "c": 30, "d": 40, "e": 50},
        {"a": 1, "c": 2, "f": 3, "e": 5},
        {"z": 1, "a": 7},
    ],
    ids=lambda changed: " ".join(f"{name}{priority}" for name, priority in changed.items()),
)
def test_five_queues_come_into_the_new_order_and_default_stays_last(
    lab: LabNamespace, prefect: Prefect, lab_link: Link, changed: dict[str, int]
) -> None:
    lab.apply(pool(queues=queues(*FIVE)))
    lab.wait_current("lpool", "pool")
    name = f"{lab.name}.pool"
    assert prefect.order(name) == [*((queue, place) for place, queue in enumerate(FIVE, 1)), ("default", 6)]
    before = {queue["name"]: queue["id"] for queue in prefect.queues(name)}

    lab.apply(pool(queues=[{"name": queue, "priority": priority} for queue, priority in changed.items()]))
    lab.wait_current("lpool", "pool")
    wanted = sorted(changed.items(), key=lambda item: item[1])
    assert prefect.order(name) == [*wanted, ("default", wanted[-1][1] + 1)]
    after = {queue["name"]: queue["id"] for queue in prefect.queues(name)}
    assert all(after[queue] == before[queue] for queue in after.keys() & before.keys())
    told = [(queue["name"], queue["priority"]) for queue in lab.status("lpool", "pool")["queues"]]
    assert told == prefect.order(name)

    lab_link.forget()
    wait_rounds(lab_link, 2)
    assert lab_link.writes() == []


def test_default_stands_where_the_spec_lists_it(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(queues=queues("default", "late")))
    lab.wait_current("lpool", "pool")
    assert prefect.order(f"{lab.name}.pool") == [("default", 1), ("late", 2)]
    lab.apply(pool(queues=queues("early", "default", "late")))
    lab.wait_current("lpool", "pool")
    assert prefect.order(f"{lab.name}.pool") == [("early", 1), ("default", 2), ("late", 3)]
    lab.apply(pool())
    lab.wait_current("lpool", "pool")
    assert prefect.order(f"{lab.name}.pool") == [("default", 1)]


def test_a_queue_of_the_lowest_priority_leaves_a_place_for_default(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(queues=[{"name": "first", "priority": 1}, {"name": "last", "priority": 1000}]))
    lab.wait_current("lpool", "pool")
    assert [name for name, _ in prefect.order(f"{lab.name}.pool")] == ["first", "last", "default"]


def test_a_queues_own_fields_are_set_changed_and_cleared(lab: LabNamespace, prefect: Prefect) -> None:
    full = {"name": "slow", "priority": 1, "description": "For nights.", "concurrencyLimit": 1, "suspend": True}
    lab.apply(pool(queues=[full]))
    lab.wait_current("lpool", "pool")
    slow = prefect.queues(f"{lab.name}.pool")[0]
    assert (slow["description"], slow["concurrency_limit"], slow["is_paused"]) == ("For nights.", 1, True)
    assert lab.status("lpool", "pool")["queues"][0]["suspendedBy"] == ["Suspend"]
    lab.apply(pool(queues=[{"name": "slow", "priority": 1}]))
    lab.wait_current("lpool", "pool")
    cleared = prefect.queues(f"{lab.name}.pool")[0]
    assert (cleared["description"], cleared["concurrency_limit"], cleared["is_paused"]) == ("", None, False)
    assert cleared["id"] == slow["id"]


def test_a_queue_that_a_person_made_in_prefect_is_left_alone(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(queues=queues("a", "b")))
    lab.wait_current("lpool", "pool")
    name = f"{lab.name}.pool"
    prefect.call("POST", f"/work_pools/{name}/queues", {"name": "by-hand", "priority": 1})
    lab.apply(pool(queues=queues("b", "a")), workflow("moves", placement={"pool": "pool", "queue": "a"}))
    lab.wait_current("lpool", "pool")
    lab.wait_current("lwf", "moves")
    order = prefect.order(name)
    assert {"by-hand", "a", "b", "default"} == {queue for queue, _ in order}
    assert [pair for pair in order if pair[0] in ("a", "b")] == [("b", 1), ("a", 2)]
