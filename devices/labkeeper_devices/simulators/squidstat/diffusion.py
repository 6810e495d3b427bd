"""Diffusion of one dissolved species to a planar electrode through a layer of still solution. Pure.

Fick's second law in one dimension, dc/dt = D·d2c/dx2, with the flux at the electrode given and the bulk
concentration at the layer's far side (Bard & Faulkner, Electrochemical Methods, 2nd ed., chapter 4 and appendix B).
Finite volumes whose width grows away from the electrode, implicit Euler, so any step is stable. Units: cm, s, mol/cm3.

An implicit step is linear in the flux, so before it is known, the surface concentration is c = p + q·flux: that is what
kinetics need. `prepare` gives p and q, `commit` takes the flux.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

FIRST_WIDTH: Final = 1e-4
GROWTH: Final = 1.2
KEPT_STEPS: Final = 16


@dataclass(frozen=True)
class _Factors:
    """The tridiagonal matrix of one time step, eliminated (Thomas algorithm), and the answer to a flux of one."""

    lower: list[float]
    scale: list[float]
    upper: list[float]
    bulk: float
    unit: list[float]


class Diffusion:
    """One species. `thickness` of the layer in cm, `coefficient` in cm2/s."""

    def __init__(self, bulk: float, coefficient: float = 7e-6, thickness: float = 0.05) -> None:
        self.coefficient = coefficient
        self._bulk = bulk
        self._widths = _widths(thickness)
        self._links = _links(self._widths, coefficient)
        self._factors: dict[float, _Factors] = {}
        self._without_flux: list[float] = []
        self._now = _Factors([], [], [], 0.0, [])
        self.concentrations = [bulk] * len(self._widths)
        self.surface = bulk

    def prepare(self, dt: float) -> tuple[float, float]:
        """(p, q) of the surface concentration after a step of `dt`; nothing is changed yet."""
        self._now = self._of(dt)
        self._without_flux = self._solve(self.concentrations, self._bulk * self._now.bulk)
        return self._without_flux[0], self._now.unit[0] + self._widths[0] / (2 * self.coefficient)

    def commit(self, flux: float) -> None:
        """Take the prepared step with a flux into the solution in mol/(cm2·s)."""
        self.concentrations = [
            value + flux * unit for value, unit in zip(self._without_flux, self._now.unit, strict=True)
        ]
        self.surface = self.concentrations[0] + flux * self._widths[0] / (2 * self.coefficient)

    def _of(self, dt: float) -> _Factors:
        if dt not in self._factors:
            if len(self._factors) >= KEPT_STEPS:
                self._factors.clear()
            self._factors[dt] = self._eliminated(dt)
        return self._factors[dt]

    def _eliminated(self, dt: float) -> _Factors:
        widths, links, count = self._widths, self._links, len(self._widths)
        lower = [-dt / widths[j] * links[j] if j else 0.0 for j in range(count)]
        upper = [-dt / widths[j] * links[j + 1] for j in range(count)]
        diagonal = [1 - lower[j] - upper[j] for j in range(count)]
        bulk, upper[-1] = -upper[-1], 0.0
        scale: list[float] = []
        eliminated: list[float] = []
        for j in range(count):
            scale.append(1 / (diagonal[j] - (lower[j] * eliminated[j - 1] if j else 0.0)))
            eliminated.append(upper[j] * scale[j])
        self._now = _Factors(lower, scale, eliminated, bulk, [])
        unit = self._solve([dt / widths[0], *[0.0] * (count - 1)], 0.0)
        return _Factors(lower, scale, eliminated, bulk, unit)

    def _solve(self, right: list[float], last: float) -> list[float]:
        """Forward and back, with `last` added to the right side's last row."""
        lower, scale, upper = self._now.lower, self._now.scale, self._now.upper
        found: list[float] = []
        before = 0.0
        end = len(right) - 1
        for j, value in enumerate(right):
            before = ((value + last if j == end else value) - lower[j] * before) * scale[j]
            found.append(before)
        for j in range(end - 1, -1, -1):
            found[j] -= upper[j] * found[j + 1]
        return found


def _widths(thickness: float) -> list[float]:
    count = math.ceil(math.log(1 + thickness / FIRST_WIDTH * (GROWTH - 1)) / math.log(GROWTH))
    widths = [FIRST_WIDTH * GROWTH**j for j in range(count)]
    stretch = thickness / sum(widths)
    return [width * stretch for width in widths]


def _links(widths: list[float], coefficient: float) -> list[float]:
    """D over the distance between neighbours' middles; the last one leads to the bulk."""
    inner = [2 * coefficient / (one + other) for one, other in itertools.pairwise(widths)]
    return [0.0, *inner, 2 * coefficient / widths[-1]]
