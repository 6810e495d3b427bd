"""How things are shown to people: tables of runs and units, problems. JSON is made where the data is."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from labkeeper_api.errors import Problem

if TYPE_CHECKING:
    from labkeeper.runs import RunRecord

STYLES = {
    "Completed": "green",
    "Running": "cyan",
    "Pending": "cyan",
    "Waiting": "dim",
    "Scheduled": "dim",
}

PLAIN_WIDTH = 132
"""Columns where there is no terminal to ask."""


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH)


err = _console(stderr=True)
"""Progress and messages, so that standard output stays for results."""
out = _console(stderr=False)


def tell(text: str) -> None:
    """One line of progress. What devices and servers say is shown as it is, never read as markup."""
    err.print(Text("• ", style="dim").append(text, style="default"), soft_wrap=True)


def runs_table(records: Iterable[RunRecord], title: str | None = None) -> Table:
    """Runs with state, duration, verified angle and health."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("Run", "State"):
        table.add_column(column, overflow="fold")
    table.add_column("Duration", justify="right", no_wrap=True)
    for column in ("Angle", "Health", "What it says"):
        table.add_column(column, overflow="fold")
    for record in records:
        duration = record.duration_seconds
        table.add_row(
            _title(record),
            Text(record.state, style=STYLES.get(record.state, "red" if record.done and not record.ok else "")),
            f"{duration:.2f} s" if duration is not None else "",
            angle_text(record.result),
            health_text(record.result),
            Text(record.message if record.done and not record.ok else _note(record)),
        )
    return table


def angle_text(result: dict[str, Any] | None) -> str:
    """The angle that was reached and whether it was verified."""
    angle = (result or {}).get("angle_deg")
    if not isinstance(angle, int | float):
        return ""
    mark = "verified" if (result or {}).get("verified") else "read"
    error = (result or {}).get("error_deg")
    off = f" ({error:+.2f}°)" if isinstance(error, int | float) else ""
    return f"{angle:.2f}°{off} {mark}"


def health_text(result: dict[str, Any] | None) -> str:
    """Temperature, voltage and warnings in short."""
    found = result or {}
    readings = found.get("health") if isinstance(found.get("health"), dict) else found
    parts = []
    for key, unit in (("temperature_c", "°C"), ("voltage_v", "V"), ("current_ma", "mA")):
        value = readings.get(key) if isinstance(readings, dict) else None
        if isinstance(value, int | float):
            parts.append(f"{value:g} {unit}")
    warnings = readings.get("warnings") if isinstance(readings, dict) else None
    if parts:
        parts.append("; ".join(warnings) if warnings else "ok")
    return ", ".join(parts)


def problems_text(problems: Iterable[Problem], notes: Iterable[Problem] = ()) -> Group:
    """Problems in red, notes dim, one a line."""
    lines = [Text(str(problem), style="red") for problem in problems]
    lines += [Text(f"note: {note}", style="dim") for note in notes]
    return Group(*lines)


def _title(record: RunRecord) -> str:
    name = record.name.rsplit("-", 1)[0]
    hotel = record.parameters.get("hotel")
    return f"{name} ({hotel})" if isinstance(hotel, str) and hotel.lower() not in name.lower() else name


def _note(record: RunRecord) -> str:
    if record.simulated:
        factor = (record.result or {}).get("time_factor")
        return f"simulated, time factor {factor:g}" if isinstance(factor, int | float) else "simulated"
    return "" if record.done else record.progress or record.message
