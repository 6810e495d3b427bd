"""Keeps a unit's hardware connected: one device thread, one open connection for the agent's whole life.

Connects, notices while idle that the hardware is gone, and connects again. Never turns the energy on while the unit is
stopped or held. Not for carrying out operations.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from labkeeper_api.errors import DeviceError, LabkeeperError
from labkeeper_devices.agent.unit import Situation
from labkeeper_devices.drivers.base import Driver, Health, Identity

log = logging.getLogger(__name__)

T = TypeVar("T")

RECONNECT_SECONDS = 2.0
MONITOR_SECONDS = 2.0


class Connection:
    """The connection of one unit."""

    def __init__(self, driver: Driver, situation: Callable[[], Situation], changed: Callable[[], None]) -> None:
        """`situation` tells what the unit may do; `changed` is called after the connection or its fault changed."""
        self._driver = driver
        self._situation = situation
        self._changed = changed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._wake = asyncio.Event()
        self._energized = False
        self.fault: str | None = None
        self.identity: Identity | None = None
        self.health: Health | None = None

    @property
    def released(self) -> bool:
        """Whether the connection was closed on request and stays so until `connect` is asked for."""
        return self.identity is not None and not self._driver.is_open and self.fault is None

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something blocking with the driver, after whatever the device thread does now."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def look(self) -> None:
        """Something changed that may ask for connecting anew."""
        self._wake.set()

    def failed(self, reason: str) -> None:
        """An operation found that the hardware cannot be used."""
        self.fault = reason
        self._wake.set()
        self._changed()

    async def keep(self) -> None:
        """Keep the hardware connected until cancelled."""
        while True:
            self._wake.clear()
            if self._situation().busy_with is None:
                await self._look_after()
            pause = MONITOR_SECONDS if self.fault is None else RECONNECT_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Close the connection and end the device thread. The hardware stays as it is."""
        await self.in_thread(self._driver.close)
        self._thread.shutdown(wait=True)

    async def _look_after(self) -> None:
        situation = self._situation()
        if situation.stopped is not None:
            self._energized = False
        before = (self.fault, self._driver.is_open)
        try:
            if self.released:
                return
            if not self._driver.is_open or self.fault is not None or self._must_energize(situation):
                await self._open(situation.may_energize)
            self.health = await self.in_thread(self._driver.health)
            self.fault = "; ".join(self.health.faults) or None
        except LabkeeperError as error:
            if self.fault != str(error):
                log.warning("%s", error)
            self.fault = str(error)
            self._energized = False
        if before != (self.fault, self._driver.is_open):
            self._changed()

    def _must_energize(self, situation: Situation) -> bool:
        return situation.may_energize and not self._energized

    async def _open(self, energize: bool) -> None:
        def reopen() -> Identity:
            if self._driver.is_open:
                self._driver.close()
            return self._driver.open(energize=energize)

        self.identity = await self.in_thread(reopen)
        if not self._driver.is_open:
            raise DeviceError("the driver says neither that it is open nor why not")
        self._energized = energize
        self.fault = None
        log.info("connected to %s (%s, firmware %s)", self.identity.port, self.identity.model, self.identity.firmware)
        self._changed()
