"""Claims of Prefect names: who stands for a name holds it, else the oldest, until it goes or takes another name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.kinds import LabPool, LabWorkflow
from labkeeper_operator.claims import Claims, pool_holder
from labkeeper_operator.dependents import dependents
from labkeeper_operator.objects import Key, Objects
from tests.unit import builders as b

SHARED = {"deployment_name": "nightly"}


def key(name: str) -> Key:
    """The key of a workflow of the default namespace."""
    return Key("LabWorkflow", "default", name)


def born(name: str, seconds: float, **spec: Any) -> LabWorkflow:
    """A workflow that claims the shared name, created that many seconds after NOW."""
    meta = {"creationTimestamp": b.after(seconds).isoformat()}
    return b.a_workflow(name, meta=meta, **{"prefect": SHARED, **spec})


def claims_of(*workflows: LabWorkflow) -> Claims:
    """Claims put in that order."""
    claims = Claims(b.CATALOG)
    for workflow in workflows:
        claims.put(key(workflow.metadata.name), workflow)
    return claims


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["oldest first", "youngest first"])
def test_the_oldest_holds_the_name(order: tuple[int, int]) -> None:
    workflows = [born("old", 0), born("young", 5)]
    claims = claims_of(*(workflows[number] for number in order))
    assert claims.holder(key("young")) == key("old")
    assert claims.holder(key("old")) is None


def test_of_two_of_the_same_age_always_the_same_one_holds_it() -> None:
    twins = [born("a", 0), born("b", 0)]
    assert claims_of(*twins).holder(key("b")) == claims_of(*reversed(twins)).holder(key("b")) == key("a")


def test_a_workflow_of_unknown_age_gives_way() -> None:
    ageless = b.a_workflow("a", meta={"creationTimestamp": None}, prefect=SHARED)
    assert claims_of(ageless, born("b", 5)).holder(key("a")) == key("b")


def test_different_names_are_no_conflict() -> None:
    claims = claims_of(born("a", 0), born("b", 5, prefect={"deployment_name": "daily"}))
    assert claims.holder(key("b")) is None
    assert claims.name_of(key("b")) == ("get-motor-health", "daily")


def test_one_deployment_name_of_two_flows_is_no_conflict() -> None:
    claims = claims_of(born("a", 0), born("b", 5, flow={"name": "plate-resort.go-home"}))
    assert claims.holder(key("b")) is None


def test_putting_a_claim_concerns_the_others_of_that_name() -> None:
    claims = claims_of(born("a", 0))
    assert claims.put(key("b"), born("b", 5)) == {key("a")}
    assert claims.put(key("c"), born("c", 9, prefect=None)) == set()


def test_a_name_is_handed_over_when_its_holder_goes() -> None:
    claims = claims_of(born("a", 0), born("b", 5), born("c", 9))
    assert claims.remove(key("a")) == {key("b"), key("c")}
    assert claims.holder(key("b")) is None
    assert claims.holder(key("c")) == key("b")


def test_a_name_is_handed_over_when_its_holder_takes_another() -> None:
    claims = claims_of(born("a", 0), born("b", 5))
    assert claims.put(key("a"), born("a", 0, prefect=None)) == {key("b")}
    assert claims.holder(key("b")) is None


def test_moving_to_a_name_concerns_both_the_old_and_the_new_neighbours() -> None:
    other = {"deployment_name": "daily"}
    claims = claims_of(born("a", 0), born("b", 5), born("c", 9, prefect=other))
    assert claims.put(key("b"), born("b", 5, prefect=other)) == {key("a"), key("c")}


def test_a_flow_that_is_not_known_claims_nothing() -> None:
    claims = claims_of(born("a", 0), born("b", 5))
    assert claims.put(key("a"), born("a", 0, flow={"name": "no.such"})) == {key("b")}
    assert claims.name_of(key("a")) is None
    assert claims.holder(key("a")) is None


def test_removing_what_claims_nothing_concerns_nobody() -> None:
    assert Claims(b.CATALOG).remove(key("a")) == set()


def standing(name: str, seconds: float, deployment: str = "nightly") -> LabWorkflow:
    """A workflow that claims the shared name, whose status says that it is that deployment."""
    return born(name, seconds, status={"deploymentId": "dep-1", "deploymentName": f"get-motor-health/{deployment}"})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["oldest first", "youngest first"])
def test_who_stands_for_the_name_keeps_it_from_an_older_one(order: tuple[int, int]) -> None:
    workflows = [born("old", 0), standing("young", 5)]
    claims = claims_of(*(workflows[number] for number in order))
    assert claims.holder(key("old")) == key("young")
    assert claims.holder(key("young")) is None


def test_who_stands_for_another_name_does_not_keep_this_one() -> None:
    claims = claims_of(born("old", 0), standing("young", 5, deployment="daily"))
    assert claims.holder(key("young")) == key("old")


def shared_pool(name: str, seconds: float, *, ready: bool = False, namespace: str = "default") -> LabPool:
    """A LabPool that claims work pool `shared`, created that many seconds after NOW."""
    meta = {"creationTimestamp": b.after(seconds).isoformat(), "namespace": namespace}
    status = {"poolId": "pool-1", "poolName": "shared"} if ready else {}
    return b.a_pool(name, meta=meta, status=status, prefect={"pool_name": "shared"})


def test_the_oldest_pool_holds_a_work_pool_that_nobody_stands_for() -> None:
    old, young = shared_pool("old", 0), shared_pool("young", 5, namespace="other")
    assert pool_holder(young, [young, old]) is old
    assert pool_holder(old, [young, old]) is None


def test_a_pool_that_stands_for_a_work_pool_keeps_it_from_an_older_one() -> None:
    old, young = shared_pool("old", 0), shared_pool("young", 5, ready=True)
    assert pool_holder(old, [old, young]) is young
    assert pool_holder(young, [old, young]) is None


def test_pools_of_different_names_are_no_conflict() -> None:
    pool = shared_pool("young", 5)
    assert pool_holder(pool, [pool, b.a_pool("plates")]) is None


def test_a_pool_that_goes_or_takes_another_name_concerns_those_that_claimed_it_too() -> None:
    objects = Objects()
    for pool in (shared_pool("old", 0), shared_pool("young", 5, namespace="other"), b.a_pool("plates")):
        objects.put(b.raw(pool))
    key_ = Key("LabPool", "default", "old")
    heir = Key("LabPool", "other", "young")
    last = objects.entry(key_)
    objects.remove(key_, "uid-old")
    assert heir in dependents(objects, key_, last)
    renamed = objects.put(b.raw(b.a_pool("old"), uid="uid-other"))
    assert dependents(objects, key_, last, renamed) == [heir]
    assert dependents(objects, key_, renamed) == []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=20))
def test_whatever_comes_and_goes_the_oldest_of_those_there_holds_the_name(steps: list[tuple[str, bool]]) -> None:
    claims, there = Claims(b.CATALOG), set()
    for name, comes in steps:
        if comes:
            claims.put(key(name), born(name, ord(name)))
            there.add(name)
        else:
            claims.remove(key(name))
            there.discard(name)
    holders = {name: claims.holder(key(name)) for name in there}
    assert holders == {name: None if name == min(there) else key(min(there)) for name in there}
