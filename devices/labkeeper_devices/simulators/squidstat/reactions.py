"""The reactions at the simulated electrode: zinc that deposits and dissolves, and a dissolved redox couple. Pure.

Kinetics are Butler-Volmer with surface concentrations (Bard & Faulkner, 2nd ed., eq. 3.4.10 and 3.4.11); potentials in
V on the scale of the standard hydrogen electrode, currents in A, positive where they oxidise, on 1 cm2.

A step goes: `prepare(dt)`, then `current(volts)` as often as the cell asks, then `commit(amperes)`.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

from labkeeper_devices.simulators.squidstat.diffusion import Diffusion

FARADAY: Final = 96485.332
"""C/mol."""
F_RT: Final = FARADAY / (8.314462 * 298.15)
"""1/V at 25 degrees Celsius."""
ALPHA: Final = 0.5
STEEPEST: Final = 80.0
"""Exponents are cut here: the cell is far outside of every limit then."""


class Reaction(Protocol):
    """What the cell asks of a reaction."""

    def prepare(self, dt: float) -> None:
        """Begin a step of so many s."""

    def current(self, volts: float) -> float:
        """A at an interface potential at the step's end; grows with the potential."""

    def commit(self, amperes: float, dt: float) -> None:
        """End the step."""

    def impedance(self, volts: float, omega: float) -> complex | None:
        """Ohm for small signals at an angular frequency; None where it does not conduct."""


class Zinc:
    """Zn2+ + 2 e- = Zn on an inert electrode. What is deposited is all that can be dissolved.

    E0 = -0.762 V (CRC Handbook). Exchange current 2 mA/cm2 and 0.5 mol/L are of the order reported for zinc sulfate.
    """

    STANDARD: Final = -0.762
    EXCHANGE: Final = 2e-3
    BULK: Final = 5e-4
    MONOLAYER: Final = 1e-3
    """C; below this the electrode is covered in part only, and dissolves as slowly."""

    def __init__(self) -> None:
        self.ions = Diffusion(self.BULK)
        self.deposited = 0.0
        """C on the electrode."""
        self._p = self._q = 0.0
        self._dt = 1.0
        # The Nernst potential at the bulk concentration, 1 mol/L being 1e-3 mol/cm3.
        self.equilibrium = self.STANDARD + math.log(self.BULK / 1e-3) / (2 * F_RT)

    def prepare(self, dt: float) -> None:
        """Begin a step."""
        self._p, per_flux = self.ions.prepare(dt)
        self._q = per_flux / (2 * FARADAY)
        self._dt = dt

    def current(self, volts: float) -> float:
        """A; dissolving ends with the deposit. Both the ions and the deposit count as they are at the step's end."""
        dissolving, per_ion = self._rates(volts)
        limited = 1 + per_ion * self._q
        whole = (dissolving - per_ion * self._p) / limited
        if self.deposited - whole * self._dt >= self.MONOLAYER:
            return whole
        per_coulomb = dissolving / self.MONOLAYER
        return (per_coulomb * self.deposited - per_ion * self._p) / (limited + per_coulomb * self._dt)

    def commit(self, amperes: float, dt: float) -> None:
        """End the step."""
        self.ions.commit(amperes / (2 * FARADAY))
        self.deposited = max(0.0, self.deposited - amperes * dt)

    def impedance(self, volts: float, omega: float) -> complex | None:
        """Charge transfer resistance and Warburg impedance (Bard & Faulkner, 2nd ed., section 10.2 and 10.3)."""
        dissolving, per_ion = self._rates(volts)
        covered = min(1.0, self.deposited / self.MONOLAYER)
        by_volt = 2 * F_RT * ((1 - ALPHA) * dissolving * covered + ALPHA * per_ion * self.ions.surface)
        return _with_warburg(by_volt, per_ion, 2, self.ions.coefficient, omega)

    def _rates(self, volts: float) -> tuple[float, float]:
        """A of dissolving where the electrode is covered, and A per surface concentration of depositing."""
        over = _cut(2 * F_RT * (volts - self.equilibrium))
        return (
            self.EXCHANGE * math.exp((1 - ALPHA) * over),
            self.EXCHANGE / self.BULK * math.exp(-ALPHA * over),
        )


class Couple:
    """A dissolved couple O + e- = R, of which only R is there at first: quasi-reversible peaks, like ferrocyanide.

    2 mmol/L, E0 = 0.10 V, k0 = 0.02 cm/s, equal diffusion coefficients, so that O and R add up everywhere.
    """

    STANDARD: Final = 0.10
    TOTAL: Final = 2e-6
    RATE: Final = 0.02

    def __init__(self) -> None:
        self.oxidised = Diffusion(0.0)
        self._p = self._q = 0.0

    def prepare(self, dt: float) -> None:
        """Begin a step."""
        self._p, per_flux = self.oxidised.prepare(dt)
        self._q = per_flux / FARADAY

    def current(self, volts: float) -> float:
        """A."""
        forward, both = self._rates(volts)
        return (forward * self.TOTAL - both * self._p) / (1 + both * self._q)

    def commit(self, amperes: float, dt: float) -> None:  # noqa: ARG002 - nothing but the solution remembers
        """End the step."""
        self.oxidised.commit(amperes / FARADAY)

    def impedance(self, volts: float, omega: float) -> complex | None:
        """As for `Zinc`."""
        forward, both = self._rates(volts)
        surface = self.oxidised.surface
        by_volt = F_RT * ((1 - ALPHA) * forward * (self.TOTAL - surface) + ALPHA * (both - forward) * surface)
        return _with_warburg(by_volt, both, 1, self.oxidised.coefficient, omega)

    def _rates(self, volts: float) -> tuple[float, float]:
        """A per concentration of R, and the sum of this and A per concentration of O."""
        over = _cut(F_RT * (volts - self.STANDARD))
        scale = FARADAY * self.RATE
        forward = scale * math.exp((1 - ALPHA) * over)
        return forward, forward + scale * math.exp(-ALPHA * over)


def _cut(exponent: float) -> float:
    return max(-STEEPEST, min(STEEPEST, exponent))


def _with_warburg(by_volt: float, by_ion: float, electrons: int, coefficient: float, omega: float) -> complex | None:
    """Small signals: di = by_volt·dE - by_ion·dc, where dc = di / (n·F·sqrt(j·omega·D)) for a deep solution."""
    if by_volt <= 0:
        return None
    per_current = 1 / (electrons * FARADAY * (1j * omega * coefficient) ** 0.5)
    return (1 + by_ion * per_current) / by_volt
