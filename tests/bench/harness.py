"""What all benchmarks share: rows with percentiles and ratios, the table, the JSON file."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

RESULTS = Path("bench-results")

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Row:
    """One metric. `ratio` is how many times better ours is than the peer's; `goal` is a sentence, `met` its verdict.

    Without a peer (`peer` and `ratio` None), the metric is measured for its goal alone.
    """

    metric: str
    unit: str
    n: int
    ours: float
    ours_p95: float | None
    ours_p99: float | None
    peer: float | None
    peer_name: str | None
    ratio: float | None
    goal: str | None
    met: bool | None


def compared(
    metric: str,
    unit: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    *,
    at_most: float | None = None,
    min_ratio: float | None = None,
    better: Better = "lower",
) -> Row:
    """A row from interleaved runs of both. Raises `ValueError` without figures of both: nothing is ever assumed."""
    if not ours or not peer:
        raise ValueError(f"{metric}: no figures of {'ours' if not ours else peer_name}")
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = theirs / mine if better == "lower" else mine / theirs
    goals, verdicts = [], []
    if at_most is not None:
        goals.append(f"median at most {at_most:g} {unit}")
        verdicts.append(mine <= at_most)
    if min_ratio is not None:
        goals.append(f"at least {min_ratio:g} times better")
        verdicts.append(ratio >= min_ratio)
    return Row(
        metric=metric,
        unit=unit,
        n=len(ours),
        ours=round(mine, 3),
        ours_p95=round(percentile(ours, 95), 3),
        ours_p99=round(percentile(ours, 99), 3),
        peer=round(theirs, 3),
        peer_name=peer_name,
        ratio=round(ratio, 3),
        goal=" and ".join(goals) or None,
        met=all(verdicts) if verdicts else None,
    )


def alone(metric: str, unit: str, ours: Sequence[float], *, at_most: float | None = None) -> Row:
    """A row of ours alone, with a goal of its own."""
    mine = statistics.median(ours)
    return Row(
        metric=metric,
        unit=unit,
        n=len(ours),
        ours=round(mine, 3),
        ours_p95=round(percentile(ours, 95), 3) if len(ours) > 1 else None,
        ours_p99=round(percentile(ours, 99), 3) if len(ours) > 1 else None,
        peer=None,
        peer_name=None,
        ratio=None,
        goal=f"at most {at_most:g} {unit}" if at_most is not None else None,
        met=mine <= at_most if at_most is not None else None,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Percentile with linear interpolation between the two nearest values."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def report(name: str, rows: Sequence[Row]) -> bool:
    """Print the table, write the file; whether every goal was met."""
    table = Table(title=name, title_justify="left", header_style="bold")
    for column in ("metric", "n", "ours", "p95", "p99", "peer", "times better", "goal", "met"):
        table.add_column(column, justify="left" if column in ("metric", "peer", "goal") else "right")
    for row in rows:
        peer = f"{row.peer:g} ({row.peer_name})" if row.peer is not None else ""
        met = "" if row.met is None else ("yes" if row.met else "NO")
        figures = (row.ours, row.ours_p95, row.ours_p99)
        shown = [f"{figure:g}" if figure is not None else "" for figure in figures]
        ratio = f"{row.ratio:g}" if row.ratio is not None else ""
        table.add_row(f"{row.metric} [{row.unit}]".replace("[", r"\["), str(row.n), *shown, peer, ratio, row.goal, met)
    Console(width=150).print(table)
    RESULTS.mkdir(exist_ok=True)
    content: list[dict[str, Any]] = [asdict(row) for row in rows]
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return all(row.met is not False for row in rows)
