"""Who has a unit to itself, and for how long after its last word. Pure: time is passed in, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labkeeper_api.unit_calls import LEASE_SECONDS


@dataclass(frozen=True)
class Reservation:
    """One holder, `heard` of last at that time. `name` says for people what the unit is held for."""

    holder: str
    name: str
    heard: float

    @property
    def described(self) -> str:
        """For a person: `canvas Zinc (run 4f3...)`."""
        return f"{self.name} (run {self.holder})"

    def seconds_left(self, now: float) -> float:
        """How long it still outlives the holder's last word."""
        return max(0.0, self.heard + LEASE_SECONDS - now)

    def renewed(self, now: float) -> Reservation:
        """The holder was heard of."""
        return replace(self, heard=now)


def current(reservation: Reservation | None, now: float, *, under_way: bool) -> Reservation | None:
    """The reservation if it holds: while its holder's command is under way it does, however long that takes."""
    if reservation is None or under_way or reservation.seconds_left(now) > 0:
        return reservation
    return None


def against(reservation: Reservation | None, holder: str, *, doing: str | None, claiming: bool) -> str | None:
    """Why that holder cannot have the unit now; None if it can. `doing` is what is under way.

    `claiming`: a run is being taken from Prefect, so that it is not known yet whether there is one.
    """
    if reservation is not None:
        return None if reservation.holder == holder else f"it is held for {reservation.described}"
    if doing is not None:
        return f"it carries out {doing}"
    return "it is just taking a run from Prefect" if claiming else None
