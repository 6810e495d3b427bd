"""One unit as all sides of its agent share it: hardware, journal, stop, connection, and what is under way.

Belongs to the event loop; what other threads may call says so. Claims nothing and answers nobody: that is
`prefect_side` and `calls`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from labkeeper_api.kinds import LabDevice
from labkeeper_devices.agent import guard, reservation
from labkeeper_devices.agent.carrier import Carrier
from labkeeper_devices.agent.connection import Connection
from labkeeper_devices.agent.host import UnitDirectory, write_durably
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import JournalError
from labkeeper_devices.agent.reservation import Reservation
from labkeeper_devices.agent.stopper import EmergencyStop
from labkeeper_devices.agent.unit import Situation
from labkeeper_devices.drivers.base import Driver, Interrupt, Pausable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """What an agent is told about its unit. `pool` is the work pool's name in Prefect; None: there is no Prefect."""

    unit: str
    pool: str | None
    queues: tuple[str, ...] = ()
    drain_seconds: float = 60.0


class Workplace:
    """The unit."""

    def __init__(
        self,
        device: LabDevice,
        settings: AgentSettings,
        driver: Driver,
        directory: UnitDirectory,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the journal. Raises `JournalError`."""
        self.now = monotonic
        self.device = device
        self.settings = settings
        self.driver = driver
        self.directory = directory
        self.clock = clock
        self.interrupt = Interrupt()
        self.journal = Journal(directory.journal, settings.unit, clock)
        self.note = _simulation_note(device)
        self.stop = EmergencyStop(
            directory.latch, driver, self.interrupt, clock, self.changed_elsewhere, self._record_stop
        )
        self.connection = Connection(driver, lambda: self.situation, self.publish)
        self.carrier = Carrier(
            driver, self.journal, self.interrupt, refusals=self._refusals, clock=clock, simulated=self.note
        )
        self.wake = asyncio.Event()
        """Set when something changed that may ask for claiming."""
        self.busy_with: str | None = None
        """Name of the run of Prefect that is under way."""
        self.busy_id: str | None = None
        """Its id."""
        self.claiming = False
        self.command: str | None = None
        """What the holder of the reservation has carried out now."""
        self.draining = False
        self.journal_lost = False
        self.journal_known = False
        self.clock_skew: Callable[[], float | None] = lambda: None
        """The clock of Prefect's server minus ours, in seconds."""
        self._reserved: Reservation | None = None
        self._published: tuple[str, str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def situation(self) -> Situation:
        """What the unit is doing and why, now. Any thread."""
        under_way = self.busy_with is not None or self.command is not None
        held = self.reserved
        return Situation(
            connected=self.driver.is_open or self.connection.released,
            unknown=() if under_way else tuple(command.described() for command in self.journal.open_commands()),
            journal_lost=self.journal_lost,
            journal_unproven=not self.journal_known and not self.journal.proven,
            stopped=self.stop.engaged,
            fault=self.connection.fault,
            fault_reported=self.connection.fault_reported,
            busy_with=self.busy_with,
            held_for=held.described if held is not None else None,
            command=self.command,
            draining=self.draining,
            keeper="Prefect" if self.settings.pool is not None else "this host",
        )

    @property
    def reserved(self) -> Reservation | None:
        """Who has the unit to itself now. Any thread."""
        return reservation.current(self._reserved, self.now(), under_way=self.command is not None)

    @property
    def expired(self) -> Reservation | None:
        """The reservation whose holder was not heard of for too long."""
        return self._reserved if self.reserved is None else None

    def reserve_for(self, holder: Reservation | None) -> None:
        """Hold the unit for somebody, or for nobody any more."""
        self._reserved = holder
        self.publish()
        if holder is None:
            self.wake.set()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop that the workplace belongs to; from now on other threads' changes are heard of."""
        self._loop = loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, once there is one. Any thread."""
        return self._loop

    def close(self) -> None:
        """Close the journal and say that the unit is offline. The connection is closed before."""
        self.journal.close()
        self._write_status("Offline", "the agent was shut down")

    def changed_elsewhere(self) -> None:
        """Something changed in another thread. Any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.changed)

    def changed(self) -> None:
        """Something changed."""
        self.connection.look()
        self.wake.set()
        self.publish()

    def publish(self) -> None:
        """Write the status file, on transitions only."""
        situation = self.situation
        now = (situation.state.value, situation.reason)
        if now != self._published:
            self._published = now
            log.info("%s: %s", *now)
            self._write_status(*now)
            self.wake.set()

    def snapshot(self) -> dict[str, Any]:
        """What is the case, for `labkeeper device status`. Any thread."""
        situation, identity, held = self.situation, self.connection.identity, self.reserved
        simulate = self.device.spec.simulate
        return {
            "unit": self.settings.unit,
            "device": self.device.metadata.key,
            "driver": self.device.spec.driver,
            "simulated": simulate is not None,
            "time_factor": simulate.time_factor if simulate is not None else None,
            "state": situation.state.value,
            "reason": situation.reason,
            "run": situation.under_way,
            "run_id": self.busy_id,
            "reservation": self._reservation_said(held),
            "progress": self._progress() if situation.under_way is not None else None,
            "held_by": [*situation.unknown, *(["the lost journal"] if situation.journal_lost else [])],
            "pool": self.settings.pool,
            "connection": asdict(identity) if identity else None,
            "health": self.connection.health.readings if self.connection.health else None,
            "warnings": list(self.connection.health.warnings) if self.connection.health else [],
            "journal": str(self.directory.journal),
            "pid": os.getpid(),
        }

    def _reservation_said(self, held: Reservation | None) -> dict[str, Any] | None:
        if held is None:
            return None
        left = None if self.command is not None else round(held.seconds_left(self.now()), 1)
        return {"holder": held.holder, "name": held.name, "command": self.command, "seconds_left": left}

    def _progress(self) -> dict[str, Any] | None:
        said = self.driver.progress() if isinstance(self.driver, Pausable) else None
        return asdict(said) if said is not None else None

    def _refusals(self) -> list[str]:
        """Why a physical command must not begin. In the device thread."""
        if not self.directory.journal.exists():
            return [f"the journal {self.directory.journal} is gone from the disk: restart the agent"]
        held = self.situation.with_(busy_with=None, command=None)
        blocked = held.reason if not held.may_energize else None
        stats = os.statvfs(self.directory.path)
        return guard.refusals(free_bytes=stats.f_bavail * stats.f_frsize, clock_skew=self.clock_skew(), held=blocked)

    def _record_stop(self, requester: str, reason: str, trouble: str | None) -> None:
        try:
            self.journal.record("EmergencyStop", requester, reason, {"trouble": trouble})
        except JournalError as error:
            log.warning("the emergency stop is not in the journal: %s", error)

    def _write_status(self, state: str, reason: str) -> None:
        content = {"unit": self.settings.unit, "state": state, "reason": reason, "at": self.clock().isoformat()}
        try:
            write_durably(self.directory.status, {**content, "pid": os.getpid(), "run": self.busy_with})
        except OSError as error:
            log.warning("the status file cannot be written: %s", error)


def _simulation_note(device: LabDevice) -> str:
    simulate = device.spec.simulate
    return f"[simulated, time factor {simulate.time_factor:g}]" if simulate is not None else ""
