"""`labkeeper canvas compare`: one canvas through both managers, every device simulated, and what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from labkeeper.canvas.preparing import Asked, prepare
from labkeeper.canvas.render import simulation
from labkeeper.canvas.runs import Cancelling, carry_out
from labkeeper.cli.options import Manager
from labkeeper_flows.canvas_run.events import silent

Say = Callable[[str], None]


@dataclass(frozen=True)
class Side:
    """What one manager did."""

    manager: Manager
    status: str
    completed: int
    total: int
    commands: tuple[str, ...]
    """Each command to a device as one line of JSON: device by device, for each in the order in which it got them."""
    seconds: float
    """From the first node to the last, without starting servers and simulators."""
    started_in: float
    """s for starting those, and for ending them."""


@dataclass(frozen=True)
class Comparison:
    """Both managers on one canvas."""

    canvas: str
    time_factor: float
    sides: tuple[Side, ...]

    @property
    def same(self) -> bool:
        """Whether both completed every node with the same commands in the same order."""
        complete = all(side.completed == side.total for side in self.sides)
        return complete and len({side.commands for side in self.sides}) == 1

    @property
    def verdict(self) -> str:
        """In a sentence."""
        how = simulation(self.time_factor, dry_run=True)
        if self.same:
            number = len(self.sides[0].commands)
            return f"both managers sent each device the same commands in the same order, {number} in all; {how}"
        if any(side.completed != side.total for side in self.sides):
            return f"not every node completed; {how}"
        return f"the managers sent different commands; {how}"

    def as_dict(self) -> dict[str, Any]:
        """For `--output json`."""
        return {
            "canvas": self.canvas,
            "simulated": True,
            "time_factor": self.time_factor,
            "same_commands": self.same,
            "verdict": self.verdict,
            "managers": {
                side.manager.value: {
                    "status": side.status,
                    "completed_nodes": side.completed,
                    "total_nodes": side.total,
                    "device_commands": len(side.commands),
                    "seconds": round(side.seconds, 3),
                    "seconds_starting_and_ending": round(side.started_in, 3),
                }
                for side in self.sides
            },
        }


def compare_managers(text: str, source: str, home: Path, time_factor: float, say: Say) -> Comparison:
    """Run the canvas with both. Raises `InvalidInput` when it cannot be planned, `LabkeeperError`."""
    asked = Asked(home, dry_run=True, time_factor=time_factor, export_dir=home / "compare")
    sides = []
    for manager in Manager:
        say(f"{manager.value} manager")
        prepared = prepare(text, source, asked)
        began = time.monotonic()
        ended = carry_out(prepared, home, manager, say=say, tell=silent, cancelling=Cancelling(say), save=False)
        took = time.monotonic() - began
        seconds = (ended.outcome.ended - ended.outcome.began).total_seconds()
        sides.append(
            Side(
                manager=manager,
                status=str(ended.result["status"]),
                completed=ended.outcome.counts.completed,
                total=ended.outcome.counts.total,
                # Devices that work side by side are not in step with each other; each one is, with itself.
                commands=tuple(_command(it) for it in sorted(ended.outcome.operations, key=lambda it: str(it["role"]))),
                seconds=seconds,
                started_in=took - seconds,
            )
        )
    return Comparison(prepared.plan.name, time_factor, tuple(sides))


def comparison_table(found: Comparison) -> Table:
    """Both side by side."""
    table = Table(title=found.canvas, title_justify="left", header_style="bold")
    for column in ("Manager", "Status", "Nodes completed", "Commands", "Run", "Start and end"):
        table.add_column(column)
    for side in found.sides:
        table.add_row(
            side.manager.value,
            side.status,
            f"{side.completed} of {side.total}",
            str(len(side.commands)),
            f"{side.seconds:.2f} s",
            f"{side.started_in:.1f} s",
        )
    return table


def _command(operation: Any) -> str:
    kept = ("role", "node", "cycle", "ordinal", "operation", "outcome")
    return json.dumps({key: operation[key] for key in kept})
