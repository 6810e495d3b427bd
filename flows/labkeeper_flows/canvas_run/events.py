"""What a run tells while it goes: one event per change of a node, for live views. Not for keeping: that is `record`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["run", "node", "step", "alert"]


@dataclass(frozen=True)
class NodeEvent:
    """One change.

    `kind`: `node` when a node's state changes, `step` when it begins a step, `run` for the run as a whole (`node` is
    empty then), `alert` when a person should look. `state` is that of the node (`pending`, `running`, `completed`,
    `failed`, `skipped`, `cancelled`) or of the run (`running`, and the ends of `RunStatus`). `cycle` counts from 1.
    """

    kind: Kind
    node: str
    label: str
    state: str
    cycle: int = 1
    step: str = ""
    message: str = ""


Tell = Callable[[NodeEvent], None]
"""Called from the run's threads, one at a time. What it raises ends the run; it should return at once."""


def silent(event: NodeEvent) -> None:
    """Tell nobody."""
    del event
