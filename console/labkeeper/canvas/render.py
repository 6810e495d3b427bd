"""How canvas runs are shown to people: a live table of nodes, lines where there is no terminal, the end in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from labkeeper.render import err, tell
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.events import NodeEvent

STYLES = {
    "completed": "green",
    "running": "cyan",
    "pending": "dim",
    "skipped": "yellow",
    "cancelled": "yellow",
    "failed": "red",
}


@dataclass
class Row:
    """One node as it is now. Moments are monotonic seconds."""

    id: str
    label: str
    type: str
    state: str = "pending"
    cycle: int = 1
    cycles: int = 1
    step: str = ""
    message: str = ""
    began: float | None = None
    """While it runs."""
    spent: float = 0.0
    """s in the cycles that have ended."""

    @property
    def seconds(self) -> float:
        """How long it has run in all cycles."""
        return self.spent + (time.monotonic() - self.began if self.began is not None else 0.0)


class NodeTable:
    """Takes in what a run tells, from any thread."""

    def __init__(self, plan: CanvasPlan, title: str) -> None:
        self._rows = {
            node.id: Row(node.id, node.label, node.type, cycles=len(node.cycles) if node.loop else 1)
            for node in plan.nodes
        }
        self._title = title
        self._lock = threading.Lock()
        self.run_state = "pending"

    def take(self, event: NodeEvent) -> None:
        """One event of the run."""
        with self._lock:
            row = self._rows.get(event.node)
            if row is None:
                self.run_state = event.state if event.kind == "run" else self.run_state
            elif event.kind == "step":
                row.step = event.step
            elif event.kind == "node":
                _change(row, event)

    def settle(self, nodes: Iterable[Mapping[str, Any]]) -> None:
        """How the nodes ended, from the result: those that ended before a run was resumed are not told again."""
        with self._lock:
            for node in nodes:
                row = self._rows[node["node_id"]]
                row.state, row.message = node["state"], node["reason"] or row.message

    def table(self) -> Table:
        """The nodes in the order of the plan."""
        table = Table(title=self._title, title_justify="left", header_style="bold")
        table.add_column("Node", overflow="fold")
        table.add_column("Type", overflow="fold")
        table.add_column("State")
        table.add_column("Cycle", justify="right", no_wrap=True)
        table.add_column("Time", justify="right", no_wrap=True)
        table.add_column("What it does", overflow="fold")
        with self._lock:
            for row in self._rows.values():
                cycle = f"{row.cycle}/{row.cycles}" if row.cycles > 1 and row.state != "pending" else ""
                doing = row.step if row.state == "running" else row.message
                table.add_row(
                    row.label,
                    row.type.removeprefix("sdl1"),
                    Text(row.state, style=STYLES.get(row.state, "")),
                    cycle,
                    f"{row.seconds:.1f} s" if row.state != "pending" else "",
                    Text(doing),
                )
        return table


class Watch:
    """Shows a run while it goes: live on a terminal, else a line for each change of a node."""

    def __init__(self, plan: CanvasPlan, title: str, *, live: bool) -> None:
        self.nodes = NodeTable(plan, title)
        self._live = Live(console=err, get_renderable=self.nodes.table, transient=True) if live else None
        self._said: dict[str, str] = {}

    def __enter__(self) -> Watch:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def take(self, event: NodeEvent) -> None:
        """One event of the run."""
        self.nodes.take(event)
        if event.kind == "alert":
            tell(f"{event.label}: {event.message}")
        elif self._live is None and event.kind == "node":
            cycle = f" (cycle {event.cycle})" if event.cycle > 1 else ""
            line = f"{event.label}{cycle}: {event.state}" + (f", {event.message}" if event.message else "")
            if self._said.get(event.node) != line:
                self._said[event.node] = line
                tell(line)


def ending(result: Mapping[str, Any]) -> list[str]:
    """What a person wants to know when a run has ended, from its result."""
    counts = result["counts"]
    states = ", ".join(f"{number} {state}" for state, number in counts.items() if state != "total" and number)
    lines = [f"{result['workflow_name']}: {result['status']} ({counts['total']} nodes: {states})"]
    if result["message"]:
        lines.append(str(result["message"]))
    if result["simulated"]:
        lines.append(simulation(result["time_factor"], dry_run=bool(result["dry_run"])))
    lines += [f"Exported: {path}" for path in result["files"]]
    return lines


def simulation(time_factor: float | None, *, dry_run: bool) -> str:
    """That no hardware was moved, in words."""
    factor = f", time factor {time_factor:g}" if time_factor is not None else ""
    return f"simulated{factor}" + (": a dry run, every device was a simulator" if dry_run else ": no hardware moved")


def _change(row: Row, event: NodeEvent) -> None:
    if event.state == "running":
        row.began = row.began if row.began is not None else time.monotonic()
    else:
        row.spent, row.began = row.seconds, None
    row.state, row.cycle, row.message = event.state, event.cycle, event.message
    row.step = "" if event.state != "running" else row.step
