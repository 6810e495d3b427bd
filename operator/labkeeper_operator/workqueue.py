"""Which objects are to be looked at, and when. One entry per object, however often it is asked for."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from datetime import datetime

from labkeeper_operator.objects import Key

ORDER = ("LabPool", "LabRun", "LabAction", "LabWorkflow", "LabDevice")
"""Pools come first because the others need them; runs before workflows because a person waits for them."""


class WorkQueue:
    """Keys that are due, and keys that will be."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._due: dict[Key, None] = {}
        self._later: list[tuple[datetime, Key]] = []
        self._planned: dict[Key, datetime] = {}
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def add(self, *keys: Key) -> None:
        """These objects are due now."""
        for key in keys:
            self._due[key] = None
            self._planned.pop(key, None)
        if keys:
            self._changed.set()

    def add_at(self, key: Key, moment: datetime) -> None:
        """That object is due then, unless it is due earlier anyway."""
        if key in self._due or (key in self._planned and self._planned[key] <= moment):
            return
        self._planned[key] = moment
        heapq.heappush(self._later, (moment, key))
        self._changed.set()

    def failed(self, key: Key) -> int:
        """Count a failure; how many there were before it."""
        before = self._failures.get(key, 0)
        self._failures[key] = before + 1
        return before

    def succeeded(self, key: Key) -> None:
        """Forget the failures of that object."""
        self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._failures.pop(key, None)
        self._planned.pop(key, None)
        self._due.pop(key, None)

    async def take(self, limit: int) -> list[Key]:
        """Wait until something is due and take up to `limit` keys, in the order of their kinds."""
        while True:
            self._ripen()
            if self._due:
                taken = _in_order(self._due)[:limit]
                for key in taken:
                    del self._due[key]
                return taken
            self._changed.clear()
            await self._wait()

    def _ripen(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            moment, key = heapq.heappop(self._later)
            if self._planned.get(key) == moment:
                del self._planned[key]
                self._due[key] = None

    async def _wait(self) -> None:
        pause = None
        if self._later:
            pause = max(0.0, (self._later[0][0] - self._clock()).total_seconds())
        try:
            async with asyncio.timeout(pause):
                await self._changed.wait()
        except TimeoutError:
            return


def _in_order(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: ORDER.index(key.kind))
