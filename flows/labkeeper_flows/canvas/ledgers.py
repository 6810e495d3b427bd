"""What a plan uses up: tips per rack, and liquid per well. Keeping it from run to run is the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class TipLedger:
    """Which tips of which rack are gone. Racks are named as on the deck; wells row by row (facts 1.6)."""

    def __init__(self, used: Mapping[str, Iterable[str]] | None = None) -> None:
        self._used: dict[str, dict[str, None]] = {rack: dict.fromkeys(wells) for rack, wells in (used or {}).items()}

    def take(self, rack: str, wells: tuple[str, ...], first: int = 1) -> str | None:
        """The next tip from number `first` (1..96) on, now used; None when the rack is empty from there on."""
        used = self._used.setdefault(rack, {})
        found = next((well for well in wells[first - 1 :] if well not in used), None)
        if found is not None:
            used[found] = None
        return found

    def take_at(self, rack: str, well: str) -> bool:
        """That very tip, now used; False if it is gone already."""
        used = self._used.setdefault(rack, {})
        if well in used:
            return False
        used[well] = None
        return True

    def left(self, rack: str, wells: tuple[str, ...], first: int = 1) -> int:
        """How many tips there still are from number `first` on."""
        used = self._used.get(rack, {})
        return sum(well not in used for well in wells[first - 1 :])

    def used(self) -> dict[str, tuple[str, ...]]:
        """Rack -> tips that are gone, in the order in which they went; to be kept and handed in again."""
        return {rack: tuple(wells) for rack, wells in self._used.items() if wells}

    def copy(self) -> TipLedger:
        """An independent ledger with the same tips gone."""
        return TipLedger(self._used)


@dataclass
class LiquidLedger:
    """Between which volumes (µL) each well can be. What nobody has said lies between nothing and the capacity.

    Bounds instead of guesses: a plan is refused only when it cannot work whatever the wells held before.
    """

    bounds: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, contents: Mapping[str, Mapping[str, float]] | None) -> LiquidLedger:
        """From known contents: labware -> well -> µL."""
        known = {
            (labware, well): (volume, volume)
            for labware, wells in (contents or {}).items()
            for well, volume in wells.items()
        }
        return cls(known)

    def take(self, labware: str, well: str, volume: float, capacity: float | None) -> float | None:
        """Take `volume` out by pipette. None, or how much there can be at most when that is too little."""
        low, high = self._of(labware, well, capacity)
        if volume > high + 1e-6:
            return high
        self.bounds[labware, well] = (max(0.0, low - volume), high - volume)
        return None

    def drain(self, labware: str, well: str, volume: float, capacity: float | None) -> None:
        """Pump up to `volume` out: a pump on an empty cell draws air, which is how a cell is emptied."""
        low, high = self._of(labware, well, capacity)
        self.bounds[labware, well] = (max(0.0, low - volume), max(0.0, high - volume))

    def put(self, labware: str, well: str, volume: float, capacity: float | None) -> float | None:
        """Put `volume` in. None, or how much there must at least be afterwards when that is more than the capacity."""
        low, high = self._of(labware, well, capacity)
        if capacity is not None and low + volume > capacity + 1e-6:
            return low + volume
        most = high + volume if capacity is None else min(capacity, high + volume)
        self.bounds[labware, well] = (low + volume, most)
        return None

    def at_least(self, labware: str, well: str) -> float:
        """How much is in there for certain."""
        return self.bounds.get((labware, well), (0.0, 0.0))[0]

    def copy(self) -> LiquidLedger:
        """An independent ledger with the same bounds."""
        return LiquidLedger(dict(self.bounds))

    def _of(self, labware: str, well: str, capacity: float | None) -> tuple[float, float]:
        return self.bounds.get((labware, well), (0.0, float("inf") if capacity is None else capacity))
