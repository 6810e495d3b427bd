"""What was measured and collected, and the tables that are exported of it. Pure: files are `exports`' to write."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.state import RunState
from labkeeper_flows.canvas_run.values import Curve, curves_of


@dataclass(frozen=True)
class Segment:
    """One curve with where it comes from. `cycle` is None outside of loops."""

    node: str
    label: str
    tag: str
    cycle: int | None
    kept: bool
    curve: Curve

    @property
    def name(self) -> str:
        """For file names and titles: tag, cycle, place in the experiment."""
        cycle = f"_cycle{self.cycle}" if self.cycle is not None else ""
        return f"{self.tag}{cycle}_{self.curve.element}_{self.curve.technique or self.curve.kind}"


@dataclass(frozen=True)
class Table:
    """Rows under columns; a cell that has nothing is None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def csv(self) -> str:
        """As CSV with a header line; numbers as Python writes them, so that they can be read back unchanged."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return out.getvalue()


def collected(plan: CanvasPlan, state: RunState) -> list[Segment]:
    """All curves that a `collect` step took up, in the order in which they were measured."""
    found: list[Segment] = []
    results: dict[tuple[str, int], dict[int, Any]] = {}
    for work, ordinal, event, result in state.steps:
        here = results.setdefault((work.node, work.cycle), {})
        if event["operation"] != "collect" or event["role"] != "data":
            here[ordinal] = result
            continue
        node = plan.by_id[work.node]
        parameters = node.steps(work.cycle)[ordinal].parameters
        for at in sorted(here):
            for curve in curves_of(here[at], parameters["techniques"]):
                kept = _kept(plan, state, node.loop, work.cycle, parameters["kept"])
                cycle = parameters["cycle"]
                found.append(Segment(node.id, node.label, str(parameters["tag"]), cycle, kept, curve))
        results[work.node, work.cycle] = {}
    return found


def _kept(plan: CanvasPlan, state: RunState, loop: str | None, cycle: int, said: bool | None) -> bool:
    """Whether the collection window keeps the data of a cycle, now that it is known how many there were."""
    if said is not None or loop is None:
        return said is not False
    total = len(state.cycle_ended.get(loop, ())) or cycle
    return plan.by_head[loop].rule.window.keeps(cycle, total) is True


def table_of(segments: Iterable[Segment], kinds: Sequence[str], columns: Sequence[str]) -> Table:
    """The rows of all segments of these kinds, one under the other, with exactly these columns."""
    rows: list[tuple[Any, ...]] = []
    for segment in segments:
        curve = segment.curve
        if curve.kind in kinds:
            places = [curve.columns.index(name) if name in curve.columns else None for name in columns]
            rows += [tuple(None if at is None else row[at] for at in places) for row in curve.rows]
    return Table(tuple(columns), tuple(rows))


def parts_of(segments: Iterable[Segment], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Which rows of that table are whose: the table itself has the columns of facts 1.2 and no others."""
    found: list[dict[str, Any]] = []
    first = 1
    for segment in segments:
        if segment.curve.kind in kinds:
            count = len(segment.curve.rows)
            found.append({**described(segment), "first_row": first, "rows": count})
            first += count
    return found


def described(segment: Segment) -> dict[str, Any]:
    """Where a segment comes from, as JSON data."""
    return {
        "node": segment.node,
        "tag": segment.tag,
        "cycle": segment.cycle,
        "technique": segment.curve.technique,
        "element": segment.curve.element,
        "kind": segment.curve.kind,
    }


PROCESSED_COLUMNS = (
    "node",
    "tag",
    "cycle",
    "element",
    "technique",
    "points",
    "duration_s",
    "first_voltage_V",
    "last_voltage_V",
    "mean_voltage_V",
    "mean_current_A",
    "charge_C",
    "lowest_frequency_Hz",
    "highest_frequency_Hz",
    "highest_impedance_ohm",
)


def processed(segments: Iterable[Segment]) -> Table:
    """One row of characteristic values per curve: `charge_C` is the current over time by trapezoids."""
    return Table(PROCESSED_COLUMNS, tuple(_row(segment) for segment in segments))


def _row(segment: Segment) -> tuple[Any, ...]:
    curve = segment.curve
    values: dict[str, Any] = {**described(segment), "points": len(curve.rows)}
    if curve.kind == "dc" and set(curve.columns) >= {"timestamp_s", "current_A", "we_voltage_V"}:
        times, current, voltage = (curve.column(name) for name in ("timestamp_s", "current_A", "we_voltage_V"))
        if times and len(times) == len(current) == len(voltage):
            values |= {
                "duration_s": times[-1] - times[0],
                "first_voltage_V": voltage[0],
                "last_voltage_V": voltage[-1],
                "mean_voltage_V": sum(voltage) / len(voltage),
                "mean_current_A": sum(current) / len(current),
                "charge_C": _integral(times, current),
            }
    if curve.kind == "ac" and set(curve.columns) >= {"frequency", "absoluteImpedance"}:
        frequency, impedance = curve.column("frequency"), curve.column("absoluteImpedance")
        if frequency and impedance:
            values |= {
                "lowest_frequency_Hz": min(frequency),
                "highest_frequency_Hz": max(frequency),
                "highest_impedance_ohm": max(impedance),
            }
    return tuple(values.get(name) for name in PROCESSED_COLUMNS)


def _integral(times: Sequence[float], values: Sequence[float]) -> float:
    pairs = zip(pairwise(times), pairwise(values), strict=True)
    return sum((end - begin) * (one + other) / 2 for (begin, end), (one, other) in pairs)
