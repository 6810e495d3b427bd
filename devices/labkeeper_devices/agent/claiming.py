"""Takes runs from Prefect, one at a time, has them carried out and says how they ended.

The order of writes is the point: a claim is journaled before it is proposed, an end before it is reported. Whether a
proposal whose answer was lost took effect is looked up, never guessed.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.prefect_answers import ClaimedRun, DueRun, PrefectAway, PrefectRefused, Proposal, Work
from labkeeper_devices.agent.prefect_link import PrefectLink
from labkeeper_devices.agent.records import Conclusion, JournalError

log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY_SECONDS = 1.0
REFUSED_SECONDS = 0.1
WATCH_SECONDS = 2.0
LEASE_SECONDS = 300.0
LOST_CLAIM_SECONDS = 120.0
"""Far longer than a claim takes to begin: Prefect on SQLite was seen to hold a request for 60 seconds."""
MOST_RUNS = 200
"""Due runs that are looked through; more are not given out at once by Prefect."""


@dataclass(frozen=True)
class Claim:
    """A run that is ours and has begun in Prefect's eyes; nothing has moved yet."""

    run: DueRun
    work: Work
    lease_id: str | None


Prepare = Callable[[DueRun, Work], Coroutine[Any, Any, None]]
"""What can be done for a run between its claim and its beginning, such as reading the interlocks. Moves nothing."""


class Claimer:
    """Claims runs and reports their ends."""

    def __init__(self, link: PrefectLink, journal: Journal, unit: str, note: str = "") -> None:
        """`note` is added to all that is said of a run's end, such as that it was simulated."""
        self._link = link
        self._journal = journal
        self._unit = unit
        self._note = note
        self._works: dict[str, Work] = {}
        self._ours: set[str] = set()

    async def claim(self, run: DueRun, prepare: Prepare) -> Claim | None:
        """Claim that run and have it begin. None if another took it, or if it ended before anything moved.

        `prepare` runs while Prefect is told that the run begins.
        """
        if run.id in self._ours:
            return None
        self._ours.add(run.id)
        claim: Claim | None = None
        try:
            claim = await self._claim(run, prepare)
        finally:
            if claim is None:
                self._ours.discard(run.id)
        return claim

    async def _claim(self, run: DueRun, prepare: Prepare) -> Claim | None:
        transition = str(uuid.uuid4())
        self._journal.claim(run.id, run.name, transition)
        wanted = asyncio.create_task(self._insist(lambda: self._work(run)))
        try:
            pending = await self._settled(run.id, transition, self._link.propose_pending)
            if not pending.accepted:
                await self._let_go(run, pending)
                return None
            return await self._begin(run, await wanted, transition, pending, prepare)
        except PrefectRefused as error:
            await self.conclude(run.id, Conclusion("FAILED", "Failed", f"{error}; nothing moved"))
            return None
        finally:
            await _dropped(wanted)

    async def _let_go(self, run: DueRun, pending: Proposal) -> None:
        if pending.gone_on and pending.state_type == "CANCELLING":
            # It was ours when it was cancelled, so nobody else will say that it has ended.
            await self.conclude(run.id, _ended_before(pending.reason))
            return
        log.info("run %s was not ours to take: %s", run.name, pending.reason)
        self._journal.unclaim(run.id)
        await asyncio.sleep(REFUSED_SECONDS)

    async def _begin(
        self, run: DueRun, work: Work, transition: str, pending: Proposal, prepare: Prepare
    ) -> Claim | None:
        prepared = asyncio.create_task(prepare(run, work))
        before = asyncio.create_task(self._insist(lambda: self._link.end_before(run.id, transition)))
        try:
            running = await self._settled(run.id, str(uuid.uuid4()), self._link.propose_running)
            ended = await before
        finally:
            await asyncio.gather(prepared, _dropped(before))
        if ended is not None:
            log.warning("run %s was ended by another agent before we claimed it; it keeps that end", run.name)
            await self._insist(lambda: self._link.put_back(run.id, ended))
            self._journal.unclaim(run.id)
            return None
        if running.accepted:
            return Claim(run, work, running.lease_id or pending.lease_id)
        await self.conclude(run.id, _ended_before(running.reason))
        return None

    async def conclude(self, run_id: str, conclusion: Conclusion) -> None:
        """Journal how a run ended and tell Prefect; while Prefect is away it is told later, by `report_all`."""
        self._ours.discard(run_id)
        said = conclusion.noted(self._note)
        try:
            self._journal.conclude(run_id, said)
        except JournalError as error:
            log.warning("run %s ended %s, which is not on disk, but Prefect is told: %s", run_id, said.name, error)
        try:
            await self._report(run_id, said)
        except PrefectAway as error:
            log.warning("run %s ended %s; Prefect will be told when it is back (%s)", run_id, said.name, error)

    async def report_all(self) -> None:
        """Tell Prefect all ends that it has not heard of. Raises `PrefectAway`."""
        for run in self._journal.unreported():
            if run.conclusion is not None:
                await self._report(run.run_id, run.conclusion)

    async def free_lost_claims(self, now: datetime) -> None:
        """Let runs be claimed again whose claim by this unit arrived after it was given up. Raises `PrefectAway`."""
        for run in await self._link.runs_of_unit(self._unit):
            if claim_is_lost(run, mine=self._ours, journaled=bool(self._journal.commands_of(run.id)), now=now):
                log.warning("run %s: the claim arrived late; nothing moved, it waits again", run.name)
                text = f"the claim by unit {self._unit} arrived after it was given up; nothing moved"
                await self._link.put_back(run.id, {"type": "SCHEDULED", "name": "AwaitingRetry", "message": text})

    async def operation_of(self, deployment_id: str) -> str | None:
        """The operation that a deployment asks for; None if it asks for none of a device agent."""
        known = self._works.get(deployment_id)
        try:
            return (known or await self._link.work(deployment_id)).operation
        except PrefectRefused:
            return None

    async def first_that_asks_for(self, operations: Collection[str]) -> DueRun | None:
        """The most urgent due run of one of these operations. Raises `PrefectAway`."""
        for run in await self._link.due_runs(MOST_RUNS):
            if run.deployment_id is not None and await self.operation_of(run.deployment_id) in operations:
                return run
        return None

    async def watch(self, run_id: str, cancelled: Callable[[], None], woken: asyncio.Event) -> None:
        """Call `cancelled` once somebody asks for the run to be cancelled. Runs until it is cancelled itself."""
        while True:
            try:
                if await self._link.state_type(run_id) in ("CANCELLING", "CANCELLED"):
                    cancelled()
                    return
            except (PrefectAway, PrefectRefused) as error:
                log.debug("cannot look at run %s now: %s", run_id, error)
            woken.clear()
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await woken.wait()
            except TimeoutError:
                continue

    async def keep_lease(self, lease_id: str) -> None:
        """Keep the deployment's concurrency slot while the run is under way. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._link.renew_lease(lease_id, LEASE_SECONDS)
            except (PrefectAway, PrefectRefused) as error:
                log.warning("the concurrency slot of the run could not be renewed: %s", error)

    async def _report(self, run_id: str, conclusion: Conclusion) -> None:
        """Tell Prefect one end. Raises `PrefectAway`; what is refused, or noted in vain, is told again later."""
        try:
            await self._link.conclude(run_id, conclusion)
            self._journal.reported(run_id)
        except (PrefectRefused, JournalError) as error:
            log.warning("the end of run %s, %s, could not be reported: %s", run_id, conclusion.name, error)

    async def _settled(
        self, run_id: str, transition: str, propose: Callable[[str, str, str], Awaitable[Proposal]]
    ) -> Proposal:
        """Propose a state; where the answer is lost, look whether it took effect, for as long as that takes."""
        unanswered = False
        while True:
            refused: Proposal | None = None
            try:
                proposal = await propose(run_id, transition, self._unit)
                if proposal.accepted or not unanswered:
                    return proposal
                # Perhaps only because the one before, long on its way, was accepted meanwhile.
                refused = proposal
            except PrefectAway as error:
                log.warning("no answer to a proposal for run %s: %s", run_id, error)
                unanswered = True
            settled = await self._look_up(run_id, transition) or refused
            if settled is not None:
                return settled

    async def _look_up(self, run_id: str, transition: str) -> Proposal | None:
        """What became of a proposal; None if it never arrived and may be made again."""
        while True:
            await asyncio.sleep(AWAY_SECONDS)
            try:
                state = await self._link.state_of(run_id)
            except PrefectAway:
                continue
            if state is None:
                return Proposal(False, "", "the run is gone")
            arrived = transition in state.transition_ids
            if arrived and state.type in ("PENDING", "RUNNING"):
                return Proposal(True, state.type, "accepted")
            if not arrived and state.type in ("SCHEDULED", "PENDING"):
                return None
            return Proposal(False, state.type, f"the run is {state.type.lower()}", gone_on=arrived)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask Prefect until it answers."""
        while True:
            try:
                return await ask()
            except PrefectAway as error:
                log.info("%s; asking again", error)
                await asyncio.sleep(AWAY_SECONDS)

    async def _work(self, run: DueRun) -> Work:
        """What the run's deployment asks for; remembered by the version that the run was created from."""
        if run.deployment_id is None:
            raise PrefectRefused(422, "the run belongs to no deployment, so nothing says which operation is wanted")
        known = self._works.get(run.deployment_id)
        if known is None or known.version is None or known.version != run.deployment_version:
            known = await self._link.work(run.deployment_id)
            self._works[run.deployment_id] = known
        return known


def claim_is_lost(run: ClaimedRun, *, mine: Collection[str], journaled: bool, now: datetime) -> bool:
    """Whether a run that Prefect holds for claimed by this unit is one that the unit knows nothing of."""
    old = now - run.since > timedelta(seconds=LOST_CLAIM_SECONDS)
    return run.state_type == "PENDING" and old and run.id not in mine and not journaled


def _ended_before(reason: str) -> Conclusion:
    return Conclusion("CANCELLED", "Cancelled", f"ended before anything moved: {reason}")


async def _dropped(task: asyncio.Task[Any]) -> None:
    """End a task whose result nobody needs any more."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
