"""Where a run stands, worked out from its events alone: the same whether they happen now or are read from its record.

So a run that was cut off anywhere stands where it stood when its events are applied again. No devices, no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas.accounting import Accounting, NodeState, Work
from labkeeper_flows.canvas.loops import Turn
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.outcome import NodeRun
from labkeeper_flows.canvas_run.record import Event
from labkeeper_flows.canvas_run.values import last_values


@dataclass
class Progress:
    """A node that is under way in one cycle. `done`: ordinal of a step -> what it returned."""

    began: datetime
    attempt: int = 1
    start: int = 0
    """First step of this attempt; those before it are done."""
    done: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    moved: bool = False
    """Whether something physical was done, or begun."""
    restarts: int = 0
    failed_at: datetime | None = None
    """When it failed first."""
    resumed: bool = False
    """It was under way when an earlier process was cut off."""


class RunState:
    """The state of one run. Not safe for several threads; the engine keeps a lock over it."""

    def __init__(self, plan: CanvasPlan) -> None:
        self.plan = plan
        self.accounting = Accounting(plan)
        self.under_way: dict[Work, Progress] = {}
        self.runs: list[NodeRun] = []
        self.values: dict[str, float] = {}
        """What was measured last: `voltage` in V, `current` in A, `temperature` in °C."""
        self.operations: list[dict[str, Any]] = []
        """What devices were asked and did, in order."""
        self.steps: list[tuple[Work, int, Event, Mapping[str, Any]]] = []
        """Every step that succeeded, with its ordinal and result."""
        self.log: list[Event] = []
        self.alerts: list[str] = []
        self.measured: list[str] = []
        """Files with what was measured, where the canvas exports nothing."""
        self.failures = 0
        self.step_count = 0
        self.loop_began: dict[str, datetime] = {}
        self.cycle_ended: dict[str, list[datetime]] = {}
        self.moved_since_checkpoint = False
        self.suspended: dict[Work, Event] = {}
        self.closed: str | None = None
        self.began: datetime | None = None
        self.openings = 0
        self.cancelled = ""
        """Why it was cancelled."""
        self.stopped = ""
        """Why the run stopped, where a node made it stop whatever its `error_handling` says."""

    def apply(self, event: Event, result: Mapping[str, Any] | None = None) -> None:
        """Take an event in. `result` is what the step returned, where it is not in the event itself."""
        if event["what"] == "step":
            self._on_step(event, result if result is not None else event.get("result") or {})
        else:
            getattr(self, f"_on_{event['what']}")(event)

    @staticmethod
    def moment(event: Event) -> datetime:
        """When an event happened."""
        return datetime.fromisoformat(event["at"])

    def files(self) -> tuple[Path, ...]:
        """What exports have written."""
        found = [
            path for _, _, event, result in self.steps if event["operation"] == "export" for path in result["files"]
        ]
        return tuple(Path(path) for path in dict.fromkeys([*found, *self.measured]))

    def _on_run(self, event: Event) -> None:
        self.began = self.moment(event)

    def _on_open(self, _: Event) -> None:
        self.openings += 1
        self.suspended.clear()
        self.closed = None
        for progress in self.under_way.values():
            progress.resumed = True

    def _on_begin(self, event: Event) -> None:
        work = _work(event)
        self.accounting.begin(work)
        self.under_way[work] = Progress(self.moment(event))
        if work.node in self.plan.by_head:
            self.loop_began[work.node] = self.moment(event)

    def _on_attempt(self, event: Event) -> None:
        progress = self.under_way[_work(event)]
        progress.attempt, progress.start = event["attempt"], event["start"]
        progress.restarts += event.get("restart", False)
        progress.done = {at: done for at, done in progress.done.items() if at < progress.start}
        progress.resumed = False

    def _on_step(self, event: Event, result: Mapping[str, Any]) -> None:
        work, ordinal = _work(event), event["ordinal"]
        if event["role"] not in ("data", "clock"):
            self.operations.append(
                {key: value for key, value in event.items() if key not in ("what", "result", "file")}
            )
        # Laying the deck out (before the first step) is the same however often it is done.
        moved = event["physical"] and event["outcome"] != "interlocked" and ordinal >= 0
        self.moved_since_checkpoint = self.moved_since_checkpoint or moved
        progress = self.under_way.get(work)
        if progress is not None:
            progress.moved = progress.moved or moved
        if event["outcome"] != "succeeded":
            self.failures += event["outcome"] in ("failed", "interlocked")
            if progress is not None and progress.failed_at is None:
                progress.failed_at = self.moment(event)
            return
        self.step_count += 1
        self.steps.append((work, ordinal, event, result))
        self.values.update(last_values(event["operation"], result))
        if progress is not None:
            progress.done[ordinal] = result

    def _on_end(self, event: Event) -> None:
        work = _work(event)
        progress = self.under_way.pop(work)
        state, reason = NodeState(event["state"]), str(event.get("reason", ""))
        node = self.plan.by_id[work.node]
        last = next((progress.done[at] for at in sorted(progress.done, reverse=True) if progress.done[at]), {})
        self.runs.append(
            NodeRun(
                work.node,
                node.type,
                node.label,
                work.cycle,
                progress.attempt,
                state,
                reason,
                progress.began,
                self.moment(event),
                last,
            )
        )
        if state is NodeState.COMPLETED:
            self.accounting.complete(work)
        elif state is NodeState.FAILED:
            self.accounting.fail(work, reason)
        else:
            self.accounting.cancelled(work, reason)
        if event.get("halts"):
            self.stopped = reason
            self.accounting.stop(f"the run stopped: {reason}")

    def _on_turn(self, event: Event) -> None:
        self.cycle_ended.setdefault(event["head"], []).append(self.moment(event))
        self.accounting.turn(event["head"], Turn(event["turn"]), str(event.get("reason", "")))

    def _on_cancel(self, event: Event) -> None:
        self.cancelled = str(event["reason"])
        self.accounting.cancel(self.cancelled)

    def _on_suspend(self, event: Event) -> None:
        self.suspended[_work(event)] = event

    def _on_checkpoint(self, _: Event) -> None:
        self.moved_since_checkpoint = False

    def _on_log(self, event: Event) -> None:
        self.log.append(event)

    def _on_alert(self, event: Event) -> None:
        self.alerts.append(str(event["message"]))

    def _on_measured(self, event: Event) -> None:
        self.measured = list(event["files"])

    def _on_close(self, event: Event) -> None:
        self.closed = str(event["status"])


def _work(event: Event) -> Work:
    return Work(event["node"], event["cycle"])
