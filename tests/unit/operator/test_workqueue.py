"""The work queue: one entry per object, pools first, and nothing before its time."""

from __future__ import annotations

import asyncio

import pytest

from labkeeper_operator.objects import Key
from labkeeper_operator.workqueue import ORDER, WorkQueue
from tests.unit import builders as b


def key(name: str, kind: str = "LabWorkflow") -> Key:
    """A key of the default namespace."""
    return Key(kind, "default", name)


A, B = key("a"), key("b")


class Bench:
    """A queue on a clock that goes on only when told to."""

    def __init__(self) -> None:
        self.clock = b.FakeClock()
        self.queue = WorkQueue(self.clock)

    async def due(self, limit: int = 100) -> list[Key]:
        """What is due now; nothing when the queue waits."""
        taking = asyncio.create_task(self.queue.take(limit))
        for _ in range(5):
            await asyncio.sleep(0)
        if taking.done():
            return taking.result()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        return []


@pytest.fixture
def bench() -> Bench:
    """An empty queue."""
    return Bench()


async def test_an_object_asked_for_twice_is_taken_once(bench: Bench) -> None:
    bench.queue.add(A, A)
    bench.queue.add(A)
    assert await bench.due() == [A]
    assert await bench.due() == []


async def test_an_object_asked_for_again_after_it_was_taken_is_due_again(bench: Bench) -> None:
    bench.queue.add(A)
    await bench.due()
    bench.queue.add(A)
    assert await bench.due() == [A]


async def test_kinds_are_taken_in_their_order(bench: Bench) -> None:
    bench.queue.add(*(key("x", kind) for kind in reversed(ORDER)))
    assert [found.kind for found in await bench.due()] == list(ORDER)


async def test_pools_come_before_what_needs_them() -> None:
    assert ORDER.index("LabPool") < min(ORDER.index(kind) for kind in ("LabWorkflow", "LabDevice"))


async def test_objects_of_one_kind_are_taken_in_the_order_they_came(bench: Bench) -> None:
    bench.queue.add(B, A)
    assert await bench.due() == [B, A]


async def test_no_more_than_the_limit_is_taken_at_once(bench: Bench) -> None:
    bench.queue.add(A, B, key("c"))
    assert await bench.due(2) == [A, B]
    assert await bench.due(2) == [key("c")]


async def test_nothing_is_due_before_its_time(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(10))
    assert await bench.due() == []
    bench.clock.advance(9.9)
    assert await bench.due() == []
    bench.clock.advance(0.1)
    assert await bench.due() == [A]
    assert await bench.due() == []


async def test_the_earlier_of_two_times_counts(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(10))
    bench.queue.add_at(A, b.after(5))
    bench.queue.add_at(A, b.after(20))
    bench.clock.advance(5)
    assert await bench.due() == [A]
    bench.clock.advance(60)
    assert await bench.due() == []


async def test_what_is_due_now_is_not_put_off(bench: Bench) -> None:
    bench.queue.add(A)
    bench.queue.add_at(A, b.after(10))
    assert await bench.due() == [A]
    bench.clock.advance(60)
    assert await bench.due() == []


async def test_what_comes_due_earlier_loses_its_later_time(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(10))
    bench.queue.add(A)
    assert await bench.due() == [A]
    bench.clock.advance(60)
    assert await bench.due() == []


async def test_what_was_taken_can_be_planned_anew(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(10))
    bench.queue.add(A)
    await bench.due()
    bench.queue.add_at(A, b.after(10))
    bench.clock.advance(10)
    assert await bench.due() == [A]
    assert await bench.due() == []


async def test_a_time_that_has_passed_is_due_at_once(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(-5))
    assert await bench.due() == [A]


async def test_who_waits_is_woken_by_what_is_added(bench: Bench) -> None:
    taking = asyncio.create_task(bench.queue.take(5))
    await asyncio.sleep(0)
    bench.queue.add(A)
    assert await asyncio.wait_for(taking, 2) == [A]


async def test_who_waits_for_later_is_woken_by_what_is_due_sooner(bench: Bench) -> None:
    bench.queue.add_at(A, b.after(3600))
    taking = asyncio.create_task(bench.queue.take(5))
    await asyncio.sleep(0)
    bench.queue.add_at(B, b.after(0))
    assert await asyncio.wait_for(taking, 2) == [B]


async def test_who_waits_is_woken_when_the_time_has_come() -> None:
    bench = Bench()
    bench.queue.add_at(A, b.after(0.02))
    taking = asyncio.create_task(bench.queue.take(5))
    await asyncio.sleep(0)
    bench.clock.advance(0.02)
    assert await asyncio.wait_for(taking, 2) == [A]


async def test_a_forgotten_object_is_not_due_any_more(bench: Bench) -> None:
    bench.queue.add(A)
    bench.queue.add_at(B, b.after(5))
    bench.queue.forget(A)
    bench.queue.forget(B)
    bench.clock.advance(10)
    assert await bench.due() == []


async def test_failures_are_counted_until_a_success(bench: Bench) -> None:
    assert [bench.queue.failed(A) for _ in range(3)] == [0, 1, 2]
    assert bench.queue.failed(B) == 0
    bench.queue.succeeded(A)
    assert bench.queue.failed(A) == 0


async def test_a_forgotten_object_has_no_failures(bench: Bench) -> None:
    bench.queue.failed(A)
    bench.queue.forget(A)
    assert bench.queue.failed(A) == 0


async def test_adding_nothing_wakes_nobody(bench: Bench) -> None:
    bench.queue.add()
    assert await bench.due() == []
