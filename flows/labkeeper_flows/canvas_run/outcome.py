"""How a run ended, as the results of both managers are made of. Not the results' own form: that is `results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas.accounting import Counts, NodeResult, NodeState
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.ports import DeviceInfo


class RunStatus(StrEnum):
    """How a run as a whole ended."""

    COMPLETED = "completed"
    """Every node has completed."""
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    """It went to its end, and nodes failed whose canvas says to go on then."""
    FAILED = "failed"
    """A failure stopped it."""
    SUSPENDED = "suspended"
    """It stopped and waits for a person; it can be resumed."""
    CANCELLED = "cancelled"
    """It was ended on request, and the hardware is at rest."""


@dataclass(frozen=True)
class NodeRun:
    """A node in one cycle: how it went. `result` is what its last step returned that returned something."""

    node: str
    type: str
    label: str
    cycle: int
    attempts: int
    state: NodeState
    reason: str
    began: datetime
    ended: datetime
    result: Mapping[str, Any]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    `nodes` in the order of the plan, each in exactly one end; `runs` in the order in which they ended, one per node and
    cycle. `time_factor` is how many times faster than real time waits were, None with real devices. `files` are the
    exported files. `operations` are the commands that devices got, in order.
    """

    run_id: str
    plan: CanvasPlan
    status: RunStatus
    nodes: tuple[NodeResult, ...]
    counts: Counts
    runs: tuple[NodeRun, ...]
    devices: tuple[DeviceInfo, ...]
    simulated: bool
    dry_run: bool
    time_factor: float | None
    files: tuple[Path, ...]
    operations: tuple[Mapping[str, Any], ...]
    log: tuple[str, ...]
    alerts: tuple[str, ...]
    message: str
    resumed: bool
    began: datetime
    ended: datetime
