"""The simulated cell: reactions, double layer and ohmic drop under a given current, a given voltage or neither. Pure.

The circuit is that of Randles with the reactions themselves in place of its resistor: the double layer beside the
reactions and a leak to the rest potential, all behind the solution's resistance (Bard & Faulkner, 2nd ed., section
10.1.3). Each step solves for the interface's potential E at its end, where

    sum of reactions(E) + C·(E - E_before)/dt + (E - E_rest)/R_leak = current through the cell.

The left side grows with E, so there is one solution. V, A, s, ohm, F; 1 cm2.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Final

from labkeeper_devices.simulators.squidstat.reactions import Couple, Reaction, Zinc

SOLUTION: Final = 5.0
"""Ohm between reference and working electrode."""
COUNTER: Final = 15.0
"""Ohm more where the counter electrode is the reference."""
DOUBLE_LAYER: Final = 40e-6
REST: Final = 0.0
LEAK: Final = 20_000.0
FARTHEST: Final = 100.0
"""V within which a solution is sought."""
NEAR: Final = 1e-9
STRIDE: Final = 0.05


class Cell:
    """One cell. Its state is what the reactions and the interface remember; everything measured changes it."""

    def __init__(self) -> None:
        self.zinc = Zinc()
        self.couple = Couple()
        self._reactions: tuple[Reaction, ...] = (self.zinc, self.couple)
        self.interface = REST
        self.resistance = SOLUTION
        self.charge = 0.0
        """C that went through it, oxidation positive."""

    def use_reference(self, *, own: bool) -> None:
        """Whether the voltage is measured against an electrode of its own or against the counter electrode."""
        self.resistance = SOLUTION + (0.0 if own else COUNTER)

    def drive(self, amperes: float, dt: float) -> float:
        """Let a current flow for a step; the voltage at its end."""
        self._step(dt, lambda _: amperes)
        self.charge += amperes * dt
        return self.interface + amperes * self.resistance

    def rest(self, dt: float) -> float:
        """Leave it alone for a step; its open circuit voltage."""
        return self.drive(0.0, dt)

    def hold(self, volts: float, dt: float) -> float:
        """Keep a voltage for a step; the current at its end."""
        self._step(dt, lambda interface: (volts - interface) / self.resistance)
        amperes = (volts - self.interface) / self.resistance
        self.charge += amperes * dt
        return amperes

    def impedance(self, hertz: float) -> complex:
        """Ohm for small signals around where it stands now."""
        omega = 2 * math.pi * hertz
        admittance = 1j * omega * DOUBLE_LAYER + 1 / LEAK
        for reaction in self._reactions:
            found = reaction.impedance(self.interface, omega)
            if found is not None and cmath.isfinite(found):
                admittance += 1 / found
        return self.resistance + 1 / admittance

    def _step(self, dt: float, through: Callable[[float], float]) -> None:
        for reaction in self._reactions:
            reaction.prepare(dt)
        before = self.interface

        def excess(volts: float) -> float:
            own = DOUBLE_LAYER * (volts - before) / dt + (volts - REST) / LEAK - through(volts)
            return own + sum(reaction.current(volts) for reaction in self._reactions)

        self.interface = root(excess, before)
        for reaction in self._reactions:
            reaction.commit(reaction.current(self.interface), dt)


def root(growing: Callable[[float], float], guess: float) -> float:
    """Where a function that grows passes zero: secants from the guess on, bisection where they do not get there."""
    left, right = guess, guess + 1e-4
    at_left, at_right = growing(left), growing(right)
    for _ in range(12):
        if at_right == at_left:
            break
        step = -at_right * (right - left) / (at_right - at_left)
        left, at_left = right, at_right
        right += max(-STRIDE, min(STRIDE, step))
        if abs(right - left) < NEAR:
            return right
        at_right = growing(right)
    return _bisected(growing, guess)


def _bisected(growing: Callable[[float], float], guess: float) -> float:
    width = STRIDE
    while width < FARTHEST and growing(guess - width) > 0:
        width *= 2
    low = guess - width
    width = STRIDE
    while width < FARTHEST and growing(guess + width) < 0:
        width *= 2
    high = guess + width
    while high - low > NEAR:
        middle = (low + high) / 2
        if growing(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
