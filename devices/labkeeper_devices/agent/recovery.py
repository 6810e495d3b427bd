"""What becomes of runs that an earlier agent of this unit left behind. Pure.

Prefect alone would leave such a run in Pending or Running for ever (measured), so the next agent says how it ended. A
run is never started again: either the journal knows its end, or a person has to look.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkeeper_devices.agent.records import Command, Conclusion, JournaledRun


@dataclass(frozen=True)
class Report:
    """Tell Prefect this end of the run."""

    conclusion: Conclusion


@dataclass(frozen=True)
class Forget:
    """The run was never ours: another agent has it, or it still waits for one."""


def decide(
    run: JournaledRun,
    commands: list[Command],
    *,
    state_type: str | None,
    transition_ids: frozenset[str],
) -> Report | Forget:
    """What to do about a run that Prefect was not told the end of.

    `state_type` is the run's present state in Prefect (None: the run is gone), `transition_ids` those of its states.
    """
    if run.conclusion is not None:
        return Report(run.conclusion)
    # A run that was tried again has commands of its first time: they do not make this claim ours.
    begun = any(command.begun_at >= run.claimed_at for command in commands)
    if state_type is None or (run.transition_id not in transition_ids and not begun):
        return Forget()
    open_commands = [command for command in commands if command.outcome is None]
    if open_commands:
        what = "; ".join(command.described() for command in open_commands)
        return Report(
            Conclusion(
                "CRASHED",
                "Crashed",
                f"the agent died while it carried out {what}, and nobody knows how that ended. The unit is Held until "
                "a person looks and says so: labkeeper device acknowledge",
            )
        )
    if not commands:
        text = "the agent died before the first command: nothing moved. Start a new run"
        return Report(Conclusion("CRASHED", "Crashed", text))
    if not commands[-1].key.node:
        # Programs name the places of their commands; a command without one is all that the run asked for.
        return Report(_end_of(commands[-1]))
    last = commands[-1]
    text = (
        f"the agent died after command {last.described()} had ended {last.outcome}; what was to follow was not begun, "
        "and nothing is unknown. Start a new run"
    )
    return Report(Conclusion("CRASHED", "Crashed", text))


def _end_of(command: Command) -> Conclusion:
    """The end of a run that is this one command: the journal has it, only Prefect was not told."""
    if command.outcome == "succeeded":
        return Conclusion("COMPLETED", "Completed", "reported after a restart of the agent", command.result)
    if command.outcome == "acknowledged":
        return Conclusion("CRASHED", "Crashed", f"the agent died during the run; {command.message}")
    return Conclusion("FAILED", "Failed", f"command {command.described()} {command.outcome}: {command.message}")
