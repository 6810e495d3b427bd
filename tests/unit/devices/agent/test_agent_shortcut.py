"""When a run may be taken on the news that it was scheduled: only while nothing can come before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from labkeeper_devices.agent.prefect_answers import DueRun, Noticed, PrefectAway
from labkeeper_devices.agent.prefect_link import PrefectLink
from labkeeper_devices.agent.shortcut import AHEAD, SCHEDULED, Shortcut

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Server:
    """What Prefect would say; `during` is called while it is asked for what is planned."""

    def __init__(self) -> None:
        self.now = NOW
        self.first: datetime | None = None
        self.free = frozenset({"default"})
        self.queue = "default"
        self.due = True
        self.away = False
        self.asked: list[str] = []
        self.shortcut = Shortcut(cast("PrefectLink", self), lambda: self.now)
        self.during: Noticed | None = None

    async def first_planned(self, start: datetime, end: datetime) -> datetime:
        self.asked.append("planned")
        if self.away:
            raise PrefectAway("ReadTimeout")
        if self.during is not None:
            self.shortcut.notice(self.during)
        return min(self.first or end, end)

    async def free_queues(self) -> frozenset[str]:
        self.asked.append("queues")
        return self.free

    async def due_run(self, run_id: str) -> DueRun | None:
        return DueRun(run_id, run_id, "deployment-1", queue=self.queue) if self.due else None

    async def quiet(self) -> Server:
        self.shortcut.asking()
        await self.shortcut.nothing_due()
        return self

    async def taken(self, *runs: str) -> str | None:
        for run in runs:
            self.shortcut.notice(Noticed(SCHEDULED, run, "deployment-1"))
        found = await self.shortcut.run()
        return found.id if found is not None else None


async def test_the_only_news_since_nothing_was_due_is_taken_once() -> None:
    server = await Server().quiet()
    assert await server.taken("run-1") == "run-1"
    assert await server.taken("run-2") is None, "what else is due by now is for Prefect to say"
    await server.quiet()
    assert await server.taken("run-3") == "run-3"
    assert server.asked == ["planned", "queues", "planned"]


async def test_of_two_only_prefect_knows_which_comes_first() -> None:
    server = await Server().quiet()
    assert await server.taken("run-1", "run-2") is None


async def test_nothing_is_taken_before_prefect_was_asked() -> None:
    assert await Server().taken("run-1") is None


async def test_what_was_planned_may_have_come_due_meanwhile() -> None:
    server = Server()
    server.first = NOW + timedelta(seconds=5)
    await server.quiet()
    server.now += timedelta(seconds=5)
    assert await server.taken("run-1") is None


async def test_further_ahead_than_it_looked_nothing_is_known() -> None:
    server = await Server().quiet()
    server.now += AHEAD
    assert await server.taken("run-1") is None


@pytest.mark.parametrize("event", ["prefect.work-queue.paused", "prefect.work-pool.updated", "prefect.flow-run.Late"])
async def test_other_news_may_put_something_before_it(event: str) -> None:
    server = await Server().quiet()
    server.shortcut.notice(Noticed(event))
    assert await server.taken("run-1") is None


@pytest.mark.parametrize("event", [Noticed("prefect.work-queue.paused"), Noticed(SCHEDULED, "run-0", "d")])
async def test_news_while_it_was_asked_makes_the_answer_worthless(event: Noticed) -> None:
    server = Server()
    server.during = event
    await server.quiet()
    assert await server.taken(*([] if event.run_id else ["run-1"])) is None


async def test_a_queue_that_is_paused_or_limited_is_for_the_long_way() -> None:
    server = Server()
    server.queue = "slow"
    await server.quiet()
    assert await server.taken("run-1") is None


async def test_a_run_that_is_not_due_is_not_taken() -> None:
    server = Server()
    server.due = False
    await server.quiet()
    assert await server.taken("run-1") is None


async def test_without_an_answer_the_long_way_is_taken() -> None:
    server = Server()
    server.away = True
    await server.quiet()
    assert await server.taken("run-1") is None
