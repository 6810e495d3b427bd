"""The simulated work pool moves priorities as Prefect does; the plans are tested against it."""

from __future__ import annotations

from labkeeper_operator.reconcile.plan import CreateQueue, DeleteQueue, Plan, UpdateQueue
from tests.unit import builders as b
from tests.unit.operator.prefect_queues import PrefectPool


def a_prefect_pool(**priorities: int) -> PrefectPool:
    """A work pool with queues of these priorities."""
    return PrefectPool(b.observed_pool(b.a_pool(), queues=priorities))


def after_setting(pool: PrefectPool, name: str, priority: int) -> dict[str, int]:
    """All priorities once that one was set."""
    pool.apply(Plan((UpdateQueue("pool", name, {"priority": priority}),)))
    return pool.priorities


def test_a_queue_takes_the_lowest_free_number() -> None:
    pool = a_prefect_pool(a=1, c=3)
    pool.apply(Plan((CreateQueue("pool", {"name": "b"}), CreateQueue("pool", {"name": "d"}))))
    assert pool.priorities == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_a_priority_that_is_taken_pushes_the_queues_behind_it() -> None:
    assert after_setting(a_prefect_pool(a=1, b=2, c=3, d=7), "d", 2) == {"a": 1, "d": 2, "b": 3, "c": 4}


def test_a_gap_stops_the_pushing() -> None:
    assert after_setting(a_prefect_pool(a=1, b=2, c=5, d=7), "d", 1) == {"d": 1, "a": 2, "b": 3, "c": 5}


def test_the_last_place_pushes_nobody() -> None:
    assert after_setting(a_prefect_pool(a=1, b=2), "a", 9) == {"b": 2, "a": 9}


def test_a_deleted_queue_leaves_a_gap() -> None:
    pool = a_prefect_pool(a=1, b=2, c=3)
    pool.apply(Plan((DeleteQueue("pool", "b"),)))
    assert pool.priorities == {"a": 1, "c": 3}
