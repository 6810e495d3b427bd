"""Priorities of a pool's queues: planning and carrying out again and again ends where the spec wants it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkeeper_api.kinds import LabPool
from labkeeper_operator.reconcile import pools
from labkeeper_operator.reconcile.plan import Plan, UpdateQueue
from tests.unit import builders as b
from tests.unit.operator.prefect_queues import PrefectPool, fresh

ROUNDS = 5

_names = st.sampled_from(["urgent", "standard", "monitoring", "night", "teaching", "default"])
_priorities = st.integers(1, 12) | st.integers(1, 1000)
wanted_priorities = st.dictionaries(_names, _priorities, max_size=6).filter(
    lambda queues: len(set(queues.values())) == len(queues)
)


@st.composite
def prefect_queues(draw: st.DrawFn) -> dict[str, int]:
    """Whatever may be in Prefect: some of the names, strangers, and always the default queue."""
    names = draw(st.lists(_names | st.sampled_from(["by-hand", "old"]), unique=True))
    names = list(dict.fromkeys([*names, "default"]))
    numbers = draw(st.lists(st.integers(1, 1010), min_size=len(names), max_size=len(names), unique=True))
    return dict(zip(names, numbers, strict=True))


def plan(pool: LabPool, prefect: PrefectPool) -> Plan:
    """What is left to do for a device pool."""
    return pools.plan(pool, prefect.seen, prefect_type="lab-device")


def settle(pool: LabPool, prefect: PrefectPool) -> int:
    """Plan and carry out until nothing is left to do; how many rounds that took."""
    for number in range(ROUNDS + 1):
        todo = plan(pool, prefect)
        if not todo:
            return number
        prefect.apply(todo)
    raise AssertionError(f"still to do after {ROUNDS} rounds: {todo}, with {prefect.priorities}")


def expected(queues: dict[str, int]) -> dict[str, int]:
    """The priorities that a spec with these queues asks for."""
    return {"default": max(queues.values(), default=0) + 1, **queues}


@settings(max_examples=100)
@given(wanted_priorities, prefect_queues())
def test_any_queues_in_prefect_end_as_the_spec_says(wanted: dict[str, int], seen: dict[str, int]) -> None:
    pool = b.a_pool(queues=wanted)
    prefect = PrefectPool(b.observed_pool(pool, queues=seen))
    settle(pool, prefect)
    assert {name: prefect.priorities[name] for name in expected(wanted)} == expected(wanted)
    assert plan(pool, prefect) == Plan()


@settings(max_examples=100)
@given(wanted_priorities, wanted_priorities)
def test_a_changed_spec_ends_as_it_says_and_leaves_nothing_behind(
    before: dict[str, int], after: dict[str, int]
) -> None:
    prefect = fresh(b.a_pool())
    settle(b.a_pool(queues=before), prefect)
    made = [{"name": name, "priority": priority} for name, priority in expected(before).items()]
    status = {"poolName": "default.plates", "poolId": "pool-plates", "queues": made}
    settle(b.a_pool(queues=after, status=status), prefect)
    assert prefect.priorities == expected(after)


@given(st.permutations(["a", "b", "c", "d", "default"]), st.permutations(["a", "b", "c", "d", "default"]))
def test_any_order_becomes_any_other(before: list[str], after: list[str]) -> None:
    pool = b.a_pool(queues={name: number for number, name in enumerate(after, 1)})
    prefect = PrefectPool(b.observed_pool(pool, queues={name: number for number, name in enumerate(before, 1)}))
    assert settle(pool, prefect) <= 1
    assert sorted(prefect.priorities, key=prefect.priorities.__getitem__) == after


def test_a_new_pool_is_in_order_after_two_rounds() -> None:
    pool = b.a_pool(queues={"urgent": 1, "standard": 2, "monitoring": 3})
    prefect = fresh(pool)
    assert settle(pool, prefect) == 2
    assert prefect.priorities == {"urgent": 1, "standard": 2, "monitoring": 3, "default": 4}


@pytest.mark.parametrize("highest", [999, 1000])
def test_the_default_queue_comes_after_the_highest_priority_there_is(highest: int) -> None:
    pool = b.a_pool(queues={"standard": highest})
    prefect = fresh(pool)
    settle(pool, prefect)
    assert prefect.priorities["default"] > prefect.priorities["standard"] == highest


def test_strangers_stay_and_only_make_room() -> None:
    pool = b.a_pool(queues={"urgent": 1})
    prefect = PrefectPool(b.observed_pool(pool, queues={"by-hand": 1, "default": 2, "urgent": 3}))
    settle(pool, prefect)
    assert prefect.priorities == {"urgent": 1, "default": 2, "by-hand": 3}


@given(wanted_priorities.filter(lambda queues: len(queues) > 1), st.data())
def test_queues_in_front_of_the_first_change_are_not_touched(wanted: dict[str, int], data: st.DataObject) -> None:
    """A PATCH of a queue is seen by every worker that serves it."""
    order = sorted(expected(wanted), key=expected(wanted).__getitem__)
    first = data.draw(st.integers(1, len(order) - 1))
    seen: dict[str, Any] = {name: expected(wanted)[name] + (2000 if n >= first else 0) for n, name in enumerate(order)}
    pool = b.a_pool(queues=wanted)
    actions = plan(pool, PrefectPool(b.observed_pool(pool, queues=seen))).actions
    assert [action.name for action in actions if isinstance(action, UpdateQueue)] == order[first:]
