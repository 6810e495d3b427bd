"""The agent of one unit: owns the hardware, claims runs, carries them out, survives what goes away around it.

Here the parts are joined and the loops run; the rules stand in `carrier`, `claiming`, `connection` and `unit`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from labkeeper_api.kinds import LabDevice
from labkeeper_devices.agent import guard, settling
from labkeeper_devices.agent.carrier import Carried, Carrier, Errand
from labkeeper_devices.agent.claiming import AWAY_SECONDS, Claim, Claimer
from labkeeper_devices.agent.connection import Connection
from labkeeper_devices.agent.control import ControlServer
from labkeeper_devices.agent.desk import Desk
from labkeeper_devices.agent.emergency import Emergencies
from labkeeper_devices.agent.host import UnitDirectory, write_durably
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.listening import Listener, beat
from labkeeper_devices.agent.prefect_answers import DueRun, Noticed, PrefectAway, PrefectRefused, Work
from labkeeper_devices.agent.prefect_link import PrefectLink, open_link
from labkeeper_devices.agent.records import Conclusion, JournalError
from labkeeper_devices.agent.stopper import EmergencyStop
from labkeeper_devices.agent.unit import Situation
from labkeeper_devices.drivers.base import Driver, Interrupt

log = logging.getLogger(__name__)

POLL_WITH_EVENTS_SECONDS = 10.0
POLL_WITHOUT_EVENTS_SECONDS = 1.0


@dataclass(frozen=True)
class AgentSettings:
    """What an agent is told about its unit. `pool` is the work pool's name in Prefect."""

    unit: str
    pool: str
    queues: tuple[str, ...] = ()
    drain_seconds: float = 60.0


class Agent:
    """The agent of one unit."""

    def __init__(
        self,
        device: LabDevice,
        settings: AgentSettings,
        driver: Driver,
        directory: UnitDirectory,
        clock: Callable[[], datetime],
    ) -> None:
        self._device = device
        self._settings = settings
        self._driver = driver
        self._directory = directory
        self._clock = clock
        self._interrupt = Interrupt()
        self._journal = Journal(directory.journal, settings.unit, clock)
        self._note = _simulation_note(device)
        self._stop = EmergencyStop(
            directory.latch, driver, self._interrupt, clock, self._changed_elsewhere, self._record_stop
        )
        self._connection = Connection(driver, lambda: self.situation, self._publish)
        self._carrier = Carrier(
            driver,
            self._journal,
            self._interrupt,
            refusals=self._refusals,
            clock=clock,
            simulated=self._note,
        )
        self._desk = Desk(device, settings.unit, self._journal, self._stop, self.snapshot, self._acted)
        self._link: PrefectLink | None = None
        self._claimer: Claimer | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._woken_for_cancel = asyncio.Event()
        self._wake = asyncio.Event()
        self._listener: Listener | None = None
        self._draining = False
        self._claiming = False
        self._busy_with: str | None = None
        self._journal_lost = False
        self._journal_known = False
        self._adopt_journal = False
        self._published: tuple[str, str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def situation(self) -> Situation:
        """What the unit is doing and why, now."""
        return Situation(
            connected=self._driver.is_open or self._connection.released,
            unknown=tuple(command.described() for command in self._journal.open_commands())
            if self._busy_with is None
            else (),
            journal_lost=self._journal_lost,
            journal_unproven=not self._journal.proven and not self._journal_known,
            stopped=self._stop.engaged,
            fault=self._connection.fault,
            fault_reported=self._connection.fault_reported,
            busy_with=self._busy_with,
            draining=self._draining,
        )

    async def run(self) -> None:
        """Serve the unit until SIGTERM or SIGINT, then drain."""
        self._loop = asyncio.get_running_loop()
        control = ControlServer(self._directory.socket, self._desk.handle)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, stopping.set)
        self._stop.listen(self._loop)
        self._publish()
        serving = asyncio.create_task(self._serve(), name="serve")
        loops = [asyncio.create_task(self._connection.keep(), name="connection"), serving]
        waiting = asyncio.create_task(stopping.wait(), name="stop")
        try:
            await asyncio.wait([*loops, waiting], return_when=asyncio.FIRST_COMPLETED)
            await self._drain(serving)
        finally:
            for task in (*loops, waiting):
                task.cancel()
            results = await asyncio.gather(*loops, waiting, return_exceptions=True)
            control.close()
            await self._connection.close()
            self._journal.close()
            self._write_status("Offline", "the agent was shut down")
        for result in results:
            if isinstance(result, Exception):
                raise result

    def snapshot(self) -> dict[str, Any]:
        """What is the case, for `labkeeper device status`."""
        situation, identity = self.situation, self._connection.identity
        return {
            "unit": self._settings.unit,
            "device": self._device.metadata.key,
            "state": situation.state.value,
            "reason": situation.reason,
            "run": self._busy_with,
            "held_by": [*situation.unknown, *(["the lost journal"] if situation.journal_lost else [])],
            "pool": self._settings.pool,
            "connection": asdict(identity) if identity else None,
            "health": self._connection.health.readings if self._connection.health else None,
            "warnings": list(self._connection.health.warnings) if self._connection.health else [],
            "journal": str(self._directory.journal),
            "pid": os.getpid(),
        }

    # Prefect.

    async def _serve(self) -> None:
        async with open_link(self._settings.pool, self._settings.queues) as link:
            self._link = link
            self._claimer = claimer = Claimer(link, self._journal, self._settings.unit, self._note)
            emergencies = Emergencies(
                link,
                claimer,
                asks=self._is_emergency,
                stop=self._emergency,
                blocked=lambda: not self.situation.may_claim,
                events_up=self._hears,
            )
            self._listener = Listener(link, lambda noticed: self._noticed(noticed, emergencies), self._wake.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._claim_runs(), name="claims")
                tasks.create_task(self._listener.follow(), name="events")
                tasks.create_task(beat(link, self._settings.unit, self._settings.pool), name="heartbeat")
                tasks.create_task(emergencies.watch(), name="emergencies")

    async def _claim_runs(self) -> None:
        """Claim and carry out runs for as long as the agent lives."""
        quiet = False
        while True:
            self._wake.clear()
            try:
                if await self._claim_once(quiet=quiet):
                    quiet = False
                    continue
            except PrefectAway as error:
                log.info("%s; trying again", error)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            except PrefectRefused as error:
                log.warning("%s", error)
            except JournalError as error:
                log.warning("%s; nothing can be claimed", error)
            pause = POLL_WITH_EVENTS_SECONDS if self._hears() else POLL_WITHOUT_EVENTS_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                quiet = False
            except TimeoutError:
                quiet = True

    def _hears(self) -> bool:
        return self._listener is not None and self._listener.up

    async def _claim_once(self, *, quiet: bool) -> bool:
        """Do the next thing there is to do; False if there is nothing. `quiet`: nothing has happened for a while."""
        link, claimer = self._link, self._claimer
        if link is None or claimer is None:
            return False
        if not self._journal_known:
            await self._settle_with_the_past(link)
        await claimer.report_all()
        due = await self._next_run(link, claimer)
        if due is None:
            # Not between runs: the server would answer this before it answers the next claim.
            if quiet:
                await claimer.free_lost_claims(self._clock())
            return False
        self._claiming = True
        try:
            claim = await claimer.claim(due, self._prepare)
            if claim is not None:
                await self._carry_out(claim)
        finally:
            self._claiming = False
        return True

    async def _next_run(self, link: PrefectLink, claimer: Claimer) -> DueRun | None:
        if self.situation.may_claim:
            return next(iter(await link.due_runs(1)), None)
        if self.situation.may_mend:
            return await claimer.first_that_asks_for(self._driver.mending)
        return None

    async def _settle_with_the_past(self, link: PrefectLink) -> None:
        unit = self._settings.unit
        self._journal_lost = not await settling.know_journal(link, self._journal, unit, adopt=self._adopt_journal)
        self._adopt_journal = False
        if self._journal_lost:
            await settling.end_what_a_lost_journal_knew(link, unit, self._note)
        await settling.end_what_was_left(link, self._journal, self._note)
        self._journal_known = True
        self._changed_here()

    async def _carry_out(self, claim: Claim) -> None:
        claimer = self._claimer
        if claimer is None:
            return
        # Before anything can be set on it for this run: what is set from here on must not be lost.
        self._interrupt.clear()
        self._busy_with = claim.run.name
        try:
            self._publish()
            if self._is_emergency(claim.work.operation):
                carried = Carried(await self._emergency(claim.run))
            else:
                carried = await self._in_device_thread(claim, claimer)
            await claimer.conclude(claim.run.id, carried.conclusion)
        finally:
            self._busy_with = None
        self._connection.after(completed=carried.conclusion.type == "COMPLETED", fault=carried.fault)
        self._publish()
        await self._tell_more(claim, carried)

    async def _in_device_thread(self, claim: Claim, claimer: Claimer) -> Carried:
        errand = _errand(claim.run, claim.work)
        woken = self._woken_for_cancel = asyncio.Event()
        helpers = [
            asyncio.create_task(claimer.watch(claim.run.id, lambda: self._interrupt.set("cancel"), woken), name="watch")
        ]
        if claim.lease_id is not None:
            helpers.append(asyncio.create_task(claimer.keep_lease(claim.lease_id), name="lease"))
        try:
            return await self._connection.in_thread(lambda: self._carrier.carry_out(errand))
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _prepare(self, run: DueRun, work: Work) -> None:
        if not self._is_emergency(work.operation):
            await self._connection.in_thread(lambda: self._carrier.prepare(_errand(run, work)))

    async def _tell_more(self, claim: Claim, carried: Carried) -> None:
        """Log lines for the Prefect UI. What counts was said by the state; these may be lost with the server."""
        if self._link is None or not carried.lines:
            return
        try:
            await self._link.log_lines(claim.run.id, carried.lines)
        except (PrefectAway, PrefectRefused) as error:
            log.info("the run's log lines were not delivered: %s", error)

    def _noticed(self, noticed: Noticed, emergencies: Emergencies) -> None:
        self._wake.set()
        if noticed.event.endswith(".Cancelling"):
            self._woken_for_cancel.set()
        if noticed.event.endswith(".Scheduled"):
            task = asyncio.get_running_loop().create_task(emergencies.noticed(noticed), name="emergency")
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    # Emergency stop as an operation: never queued behind other work.

    def _is_emergency(self, operation: str) -> bool:
        spec = self._driver.operations.get(operation)
        return spec is not None and spec.emergency

    async def _emergency(self, run: DueRun) -> Conclusion:
        trouble = await asyncio.to_thread(self._stop.engage, f"run {run.name}", "operation emergency_stop")
        if trouble is not None:
            return Conclusion("FAILED", "Failed", f"the stop is latched, but: {trouble}").noted(self._note)
        simulate = self._device.spec.simulate
        result: dict[str, Any] = {"stopped": True, "simulated": simulate is not None}
        if simulate is not None:
            result["time_factor"] = simulate.time_factor
        return Conclusion("COMPLETED", "Completed", "energy off, stop latched", result).noted(self._note)

    # Small helpers.

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Let what is under way come to its end, or stop it; begin nothing new."""
        self._draining = True
        log.info("draining")
        deadline = asyncio.get_running_loop().time() + self._settings.drain_seconds
        in_time = True
        while (self._busy_with is not None or (self._claiming and in_time)) and not serving.done():
            await asyncio.sleep(0.02)
            if in_time and asyncio.get_running_loop().time() >= deadline:
                self._interrupt.set("drain")
                in_time = False

    def _refusals(self) -> list[str]:
        if not self._directory.journal.exists():
            return [f"the journal {self._directory.journal} is gone from the disk: restart the agent"]
        held = self.situation.with_(busy_with=None)
        blocked = held.reason if not held.may_energize else None
        stats = os.statvfs(self._directory.path)
        skew = self._link.clock_skew if self._link else None
        return guard.refusals(free_bytes=stats.f_bavail * stats.f_frsize, clock_skew=skew, held=blocked)

    def _record_stop(self, requester: str, reason: str, trouble: str | None) -> None:
        try:
            self._journal.record("EmergencyStop", requester, reason, {"trouble": trouble})
        except JournalError as error:
            log.warning("the emergency stop is not in the journal: %s", error)

    def _acted(self) -> None:
        """A person said how things really are; called from a control thread."""
        if self._journal_lost:
            self._journal_lost, self._adopt_journal, self._journal_known = False, True, False
        self._changed_elsewhere()

    def _changed_elsewhere(self) -> None:
        """Something changed in another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed_here)

    def _changed_here(self) -> None:
        self._connection.look()
        self._wake.set()
        self._publish()

    def _publish(self) -> None:
        """Write the status file, on transitions only."""
        situation = self.situation
        now = (situation.state.value, situation.reason)
        if now != self._published:
            self._published = now
            log.info("%s: %s", *now)
            self._write_status(*now)
            self._wake.set()

    def _write_status(self, state: str, reason: str) -> None:
        content = {"unit": self._settings.unit, "state": state, "reason": reason, "at": self._clock().isoformat()}
        try:
            write_durably(self._directory.status, {**content, "pid": os.getpid(), "run": self._busy_with})
        except OSError as error:
            log.warning("the status file cannot be written: %s", error)


def _errand(run: DueRun, work: Work) -> Errand:
    return Errand(
        run_id=run.id,
        operation=work.operation,
        parameters=run.parameters,
        retries=work.retries,
        retry_delay_seconds=work.retry_delay_seconds,
        timeout_seconds=work.timeout_seconds,
    )


def _simulation_note(device: LabDevice) -> str:
    simulate = device.spec.simulate
    return f"[simulated, time factor {simulate.time_factor:g}]" if simulate is not None else ""
