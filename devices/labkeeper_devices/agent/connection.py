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
        self._stopped = False
        self._released = False
        self.fault: str | None = None
        self.identity: Identity | None = None
        self.health: Health | None = None

    @property
    def released(self) -> bool:
        """Whether the connection was closed on request and stays so until `connect` is asked for."""
        return self._released and not self._driver.is_open

    @property
    def fault_reported(self) -> bool:
        """Whether the fault is what the device itself says, not that it could not be asked."""
        return self.health is not None and self.fault is not None and self.fault == _faults(self.health)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something blocking with the driver, after whatever the device thread does now."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def look(self) -> None:
        """Something changed that may ask for connecting anew."""
        self._wake.set()

    def after(self, *, completed: bool, fault: str | None) -> None:
        """An operation ended. `fault` is why it found that the hardware cannot be used."""
        if fault is not None:
            self.fault = fault
            self._changed()
        elif completed:
            # What was done and left the connection closed was asked to close it.
            self._released = not self._driver.is_open
        self._wake.set()

    async def keep(self) -> None:
        """Keep the hardware connected until cancelled."""
        while True:
            self._wake.clear()
            if self._situation().under_way is None:
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
        else:
            self._stopped = False
        before = (self.fault, self._driver.is_open)
        try:
            if self.released:
                return
            if not self._driver.is_open or self.fault is not None or self._must_energize(situation):
                await self._open()
            if situation.stopped is not None and not self._stopped:
                await self._enforce_stop()
            self.health = await self.in_thread(self._driver.health)
            # Not before: a unit that was only just opened would look sound until it has said otherwise.
            self.fault = _faults(self.health)
        except LabkeeperError as error:
            if self.fault != str(error):
                log.warning("%s", error)
            self.fault = str(error)
            self._energized = False
        except Exception as error:
            log.exception("driver error while looking after the connection")
            self.fault = f"a mistake in the driver: {type(error).__name__}: {error}"
            self._energized = False
        if before != (self.fault, self._driver.is_open):
            self._changed()

    def _must_energize(self, situation: Situation) -> bool:
        return situation.may_energize and not self._energized

    async def _open(self) -> None:
        identity, energized = await self.in_thread(self._reopen)
        if identity is None:
            return
        self.identity, self._energized, self._stopped = identity, energized, False
        log.info("connected to %s (%s, firmware %s)", identity.port, identity.model, identity.firmware)

    def _reopen(self) -> tuple[Identity | None, bool]:
        """In the device thread: what counts is what is the case now, after what this had to wait for."""
        situation = self._situation()
        if situation.under_way is not None:
            return None, False
        if self._driver.is_open:
            self._driver.close()
        identity = self._driver.open(energize=situation.may_energize)
        if not self._driver.is_open:
            raise DeviceError("the driver says neither that it is open nor why not")
        return identity, situation.may_energize

    async def _enforce_stop(self) -> None:
        """Take the energy out of hardware that was not there, or had no agent, when the stop was engaged."""
        await self.in_thread(self._driver.emergency_stop)
        self._stopped = True


def _faults(health: Health) -> str | None:
    """What the device says against being used."""
    return "; ".join(health.faults) or None
