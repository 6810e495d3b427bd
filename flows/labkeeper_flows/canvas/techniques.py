"""Electrochemical techniques as elements of an experiment, and the calls that carry an experiment out (facts 1.2).

An element is JSON data in V, A, s, Hz. Limits travel with the element, for the driver to enforce.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.nodes.base import data
from labkeeper_flows.canvas.steps import Role, Step

Element = dict[str, Any]

DC_COLUMNS = ("timestamp_s", "current_A", "we_voltage_V")
AC_COLUMNS = (
    "timestamp",
    "frequency",
    "absoluteImpedance",
    "realImpedance",
    "imagImpedance",
    "phaseAngle",
    "numberOfCycles",
)
POLL_S = 0.1


def ocv(duration_s: float, interval_s: float, *, settle_s: float = 0.0, stability_v: float | None = None) -> Element:
    """Open circuit voltage over time."""
    element: Element = {
        "technique": "OCV",
        "duration_s": float(duration_s),
        "sample_interval_s": float(interval_s),
        "settle_s": float(settle_s),
    }
    return element if stability_v is None else {**element, "stability_threshold_v": stability_v}


def cp(
    current_a: float, duration_s: float, interval_s: float, lowest_v: float | None, highest_v: float | None
) -> Element:
    """Constant current; ends early when the voltage leaves its limits."""
    limits = {"voltage_min_v": lowest_v, "voltage_max_v": highest_v}
    return {
        "technique": "CP",
        "current_a": float(current_a),
        "duration_s": float(duration_s),
        "sample_interval_s": float(interval_s),
        **{name: float(limit) for name, limit in limits.items() if limit is not None},
    }


def cva(start_v: float, end_v: float, rate_v_s: float, cycles: int, interval_s: float) -> Element:
    """Cyclic voltammetry between two voltages."""
    return {
        "technique": "CVA",
        "start_v": float(start_v),
        "end_v": float(end_v),
        "scan_rate_v_s": float(rate_v_s),
        "cycles": cycles,
        "sample_interval_s": float(interval_s),
    }


def lsv(start_v: float, end_v: float, rate_v_s: float, interval_s: float) -> Element:
    """One sweep from one voltage to another."""
    return {
        "technique": "LSV",
        "start_v": float(start_v),
        "end_v": float(end_v),
        "scan_rate_v_s": float(rate_v_s),
        "sample_interval_s": float(interval_s),
    }


def peis(
    start_hz: float,
    end_hz: float,
    points_per_decade: float,
    amplitude_v: float,
    *,
    minimum_cycles: int = 1,
    bias_v: float = 0.0,
    bias_vs_ocp: bool = True,
) -> Element:
    """Impedance over frequency."""
    return {
        "technique": "PEIS",
        "start_hz": float(start_hz),
        "end_hz": float(end_hz),
        "points_per_decade": float(points_per_decade),
        "minimum_cycles": minimum_cycles,
        "amplitude_v": float(amplitude_v),
        "dc_bias_v": float(bias_v),
        "bias_vs_ocp": bias_vs_ocp,
    }


def duration_s(element: Mapping[str, Any]) -> float:
    """About how long an element takes in s, by the formulas of facts 1.2."""
    match element["technique"]:
        case "OCV" | "CP":
            return float(element["duration_s"]) + float(element.get("settle_s", 0.0))
        case "CVA":
            return float(2 * element["cycles"] * abs(element["end_v"] - element["start_v"]) / element["scan_rate_v_s"])
        case "LSV":
            return float(abs(element["end_v"] - element["start_v"]) / element["scan_rate_v_s"])
    return float(2 * element["points_per_decade"] * abs(math.log10(element["start_hz"] / element["end_hz"])))


def measure(
    context: Context,
    elements: Sequence[Element],
    *,
    channel: int,
    tag: str,
    com_port: str | None = None,
    collect: bool = True,
    by_cycle: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> list[Step]:
    """Connect, register the callbacks, build, upload, start, wait until idle, disconnect; then note the data.

    `collect`: whether data are kept at all; `by_cycle`: whether the collection window of the loop decides.
    """
    where: dict[str, Any] = {"channel": channel} if com_port is None else {"com_port": com_port, "channel": channel}
    expected = sum(duration_s(element) for element in elements)
    found = [
        _squidstat("connect", **where),
        _squidstat("register_callbacks", channel=channel, dc=list(DC_COLUMNS), ac=list(AC_COLUMNS)),
        _squidstat("build_experiment", channel=channel, elements=list(elements), **(extra or {})),
        _squidstat("upload_experiment", channel=channel),
        _squidstat("start_experiment", physical=True, channel=channel, expected_s=expected),
        _squidstat("wait_until_idle", channel=channel, poll_s=POLL_S, expected_s=expected),
        _squidstat("disconnect", **where),
    ]
    return [*found, _collection(context, tag, elements, by_cycle=by_cycle)] if collect else found


def _collection(context: Context, tag: str, elements: Sequence[Element], *, by_cycle: bool) -> Step:
    cycle = context.cycle
    return data(
        "collect",
        tag=tag,
        techniques=[element["technique"] for element in elements],
        cycle=cycle.number if cycle else None,
        kept=cycle.kept if cycle and by_cycle else True,
    )


def _squidstat(operation: str, *, physical: bool = False, **parameters: Any) -> Step:
    return Step(Role.SQUIDSTAT, operation, parameters, physical)
