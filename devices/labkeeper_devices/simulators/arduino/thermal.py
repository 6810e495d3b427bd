"""The temperature of a heated base as a function of time. Pure: no clock, no steps.

A base of one thermal mass loses heat to its surroundings: tau·dT/dt = ambient + gain·duty - T (Newton's law of cooling;
any textbook on heat transfer, lumped capacitance). The controller is ideal: full power below the setpoint, none above,
and exactly what it takes at the setpoint. So the temperature is an exponential until it meets the setpoint, and then
constant. Temperatures in degrees Celsius, times in s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

AMBIENT = 22.0
TAU = 200.0
"""s, as of a small metal block in air."""
GAIN = 90.0
"""K above the surroundings where full power ends."""


@dataclass(frozen=True)
class Segment:
    """From `began` on nothing was changed. `setpoint` None: off; `runaway`: the heater is on whatever it is told."""

    began: float
    celsius: float
    setpoint: float | None = None
    runaway: bool = False

    def at(self, now: float) -> float:
        """The temperature at a time not before `began`."""
        if self.runaway:
            return self._towards(AMBIENT + GAIN, now)
        if self.setpoint is None:
            return self._towards(AMBIENT, now)
        if self.celsius <= self.setpoint:
            return min(self.setpoint, self._towards(AMBIENT + GAIN, now))
        return max(self.setpoint, self._towards(AMBIENT, now))

    def _towards(self, end: float, now: float) -> float:
        return end + (self.celsius - end) * math.exp(-(now - self.began) / TAU)


class Base:
    """One base and its past."""

    def __init__(self, now: float) -> None:
        self._segments = [Segment(now, AMBIENT)]
        self.broken = False
        """Whether its thermometer is."""

    @property
    def setpoint(self) -> float | None:
        """What it is held at; None when its heater is off."""
        return self._segments[-1].setpoint

    def at(self, now: float) -> float:
        """Its true temperature."""
        return self._segments[-1].at(now)

    def hold(self, celsius: float | None, now: float) -> None:
        """Hold it at a temperature from now on; None turns the heater off."""
        self._segments.append(replace(self._now(now), setpoint=celsius))

    def run_away(self, now: float, *, on: bool) -> None:
        """Weld its relay, or mend it."""
        self._segments.append(replace(self._now(now), runaway=on))

    def warm(self, celsius: float, now: float) -> None:
        """Bring it to a temperature as if by a flame."""
        self._segments.append(replace(self._now(now), celsius=celsius))

    def history(self, now: float, interval: float) -> list[tuple[float, float]]:
        """(time, temperature) from the beginning until now, every `interval` s."""
        began = self._segments[0].began
        found = []
        for step in range(int((now - began) / interval) + 1):
            at = began + step * interval
            segment = next(one for one in reversed(self._segments) if one.began <= at)
            found.append((at, segment.at(at)))
        return found

    def _now(self, now: float) -> Segment:
        """What would go on if nothing were changed now."""
        last = self._segments[-1]
        return replace(last, began=now, celsius=last.at(now))
