"""What an agent does about the past before it claims anything: whose journal it has, and what became of old runs.

Decisions are `recovery`'s; here Prefect is asked and the journal written. Moves nothing.
"""

from __future__ import annotations

import logging

from labkeeper_devices.agent import recovery
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.prefect_link import PrefectLink
from labkeeper_devices.agent.records import Conclusion

log = logging.getLogger(__name__)


def journal_variable(unit: str) -> str:
    """Name of the Prefect variable that remembers which journal the unit has."""
    return "labkeeper_journal_" + "".join(c if c.isalnum() else "_" for c in unit.lower())


async def know_journal(link: PrefectLink, journal: Journal, unit: str, *, adopt: bool) -> bool:
    """Whether the journal is the one that Prefect knows of. `adopt`: it is from now on. Raises `PrefectAway`."""
    name = journal_variable(unit)
    known = await link.variable(name)
    if known is None or adopt:
        await link.set_variable(name, journal.journal_id)
    elif known != journal.journal_id:
        return False
    journal.prove()
    return True


async def end_what_a_lost_journal_knew(link: PrefectLink, unit: str, note: str) -> None:
    """Say in Prefect that nobody knows what became of the runs that the unit had. Raises `PrefectAway`."""
    text = (
        f"the journal of unit {unit} is gone, and nobody knows what this run did. The unit is Held until a person "
        "looks and says so: labkeeper device acknowledge"
    )
    for run in await link.runs_of_unit(unit):
        await link.conclude(run.id, Conclusion("CRASHED", "Crashed", text).noted(note))


async def end_what_was_left(link: PrefectLink, journal: Journal, note: str) -> None:
    """Conclude in the journal what an earlier agent claimed and did not end. Raises `PrefectAway`."""
    for run in journal.unreported():
        state = await link.state_of(run.run_id)
        decision = recovery.decide(
            run,
            journal.commands_of(run.run_id),
            state_type=state.type if state else None,
            transition_ids=state.transition_ids if state else frozenset(),
        )
        if isinstance(decision, recovery.Forget):
            journal.unclaim(run.run_id)
        else:
            log.warning("run %s of an earlier agent: %s", run.name, decision.conclusion.message)
            journal.conclude(run.run_id, decision.conclusion.noted(note))
