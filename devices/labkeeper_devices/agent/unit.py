"""What a unit is doing and whether it may begin something: pure decisions from what is the case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from labkeeper_api.kinds.labdevice import UnitState


@dataclass(frozen=True)
class Situation:
    """All that decides the state of a unit.

    `unknown` describes commands whose outcome nobody knows; `stopped` says who engaged the emergency stop and why;
    `fault` why the hardware cannot be used now, and `fault_reported` that it says so itself, over a connection that is
    sound; `busy_with` the run of Prefect under way, `held_for` what a reservation is for, `command` what its holder has
    carried out now. `journal_unproven`: the journal is new, and Prefect was not asked yet whether the unit had another
    one; `keeper`: who knows which journal the unit should have.
    """

    connected: bool = False
    unknown: tuple[str, ...] = ()
    journal_lost: bool = False
    journal_unproven: bool = False
    stopped: str | None = None
    fault: str | None = None
    fault_reported: bool = False
    busy_with: str | None = None
    held_for: str | None = None
    command: str | None = None
    draining: bool = False
    keeper: str = "Prefect"

    @property
    def under_way(self) -> str | None:
        """What the hardware is busy with now."""
        return self.busy_with or self.command

    @property
    def state(self) -> UnitState:
        """The state that a person reads; the gravest reason wins."""
        if self.stopped is not None:
            return UnitState.STOPPED
        if self.unknown or self.journal_lost:
            return UnitState.HELD
        if self.under_way is not None:
            return UnitState.BUSY
        if self.fault is not None or not self.connected or self.journal_unproven:
            return UnitState.FAULTED
        return UnitState.IDLE if self.held_for is None else UnitState.BUSY

    @property
    def reason(self) -> str:
        """Why, in a sentence for a person."""
        if self.stopped is not None:
            return f"emergency stop: {self.stopped}; release it with `labkeeper device release`"
        if self.unknown:
            what = "; ".join(self.unknown)
            return f"nobody knows how {what} ended; look at the hardware, then `labkeeper device acknowledge`"
        if self.journal_lost:
            return (
                f"the journal that {self.keeper} knows of is gone, so nobody knows what was under way; look at the "
                "hardware, then `labkeeper device acknowledge`"
            )
        if self.busy_with is not None:
            return f"carries out run {self.busy_with}"
        if self.command is not None:
            # Not which command: what is published would have to be written anew for each.
            return f"held for {self.held_for or 'a run'}"
        if self.fault is not None:
            return self.fault
        if not self.connected:
            return "is not connected"
        if self.journal_unproven:
            return "its journal is new: waits for Prefect to say whether the unit had another one"
        return "waits for runs" if self.held_for is None else f"held for {self.held_for}"

    @property
    def may_claim(self) -> bool:
        """Whether a new run may be taken."""
        return self.state is UnitState.IDLE and not self.draining

    @property
    def may_mend(self) -> bool:
        """Whether a run may be taken that clears what the hardware reports."""
        sound = self.fault_reported and self.connected and not self.journal_unproven
        return self.state is UnitState.FAULTED and sound and self.held_for is None and not self.draining

    def against(self, *, mending: bool) -> str | None:
        """Why the holder's next command must not begin; None if it may. `mending`: it clears what is reported."""
        if self.draining:
            return "the agent is being shut down"
        free = self.with_(held_for=None)
        return None if free.may_claim or (mending and free.may_mend) else free.reason

    @property
    def may_energize(self) -> bool:
        """Whether connecting may turn the torque on."""
        return self.stopped is None and not self.unknown and not self.journal_lost and not self.journal_unproven

    def with_(self, **changes: Any) -> Situation:
        """The situation with some of it changed."""
        return replace(self, **changes)
