"""The agent's side towards Prefect: claims the unit's runs one at a time, has them carried out, tells how they ended.

Here the loops of that run; the rules stand in `claiming`, `recovery` and `unit`. An agent without Prefect has no such
side, and does not import this.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from labkeeper_devices.agent import settling
from labkeeper_devices.agent.claiming import AWAY_SECONDS, Claim, Claimer
from labkeeper_devices.agent.emergency import Emergencies
from labkeeper_devices.agent.errands import Carried, Errand
from labkeeper_devices.agent.listening import Listener, beat
from labkeeper_devices.agent.prefect_answers import DueRun, Noticed, PrefectAway, PrefectRefused, Work
from labkeeper_devices.agent.prefect_link import PrefectLink, open_link
from labkeeper_devices.agent.records import Conclusion, JournalError
from labkeeper_devices.agent.register import Register
from labkeeper_devices.agent.shortcut import SCHEDULED, Shortcut
from labkeeper_devices.agent.workplace import Workplace

log = logging.getLogger(__name__)

POLL_WITH_EVENTS_SECONDS = 10.0
POLL_WITHOUT_EVENTS_SECONDS = 1.0


class PrefectSide:
    """Serves the unit's pool."""

    def __init__(self, work: Workplace, pool: str) -> None:
        self._work = work
        self._pool = pool
        self._link: PrefectLink | None = None
        self._claimer: Claimer | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._woken_for_cancel = asyncio.Event()
        self._listener: Listener | None = None
        self._shortcut: Shortcut | None = None
        self._adopt_journal = False

    def adopt_journal(self) -> None:
        """The journal that is there is the unit's from now on: a person has looked at the hardware. Any thread."""
        self._work.journal_lost, self._adopt_journal, self._work.journal_known = False, True, False

    async def serve(self) -> None:
        """Serve the pool until cancelled."""
        settings = self._work.settings
        async with open_link(self._pool, settings.queues) as link:
            self._link = link
            self._work.clock_skew = lambda: link.clock_skew
            self._claimer = claimer = Claimer(link, self._work.journal, settings.unit, self._work.note)
            emergencies = Emergencies(
                link,
                claimer,
                asks=self._is_emergency,
                stop=self._emergency,
                blocked=lambda: not self._work.situation.may_claim,
                events_up=self._hears,
            )
            self._shortcut = shortcut = Shortcut(link, self._work.clock)
            self._listener = Listener(
                link, lambda noticed: self._noticed(noticed, emergencies, shortcut), self._work.wake.set
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._claim_runs(), name="claims")
                tasks.create_task(self._listener.follow(), name="events")
                tasks.create_task(beat(link, settings.unit, self._pool), name="heartbeat")
                tasks.create_task(emergencies.watch(), name="emergencies")

    async def _claim_runs(self) -> None:
        """Claim and carry out runs for as long as the agent lives."""
        quiet = False
        while True:
            self._work.wake.clear()
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
                    await self._work.wake.wait()
                quiet = False
            except TimeoutError:
                quiet = True

    def _hears(self) -> bool:
        return self._listener is not None and self._listener.up

    async def _claim_once(self, *, quiet: bool) -> bool:
        """Do the next thing there is to do; False if there is nothing. `quiet`: nothing has happened for a while."""
        link, claimer, shortcut = self._link, self._claimer, self._shortcut
        if link is None or claimer is None or shortcut is None:
            return False
        if not self._work.journal_known:
            await self._settle_with_the_past(link)
        await claimer.report_all()
        due = await self._next_run(link, claimer, shortcut)
        if due is None:
            # Not between runs: the server would answer this before it answers the next claim.
            if quiet:
                await claimer.free_lost_claims(self._work.clock())
            return False
        if self._work.reserved is not None:
            return False  # reserved while Prefect was asked
        self._work.claiming = True
        try:
            claim = await claimer.claim(due, self._prepare)
            if claim is not None:
                await self._carry_out(claim)
        finally:
            self._work.claiming = False
        return True

    async def _next_run(self, link: PrefectLink, claimer: Claimer, shortcut: Shortcut) -> DueRun | None:
        situation = self._work.situation
        if situation.may_claim and self._hears() and (noticed := await shortcut.run()) is not None:
            return noticed
        shortcut.asking()
        if situation.may_claim:
            run = next(iter(await link.due_runs(1)), None)
            if run is None:
                await shortcut.nothing_due()
            return run
        if situation.may_mend:
            return await claimer.first_that_asks_for(self._work.driver.mending)
        return None

    async def _settle_with_the_past(self, link: PrefectLink) -> None:
        work, unit = self._work, self._work.settings.unit
        work.journal_lost = not await settling.know_journal(link, work.journal, unit, adopt=self._adopt_journal)
        self._adopt_journal = False
        if work.journal_lost:
            await settling.end_what_a_lost_journal_knew(link, unit, work.note)
        else:
            await self._remember_on_host()
        await settling.end_what_was_left(link, work.journal, work.note)
        work.journal_known = True
        work.changed()

    async def _remember_on_host(self) -> None:
        """For an agent of this unit that is started without Prefect some day; this one does not need it."""
        try:
            await asyncio.to_thread(Register(self._work.directory).remember, self._work.journal)
        except JournalError as error:
            log.warning("%s", error)

    async def _carry_out(self, claim: Claim) -> None:
        claimer, work = self._claimer, self._work
        if claimer is None:
            return
        # Before anything can be set on it for this run: what is set from here on must not be lost.
        work.interrupt.clear()
        work.busy_with, work.busy_id = claim.run.name, claim.run.id
        try:
            work.publish()
            if self._is_emergency(claim.work.operation):
                carried = Carried(await self._emergency(claim.run))
            else:
                carried = await self._in_device_thread(claim, claimer)
            await claimer.conclude(claim.run.id, carried.conclusion)
        finally:
            work.busy_with = work.busy_id = None
        work.connection.after(completed=carried.conclusion.type == "COMPLETED", fault=carried.fault)
        work.publish()
        await self._tell_more(claim, carried)

    async def _in_device_thread(self, claim: Claim, claimer: Claimer) -> Carried:
        work, errand = self._work, _errand(claim.run, claim.work)
        woken = self._woken_for_cancel = asyncio.Event()
        helpers = [
            asyncio.create_task(claimer.watch(claim.run.id, lambda: work.interrupt.set("cancel"), woken), name="watch")
        ]
        if claim.lease_id is not None:
            helpers.append(asyncio.create_task(claimer.keep_lease(claim.lease_id), name="lease"))
        try:
            return await work.connection.in_thread(lambda: work.carrier.carry_out(errand))
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _prepare(self, run: DueRun, wanted: Work) -> None:
        if not self._is_emergency(wanted.operation):
            await self._work.connection.in_thread(lambda: self._work.carrier.prepare(_errand(run, wanted)))

    async def _tell_more(self, claim: Claim, carried: Carried) -> None:
        """Log lines for the Prefect UI. What counts was said by the state; these may be lost with the server."""
        if self._link is None or not carried.lines:
            return
        try:
            await self._link.log_lines(claim.run.id, carried.lines)
        except (PrefectAway, PrefectRefused) as error:
            log.info("the run's log lines were not delivered: %s", error)

    def _noticed(self, noticed: Noticed, emergencies: Emergencies, shortcut: Shortcut) -> None:
        shortcut.notice(noticed)
        self._work.wake.set()
        if noticed.event.endswith(".Cancelling"):
            self._woken_for_cancel.set()
        if noticed.event == SCHEDULED:
            task = asyncio.get_running_loop().create_task(emergencies.noticed(noticed), name="emergency")
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    # Emergency stop as an operation: never queued behind other work.

    def _is_emergency(self, operation: str) -> bool:
        spec = self._work.driver.operations.get(operation)
        return spec is not None and spec.emergency

    async def _emergency(self, run: DueRun) -> Conclusion:
        work = self._work
        trouble = await asyncio.to_thread(work.stop.engage, f"run {run.name}", "operation emergency_stop")
        if trouble is not None:
            return Conclusion("FAILED", "Failed", f"the stop is latched, but: {trouble}").noted(work.note)
        simulate = work.device.spec.simulate
        result: dict[str, Any] = {"stopped": True, "simulated": simulate is not None}
        if simulate is not None:
            result["time_factor"] = simulate.time_factor
        return Conclusion("COMPLETED", "Completed", "energy off, stop latched", result).noted(work.note)


def _errand(run: DueRun, work: Work) -> Errand:
    return Errand(
        run_id=run.id,
        operation=work.operation,
        parameters=run.parameters,
        retries=work.retries,
        retry_delay_seconds=work.retry_delay_seconds,
        timeout_seconds=work.timeout_seconds,
    )
