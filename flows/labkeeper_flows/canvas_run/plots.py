"""A PNG of one curve that a person can read: title, axes with units, legend, and whether it is simulated.

Draws with matplotlib's Agg canvas directly: no pyplot, no global state, any thread.
"""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from labkeeper_flows.canvas_run.tables import Segment
from labkeeper_flows.canvas_run.values import Curve

BLUE, ORANGE, GREY = "#1f5fa8", "#d9661f", "#5b6470"
SWEEPS = ("CV", "CVA", "LSV", "CV_activation", "CV_stability")
MANY = 60
"""From so many points on, a line tells more than markers."""


def plot(segment: Segment, title: str, *, simulated: bool) -> bytes:
    """The PNG: Nyquist for impedance, current over voltage for sweeps, voltage and current over time for the rest."""
    figure = Figure(figsize=(7.2, 4.8), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    curve = segment.curve
    if curve.kind == "ac":
        _nyquist(axes, curve)
    elif curve.technique in SWEEPS:
        _sweep(axes, curve)
    else:
        _over_time(axes, curve)
    cycle = f", cycle {segment.cycle}" if segment.cycle is not None else ""
    heading = axes.set_title(
        f"{title}\n{segment.label}: {curve.technique or curve.kind}{cycle}", fontsize=11, loc="left"
    )
    # Names are people's: a dollar sign in them begins no formula.
    heading.set_parse_math(False)
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.grid(visible=True, color="#d8dce2", linewidth=0.6)
    axes.set_axisbelow(True)
    if simulated:
        _mark(axes)
    out = io.BytesIO()
    # No time of making in it: the same data give the same file.
    canvas.print_png(  # type: ignore[no-untyped-call]
        out, metadata={"Software": "Labkeeper", "Description": "simulated" if simulated else "measured"}
    )
    return out.getvalue()


def _over_time(axes: Axes, curve: Curve) -> None:
    times, voltage = _pair(curve, "timestamp_s", "we_voltage_V")
    lines = axes.plot(times, voltage, color=BLUE, label="Voltage E (working electrode)", **_style(times))
    axes.set_xlabel("Time / s")
    axes.set_ylabel("Voltage E / V", color=BLUE)
    _room(axes, voltage, flat=0.002, shown=0.01)
    if curve.technique != "OCV" and "current_A" in curve.columns:
        times, current = _pair(curve, "timestamp_s", "current_A")
        unit, current = _scaled(current)
        second = axes.twinx()
        second.set_zorder(axes.get_zorder() - 1)
        axes.patch.set_visible(False)
        lines += second.plot(times, current, color=ORANGE, linestyle="--", linewidth=1.2, label="Current i (right)")
        second.set_ylabel(f"Current i / {unit}", color=ORANGE)
        second.ticklabel_format(axis="y", style="plain", useOffset=False)
        size = max((abs(value) for value in current), default=0.0)
        _room(second, current, flat=0.1 * size, shown=size or 1.0)
    axes.legend(handles=lines, loc="best", fontsize=9, framealpha=0.9)


def _sweep(axes: Axes, curve: Curve) -> None:
    voltage, current = _pair(curve, "we_voltage_V", "current_A")
    unit, current = _scaled(current)
    axes.plot(voltage, current, color=BLUE, label="Current i over E", **_style(voltage))
    if voltage:
        axes.plot(voltage[:1], current[:1], "o", color=ORANGE, markersize=5, label="start")
    axes.set_xlabel("Voltage E / V")
    axes.set_ylabel(f"Current i / {unit}")
    axes.legend(loc="best", fontsize=9, framealpha=0.9)


def _nyquist(axes: Axes, curve: Curve) -> None:
    real, imaginary = _pair(curve, "realImpedance", "imagImpedance")
    axes.plot(real, [-value for value in imaginary], "o-", color=BLUE, markersize=4, linewidth=1.0, label="Impedance Z")
    frequency = curve.column("frequency") if "frequency" in curve.columns else []
    if len(frequency) == len(real) and frequency:
        for at in {frequency.index(max(frequency)), frequency.index(min(frequency))}:
            shown = EngFormatter(unit="Hz").format_data(float(f"{frequency[at]:.3g}"))
            left = real[at] > (max(real) + min(real)) / 2
            axes.annotate(
                shown,
                (real[at], -imaginary[at]),
                textcoords="offset points",
                xytext=(-8 if left else 8, 10),
                ha="right" if left else "left",
                fontsize=8,
                color=GREY,
            )
    axes.set_xlabel("Z' / Ω")
    axes.set_ylabel("-Z'' / Ω")
    # Equal scales: a semicircle must look like one.
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.legend(loc="best", fontsize=9, framealpha=0.9)


def _pair(curve: Curve, first: str, second: str) -> tuple[list[float], list[float]]:
    """Two columns, without rows that lack one of them; nothing where a column is not there."""
    if first not in curve.columns or second not in curve.columns:
        return [], []
    one, other = curve.columns.index(first), curve.columns.index(second)
    found = [(row[one], row[other]) for row in curve.rows]
    rows = [(float(x), float(y)) for x, y in found if x is not None and y is not None]
    return [x for x, _ in rows], [y for _, y in rows]


def _scaled(current: list[float]) -> tuple[str, list[float]]:
    """Amperes in the unit in which they are numbers of a usual size."""
    most = max((abs(value) for value in current), default=0.0)
    for unit, factor in (("A", 1.0), ("mA", 1e3), ("µA", 1e6)):
        if most * factor >= 1 or unit == "µA":
            return unit if most else "A", [value * (factor if most else 1.0) for value in current]
    return "A", current


def _style(points: list[float]) -> dict[str, Any]:
    return {"linewidth": 1.5} if len(points) > MANY else {"linewidth": 1.2, "marker": "o", "markersize": 3.5}


def _room(axes: Axes, values: list[float], *, flat: float, shown: float) -> None:
    """Show the height `shown` around a curve that changes by no more than `flat`: else noise fills the picture."""
    # The scale says the values themselves, not how far they are from a number in its corner.
    axes.ticklabel_format(axis="y", useOffset=False)
    if values and max(values) - min(values) <= flat:
        middle = sum(values) / len(values)
        axes.set_ylim(middle - shown / 2, middle + shown / 2)


def _mark(axes: Axes) -> None:
    axes.text(
        0.5,
        0.5,
        "SIMULATED",
        transform=axes.transAxes,
        fontsize=38,
        color="#b0b6bf",
        alpha=0.35,
        ha="center",
        va="center",
        rotation=18,
        zorder=0.5,
    )
    axes.text(1.0, 1.02, "simulated", transform=axes.transAxes, fontsize=10, color="#b3261e", ha="right", va="bottom")
