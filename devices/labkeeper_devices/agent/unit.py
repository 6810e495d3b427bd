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
    sound; `busy_with` the run under way. `journal_unproven`: the journal is new, and Prefect was not asked yet whether
    the unit had another one.
    """

    connected: bool = False
    unknown: tuple[str, ...] = ()
    journal_lost: bool = False
    journal_unproven: bool = False
    stopped: str | None = None
    fault: str | None = None
    fault_reported: bool = False
    busy_with: str | None = None
    draining: bool = False

    @property
    def state(self) -> UnitState:
        """The state that a person reads; the gravest reason wins."""
        if self.stopped is not None:
            return UnitState.STOPPED
        if self.unknown or self.journal_lost:
            return UnitState.HELD
        if self.busy_with is not None:
            return UnitState.BUSY
        if self.fault is not None or not self.connected or self.journal_unproven:
            return UnitState.FAULTED
        return UnitState.IDLE

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
                "the journal that Prefect knows of is gone, so nobody knows what was under way; look at the hardware, "
                "then `labkeeper device acknowledge`"
            )
        if self.busy_with is not None:
            return f"carries out run {self.busy_with}"
        if self.fault is not None:
            return self.fault
        if not self.connected:
            return "is not connected"
        if self.journal_unproven:
            return "its journal is new: waits for Prefect to say whether the unit had another one"
        return "waits for runs"

    @property
    def may_claim(self) -> bool:
        """Whether a new run may be taken."""
        return self.state is UnitState.IDLE and not self.draining

    @property
    def may_mend(self) -> bool:
        """Whether a run may be taken that clears what the hardware reports."""
        sound = self.fault_reported and self.connected and not self.journal_unproven
        return self.state is UnitState.FAULTED and sound and not self.draining

    @property
    def may_energize(self) -> bool:
        """Whether connecting may turn the torque on."""
        return self.stopped is None and not self.unknown and not self.journal_lost and not self.journal_unproven

    def with_(self, **changes: Any) -> Situation:
        """The situation with some of it changed."""
        return replace(self, **changes)
