"""The techniques on a simulated cell: each element as a stream of readings in its own time. Pure, with seeded noise.

Elements have the form of `labkeeper_api.operations.squidstat`. A stream is asked for no more readings once the element
ends early; the cell then stands where the last reading left it. Not for limits: those are the instrument's.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from labkeeper_devices.simulators.squidstat.cell import Cell

VOLT_NOISE: Final = 20e-6
AMPERE_NOISE: Final = 0.2e-6
IMPEDANCE_NOISE: Final = 0.001
LONGEST_STEP: Final = 0.25
SWEEP_STEP_V: Final = 0.002
"""V per step at most: a tenth of RT/F, so that peaks come out right."""
LEAST_PEIS_S: Final = 0.2
"""s per frequency at least."""
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Dc:
    """Time in the element (s), current (A), voltage (V). `kept`: it is a point of data, and not a step between."""

    at: float
    amperes: float
    volts: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Ac:
    """Time in the element (s), frequency (Hz), impedance (ohm), periods."""

    at: float
    hertz: float
    ohm: complex
    cycles: int

    def columns(self) -> tuple[float, ...]:
        """In the order of the columns of impedance data."""
        ohm = self.ohm
        degrees = math.degrees(cmath.phase(ohm))
        return self.at, self.hertz, abs(ohm), ohm.real, ohm.imag, degrees, float(self.cycles)


Reading = Dc | Ac


def readings(element: Mapping[str, Any], cell: Cell, noise: Random) -> Iterator[Reading]:
    """The readings of one element, oldest first."""
    match element["technique"]:
        case "OCV":
            return _ocv(element, cell, noise)
        case "CP":
            return _cp(element, cell, noise)
        case "PEIS":
            return _peis(element, cell, noise)
    return _sweep(element, cell, noise)


def duration(element: Mapping[str, Any]) -> float:
    """s that an element takes when nothing ends it early."""
    match element["technique"]:
        case "OCV":
            return float(element["duration_s"] + (element.get("settle_s") or 0.0))
        case "CP":
            return float(element["duration_s"])
        case "PEIS":
            return sum(cycles / hertz for hertz, cycles in frequencies(element))
    return _sweep_length(element) / float(element["scan_rate_v_s"])


def frequencies(element: Mapping[str, Any]) -> list[tuple[float, int]]:
    """(Hz, periods) of each point: both ends, evenly spaced on a logarithmic axis."""
    first, last = math.log10(element["start_hz"]), math.log10(element["end_hz"])
    steps = max(1, round(abs(first - last) * element["points_per_decade"])) if first != last else 0
    points = [10 ** (first + (last - first) * step / max(1, steps)) for step in range(steps + 1)]
    least = int(element.get("minimum_cycles") or 1)
    return [(hertz, max(least, math.ceil(hertz * LEAST_PEIS_S))) for hertz in points]


def _ocv(element: Mapping[str, Any], cell: Cell, noise: Random) -> Iterator[Reading]:
    settle = float(element.get("settle_s") or 0.0)
    for at, dt, _ in _times(settle, settle or 1.0, LONGEST_STEP):
        yield Dc(at, 0.0, cell.rest(dt) + noise.gauss(0, VOLT_NOISE), kept=False)
    for at, dt, kept in _times(float(element["duration_s"]), float(element["sample_interval_s"]), LONGEST_STEP):
        yield Dc(settle + at, noise.gauss(0, 1e-9), cell.rest(dt) + noise.gauss(0, VOLT_NOISE), kept)


def _cp(element: Mapping[str, Any], cell: Cell, noise: Random) -> Iterator[Reading]:
    amperes = float(element["current_a"])
    for at, dt, kept in _times(float(element["duration_s"]), float(element["sample_interval_s"]), LONGEST_STEP):
        volts = cell.drive(amperes, dt)
        yield Dc(at, amperes + noise.gauss(0, AMPERE_NOISE), volts + noise.gauss(0, VOLT_NOISE), kept)


def _sweep(element: Mapping[str, Any], cell: Cell, noise: Random) -> Iterator[Reading]:
    rate = float(element["scan_rate_v_s"])
    longest = min(LONGEST_STEP, SWEEP_STEP_V / rate)
    for at, dt, kept in _times(duration(element), float(element["sample_interval_s"]), longest):
        volts = potential(element, at)
        amperes = cell.hold(volts, dt)
        yield Dc(at, amperes + noise.gauss(0, AMPERE_NOISE), volts + noise.gauss(0, VOLT_NOISE), kept)


def potential(element: Mapping[str, Any], at: float) -> float:
    """V of a sweep at a time: there, and for CVA back again, as often as there are cycles."""
    start, end = float(element["start_v"]), float(element["end_v"])
    far = abs(end - start)
    passed = at * float(element["scan_rate_v_s"])
    if element["technique"] == "CVA":
        within = passed % (2 * far)
        passed = min(within, 2 * far - within)
    return start + math.copysign(min(passed, far), end - start)


def _sweep_length(element: Mapping[str, Any]) -> float:
    far = abs(float(element["end_v"]) - float(element["start_v"]))
    return far * 2 * int(element["cycles"]) if element["technique"] == "CVA" else far


def _peis(element: Mapping[str, Any], cell: Cell, noise: Random) -> Iterator[Reading]:
    bias = float(element.get("dc_bias_v") or 0.0)
    volts = bias + (cell.interface if element.get("bias_vs_ocp", True) else 0.0)
    at = 0.0
    for hertz, cycles in frequencies(element):
        length = cycles / hertz
        steps = math.ceil(length / LONGEST_STEP)
        for _ in range(steps):
            cell.hold(volts, length / steps)
        at += length
        ohm = cell.impedance(hertz)
        spread = complex(noise.gauss(1, IMPEDANCE_NOISE), noise.gauss(0, IMPEDANCE_NOISE))
        yield Ac(at, hertz, ohm * spread, cycles)


def _times(length: float, interval: float, longest: float) -> Iterator[tuple[float, float, bool]]:
    """(time at the end of a step, its length, whether it is a point): points every `interval` and at the end."""
    steps = max(1, math.ceil(min(interval, length) / longest - _SLACK))
    point, at = 0, 0.0
    while at < length - _SLACK:
        point += 1
        end = min(length, point * interval)
        begin = at
        for step in range(1, steps + 1):
            at = end if step == steps else begin + (end - begin) * step / steps
            yield at, (end - begin) / steps, step == steps
