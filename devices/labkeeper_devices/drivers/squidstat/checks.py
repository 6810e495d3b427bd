"""What is wrong with the parameters of an operation for one potentiostat, and how long an element takes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from labkeeper_api.errors import Problem
from labkeeper_api.operations.spec import Parameters
from labkeeper_api.operations.squidstat import BuildExperiment, Cp, Cva, Lsv, Ocv, Peis
from labkeeper_devices.drivers.squidstat.settings import PotentiostatConfig

AnyElement = Ocv | Cp | Cva | Lsv | Peis
LEAST_PEIS_S = 0.2
"""s per frequency at least: below, so many periods fit that nobody need wait longer."""


def static_problems(config: PotentiostatConfig, parameters: Parameters) -> list[Problem]:
    """Everything that is wrong: a channel that there is not, and what exceeds the instrument."""
    found: list[Problem] = []
    channel: Any = getattr(parameters, "channel", 0)
    if channel >= config.channels:
        hint = f"it has {config.channels}, from 0 on"
        found.append(Problem("channel", f"this instrument has no channel {channel}", hint))
    if isinstance(parameters, BuildExperiment):
        for number, element in enumerate(parameters.elements):
            found += _element_problems(config, element, f"elements[{number}]")
        points = sum(points_of(element) for element in parameters.elements)
        if points > config.most_points:
            text = f"the experiment would have about {points} points; this instrument keeps {config.most_points}"
            found.append(Problem("elements", text, "take longer sample intervals, or fewer elements"))
    return found


def shortfalls(config: PotentiostatConfig, has: Mapping[str, float]) -> list[str]:
    """Settings that ask for more than the instrument has, each with what it has."""
    wanted = {name: getattr(config, name) for name in has}
    return [f"{name} {wanted[name]:g} (the instrument: {has[name]:g})" for name in has if wanted[name] > has[name]]


def expected_s(element: AnyElement) -> float:
    """s that an element takes when nothing ends it early."""
    match element:
        case Ocv():
            return element.duration_s + element.settle_s
        case Cp():
            return element.duration_s
        case Peis():
            per_point = [max(element.minimum_cycles / hertz, LEAST_PEIS_S) for hertz in _frequencies(element)]
            return sum(per_point)
    length = abs(element.end_v - element.start_v) / element.scan_rate_v_s
    return length * 2 * element.cycles if isinstance(element, Cva) else length


def points_of(element: AnyElement) -> int:
    """About how many points an element has."""
    if isinstance(element, Peis):
        return len(_frequencies(element))
    recorded = element.duration_s if isinstance(element, Ocv) else expected_s(element)
    return math.ceil(recorded / element.sample_interval_s)


def _frequencies(element: Peis) -> list[float]:
    decades = math.log10(element.end_hz / element.start_hz)
    steps = round(abs(decades) * element.points_per_decade)
    return [element.start_hz * 10 ** (decades * step / max(1, steps)) for step in range(steps + 1)]


def _element_problems(config: PotentiostatConfig, element: AnyElement, path: str) -> list[Problem]:
    match element:
        case Cp():
            found = _beyond(path, "current_a", element.current_a, config.current_limit_a, "A")
            for name in ("voltage_min_v", "voltage_max_v"):
                found += _beyond(path, name, getattr(element, name), config.voltage_limit_v, "V")
        case Cva() | Lsv():
            found = _beyond(path, "start_v", element.start_v, config.voltage_limit_v, "V")
            found += _beyond(path, "end_v", element.end_v, config.voltage_limit_v, "V")
        case Peis():
            return _peis_problems(config, element, path)
        case Ocv():
            found = []
    if element.sample_interval_s < config.shortest_interval_s:
        text = f"{element.sample_interval_s:g} s is shorter than this instrument's shortest interval"
        found.append(Problem(f"{path}.sample_interval_s", text, f"at least {config.shortest_interval_s:g} s"))
    return found


def _peis_problems(config: PotentiostatConfig, element: Peis, path: str) -> list[Problem]:
    found = _beyond(path, "amplitude_v", element.amplitude_v, config.largest_amplitude_v, "V")
    found += _beyond(path, "dc_bias_v", element.dc_bias_v, config.voltage_limit_v, "V")
    low, high = config.lowest_hz, config.highest_hz
    for name in ("start_hz", "end_hz"):
        hertz = getattr(element, name)
        if not low <= hertz <= high:
            text = f"{hertz:g} Hz is out of this instrument's range, {low:g} to {high:g} Hz"
            found.append(Problem(f"{path}.{name}", text))
    return found


def _beyond(path: str, name: str, value: float | None, limit: float, unit: str) -> list[Problem]:
    if value is None or abs(value) <= limit:
        return []
    text = f"{value:g} {unit} is beyond this instrument's limits, {-limit:g} to {limit:g} {unit}"
    return [Problem(f"{path}.{name}", text)]
