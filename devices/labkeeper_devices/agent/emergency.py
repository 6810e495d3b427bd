"""Runs that ask for the emergency stop: found and carried out whatever the unit does and whatever waits before them.

At once, by the event that such a run was scheduled; and by looking at what is due while the unit claims nothing, for
when events are away. Not the stop itself: that is `stopper`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from labkeeper_api.errors import LabkeeperError
from labkeeper_devices.agent.claiming import MOST_RUNS, Claimer
from labkeeper_devices.agent.prefect_answers import DueRun, Noticed, PrefectAway, Work
from labkeeper_devices.agent.prefect_link import PrefectLink
from labkeeper_devices.agent.records import Conclusion

log = logging.getLogger(__name__)

LOOK_WITH_EVENTS_SECONDS = 10.0
LOOK_WITHOUT_EVENTS_SECONDS = 1.0


class Emergencies:
    """Emergency stops that come as runs of the unit's pool."""

    def __init__(
        self,
        link: PrefectLink,
        claimer: Claimer,
        *,
        asks: Callable[[str], bool],
        stop: Callable[[DueRun], Awaitable[Conclusion]],
        blocked: Callable[[], bool],
        events_up: Callable[[], bool],
    ) -> None:
        """`asks`: whether an operation is an emergency stop; `stop` does it; `blocked`: the unit claims nothing now."""
        self._link = link
        self._claimer = claimer
        self._asks = asks
        self._stop = stop
        self._blocked = blocked
        self._events_up = events_up
        self._under_way: set[str] = set()

    async def watch(self) -> None:
        """Look at what is due while the unit claims nothing. Runs until it is cancelled."""
        while True:
            if self._blocked():
                try:
                    await self._look()
                except LabkeeperError as error:
                    log.info("what is due could not be looked at: %s", error)
            await asyncio.sleep(LOOK_WITH_EVENTS_SECONDS if self._events_up() else LOOK_WITHOUT_EVENTS_SECONDS)

    async def noticed(self, event: Noticed) -> None:
        """A run was scheduled. Stop if it asks for that and is due; events of the last minute may come again."""
        try:
            if not await self._asks_for_stop(event.deployment_id):
                return
            try:
                run = await self._link.due_run(event.run_id)
            except PrefectAway:
                # It has only just said that the stop is asked for: stopping for nothing is the smaller harm.
                await self._stop(DueRun(event.run_id, event.run_id, event.deployment_id))
                return
            if run is not None:
                await self._take(run)
        except LabkeeperError as error:
            log.warning("an incoming run could not be looked at: %s", error)

    async def _look(self) -> None:
        for run in await self._link.due_runs(MOST_RUNS):
            if await self._asks_for_stop(run.deployment_id or ""):
                await self._take(run)

    async def _asks_for_stop(self, deployment_id: str) -> bool:
        operation = await self._claimer.operation_of(deployment_id) if deployment_id else None
        return operation is not None and self._asks(operation)

    async def _take(self, run: DueRun) -> None:
        """Stop first, claim second."""
        if run.id in self._under_way:
            return
        self._under_way.add(run.id)
        try:
            conclusion = await self._stop(run)
            if await self._claimer.claim(run, _nothing_to_prepare) is not None:
                await self._claimer.conclude(run.id, conclusion)
        finally:
            self._under_way.discard(run.id)


async def _nothing_to_prepare(run: DueRun, work: Work) -> None:
    """An emergency stop asks nothing first."""
