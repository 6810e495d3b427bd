"""Hears of runs by Prefect's events, and lets Prefect hear that the agent lives. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from labkeeper_devices.agent.prefect_answers import Noticed, PrefectAway, PrefectRefused
from labkeeper_devices.agent.prefect_link import PrefectLink

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
EVENTS_RETRY_SECONDS = 2.0


class Listener:
    """Follows the events of the unit's pool, across breaks of the stream."""

    def __init__(self, link: PrefectLink, noticed: Callable[[Noticed], None], broken: Callable[[], None]) -> None:
        """`noticed` takes events, `broken` is called when the stream breaks: what happens then must be looked up."""
        self._link = link
        self._noticed = noticed
        self._broken = broken
        self.up = False
        """Whether events arrive now."""

    async def follow(self) -> None:
        """Follow events. Runs until it is cancelled."""
        while True:
            try:
                async for noticed in self._link.events():
                    self.up = True
                    self._noticed(noticed)
            except PrefectRefused as error:
                log.info("%s", error)
            except Exception as error:  # noqa: BLE001 - Prefect's subscriber raises bare Exception; polling goes on
                log.info("Prefect's event stream is away (%s); polling goes on", error)
            self.up = False
            self._broken()
            await asyncio.sleep(EVENTS_RETRY_SECONDS)


async def beat(link: PrefectLink, unit: str, pool: str) -> None:
    """Tell Prefect now and then that the agent lives. Runs until it is cancelled."""
    while True:
        try:
            await link.heartbeat(unit, HEARTBEAT_SECONDS)
        except PrefectRefused as error:
            log.warning("work pool %r: %s; apply its LabPool", pool, error)
        except PrefectAway as error:
            log.debug("no heartbeat: %s", error)
        await asyncio.sleep(HEARTBEAT_SECONDS)
