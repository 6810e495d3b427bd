"""What all threads of one run share: its record and state under one lock, the way to stop, and time.

Not for deciding what runs next (`engine`) or how a node is carried out (`node_run`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from labkeeper_flows.canvas.accounting import Work
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.events import Kind, NodeEvent, Tell
from labkeeper_flows.canvas_run.ports import DeviceInfo, Devices
from labkeeper_flows.canvas_run.record import Event, RunRecord
from labkeeper_flows.canvas_run.settings import RunSettings
from labkeeper_flows.canvas_run.state import RunState

log = logging.getLogger(__name__)

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Halted(Exception):
    """The run is being cancelled, or stops for a person: what is not begun is not begun any more."""


class RunContext:
    """One run's shared services."""

    def __init__(
        self,
        plan: CanvasPlan,
        devices: Devices,
        settings: RunSettings,
        tell: Tell,
        record: RunRecord,
        state: RunState,
        reserved: tuple[DeviceInfo, ...],
        halted: threading.Event,
        wish: Callable[[], str],
    ) -> None:
        """`halted`: nothing begins any more. `wish`: why the run is to be cancelled, empty if it is not."""
        self.plan = plan
        self.devices = devices
        self.settings = settings
        self.record = record
        self.state = state
        self.reserved = reserved
        self.halted = halted
        self.changed = threading.Condition(threading.RLock())
        """Holds the lock over record and state; told when a node has ended."""
        self._wish = wish
        self._tell = tell

    @property
    def cancelling(self) -> str:
        """Why the run is being cancelled; empty if it is not."""
        return self._wish()

    @property
    def all_simulated(self) -> bool:
        """Whether there are devices and every one is simulated."""
        return bool(self.reserved) and all(it.simulated for it in self.reserved)

    @property
    def time_factor(self) -> float | None:
        """How many times faster than real time this run waits; None if any device is real."""
        if not self.all_simulated:
            return None
        return min(it.time_factor if it.time_factor is not None else 1.0 for it in self.reserved)

    def now(self) -> datetime:
        """The moment."""
        return self.settings.clock()

    def note(self, what: str, *, sync: bool = True, **fields: Any) -> Event:
        """Write an event down, then let it count. Raises `RecordLost`."""
        with self.changed:
            result = fields.get("result")
            event = self.record.note(what, sync=sync, at=self.now().isoformat(), **fields)
            self.state.apply(event, result)
            return event

    def say(self, level: str, message: str, work: Work | None = None) -> None:
        """A line for the run's log."""
        log.log(getattr(logging, level), "%s", message)
        where = {"node": work.node, "cycle": work.cycle} if work is not None else {}
        self.note("log", sync=False, level=level, message=message, **where)

    def tell(self, kind: Kind, work: Work | None, state: str, *, step: str = "", message: str = "") -> None:
        """Tell whoever watches."""
        node = self.plan.by_id[work.node] if work is not None else None
        with self.changed:
            self._tell(
                NodeEvent(
                    kind,
                    node.id if node is not None else "",
                    node.label if node is not None else self.plan.name,
                    state,
                    work.cycle if work is not None else 1,
                    step,
                    message,
                )
            )

    def check(self) -> None:
        """Raise `Halted` if nothing may begin any more."""
        if self.halted.is_set():
            raise Halted

    def sleep(self, seconds: float) -> float:
        """Let lab time pass; how long it really took in s. Raises `Halted` as soon as the run is to stop."""
        self.check()
        real = seconds / (self.time_factor or 1.0)
        if real > 0 and self.halted.wait(real):
            raise Halted
        return real

    def halt(self) -> None:
        """Begin nothing any more."""
        self.halted.set()
        with self.changed:
            self.changed.notify_all()
