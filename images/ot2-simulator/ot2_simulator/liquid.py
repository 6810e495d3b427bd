"""Liquids in wells and in tips: amounts by name, in µL. Pure arithmetic.

In a well everything is mixed. In a tip the last that came in is the first that goes out (plug flow), air included: that
is how an air gap works.
"""

from __future__ import annotations

from collections.abc import Mapping

AIR = "air"
NOTHING = 1e-9


class Mixture:
    """µL of each liquid, mixed."""

    def __init__(self, parts: Mapping[str, float] | None = None) -> None:
        self.parts: dict[str, float] = dict(parts or {})

    @property
    def volume(self) -> float:
        """All of it, in µL."""
        return sum(self.parts.values())

    def add(self, other: Mixture) -> None:
        """Pour in the liquids of another mixture; air does not stay in a well."""
        for name, amount in other.parts.items():
            if name != AIR:
                self.parts[name] = self.parts.get(name, 0.0) + amount

    def take(self, volume: float) -> Mixture:
        """Take this many µL out, each part by its share. The caller makes sure that there is enough."""
        whole = self.volume
        if volume <= 0 or whole <= NOTHING:
            return Mixture()
        share = min(1.0, volume / whole)
        taken = {name: amount * share for name, amount in self.parts.items()}
        rest = {name: amount - taken[name] for name, amount in self.parts.items()}
        self.parts = {name: amount for name, amount in rest.items() if amount > NOTHING}
        return Mixture(taken)

    def as_json(self) -> dict[str, float]:
        """``{liquid: µL}``."""
        return {name: round(amount, 4) for name, amount in sorted(self.parts.items())}


class Column:
    """What stands in a pipette, from the plunger down; for several nozzles, all of them together."""

    def __init__(self) -> None:
        self._plugs: list[Mixture] = []

    @property
    def liquid(self) -> float:
        """µL of liquid."""
        return sum(plug.volume - plug.parts.get(AIR, 0.0) for plug in self._plugs)

    @property
    def air(self) -> float:
        """µL of air that was drawn in."""
        return sum(plug.parts.get(AIR, 0.0) for plug in self._plugs)

    def draw(self, plug: Mixture) -> None:
        """Draw a plug in at the tip's end."""
        if plug.volume > NOTHING:
            self._plugs.append(plug)

    def push(self, volume: float) -> Mixture:
        """Push this many µL out at the tip's end; what is missing is nothing."""
        out = Mixture()
        left = volume
        while left > NOTHING and self._plugs:
            last = self._plugs[-1]
            part = last.take(min(left, last.volume))
            left -= part.volume
            for name, amount in part.parts.items():
                out.parts[name] = out.parts.get(name, 0.0) + amount
            if last.volume <= NOTHING:
                self._plugs.pop()
        return out

    def as_json(self) -> list[dict[str, float]]:
        """The plugs, from the plunger to the tip's end."""
        return [plug.as_json() for plug in self._plugs]
