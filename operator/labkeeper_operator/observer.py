"""The one observer of all runs: follows Prefect's events, polls as a fallback, and tells which runs changed.

Reads only. What a change means for an object is decided in `reconcile`; who writes it is the controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from labkeeper_api import wire
from labkeeper_api.errors import LabkeeperError
from labkeeper_operator.prefect_api.reads import PrefectReader
from labkeeper_operator.reconcile.observed import ObservedRun

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.05
"""Events of one burst are read together."""
POLL_SECONDS = 10.0
OVERLAP = timedelta(seconds=60)
"""Each poll looks back over the last one, so that a run that ended in between is not missed."""
RECONNECT_SECONDS = 2.0
RUN_RESOURCE = "prefect.flow-run."


class RunListener(Protocol):
    """Who wants to know about runs."""

    def runs_changed(self, runs: Iterable[ObservedRun]) -> None:
        """These runs were seen in their present state."""

    def runs_gone(self, ids: Iterable[str]) -> None:
        """Prefect has no such runs."""

    def unfinished_runs(self) -> list[str]:
        """Ids of runs that must not be lost sight of."""

    def counted_until(self) -> datetime | None:
        """When the last run ended that was recorded before this process started."""


class Observer:
    """Follows the runs of all of Labkeeper's deployments."""

    def __init__(
        self,
        reader: PrefectReader,
        listener: RunListener,
        *,
        clock: Callable[[], datetime],
        poll: float = POLL_SECONDS,
    ) -> None:
        self._reader = reader
        self._listener = listener
        self._clock = clock
        self._poll = poll
        self._noticed: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Follow runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_events(), name="observer-events")
            tasks.create_task(self._read_noticed(), name="observer-reads")
            tasks.create_task(self._poll_all(), name="observer-poll")

    def notice(self, *run_ids: str) -> None:
        """Something happened to these runs."""
        self._noticed.update(run_ids)
        self._wake.set()

    async def _follow_events(self) -> None:
        wanted = EventFilter(
            event=EventNameFilter(prefix=[RUN_RESOURCE]),
            any_resource=EventAnyResourceFilter(id=[f"prefect.tag.{wire.TAG}"]),
        )
        while True:
            try:
                async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
                    async for event in events:
                        run_id = event.resource.id.removeprefix(RUN_RESOURCE)
                        if _is_uuid(run_id):
                            self.notice(run_id)
            except Exception as error:  # noqa: BLE001 - Prefect's subscriber raises bare Exception; polling goes on
                log.info("Prefect's event stream is away (%s); polling goes on", error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _read_noticed(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            self._wake.clear()
            ids, self._noticed = sorted(self._noticed), set()
            try:
                self._listener.runs_changed(await self._reader.runs(ids))
            except LabkeeperError as error:
                log.info("cannot read runs now: %s", error)
                self._noticed.update(ids)
                await asyncio.sleep(RECONNECT_SECONDS)
                self._wake.set()

    async def _poll_all(self) -> None:
        since = self._listener.counted_until() or datetime.min.replace(tzinfo=UTC, year=2000)
        while True:
            started = self._clock()
            try:
                runs = {run.id: run for run in await self._reader.ended_since(since - OVERLAP)}
                runs |= {run.id: run for run in await self._reader.active_runs()}
                missing = [id_ for id_ in self._listener.unfinished_runs() if id_ not in runs]
                runs |= {run.id: run for run in await self._reader.runs(missing)}
                self._listener.runs_gone(id_ for id_ in missing if id_ not in runs)
                self._listener.runs_changed(sorted(runs.values(), key=lambda run: run.changed or started))
                since = started
            except LabkeeperError as error:
                log.info("cannot poll runs now: %s", error)
            await asyncio.sleep(self._poll)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
