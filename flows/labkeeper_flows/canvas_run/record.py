"""The run's own durable log: one JSON line per event, on disk before anything goes on. What it means says `state`.

Large results (what was measured) lie in files beside it. A last line that was cut off while it was written is dropped:
what it would have said is asked again, and the agents' journals know.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labkeeper_api.errors import LabkeeperError, Stalled
from labkeeper_flows.canvas.ledgers import TipLedger
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.planned import CanvasPlan, PlannedLoop, PlannedNode
from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.recovery import RecoveryConfig
from labkeeper_flows.canvas_run.settings import PlanInputs, RunSettings

Event = dict[str, Any]

NAME = "run.jsonl"
INLINE_BYTES = 4096
"""Results longer than this lie in files of their own."""
VERSION = 1


class RecordLost(LabkeeperError):
    """The run's record cannot be written: the run must not go on, since nobody could say what it did."""


class RunRecord:
    """The log of one run in its folder. `note` may be called from several threads."""

    def __init__(self, directory: Path, events: list[Event]) -> None:
        self.directory = directory
        self.events = events
        """All events, oldest first. The first is the header."""
        self._lock = threading.Lock()

    @classmethod
    def exists(cls, directory: Path) -> bool:
        """Whether a run was begun there: its first word is written whole, and nothing is done before that."""
        path = directory / NAME
        return path.exists() and b"\n" in path.read_bytes()

    @classmethod
    def create(cls, settings: RunSettings, plan: CanvasPlan) -> RunRecord:
        """Begin the record of a new run. Raises `RecordLost`."""
        record = cls(settings.directory, [])
        try:
            settings.directory.mkdir(parents=True, exist_ok=True)
            (settings.directory / NAME).unlink(missing_ok=True)
        except OSError as error:
            raise RecordLost(f"{settings.directory} cannot be made: {error.strerror}") from error
        record.note(
            "run",
            version=VERSION,
            run_id=settings.run_id,
            name=plan.name,
            plan=plan_hash(plan),
            canvas=settings.canvas,
            source=settings.source,
            dry_run=settings.dry_run,
            inputs=_inputs(settings.inputs),
            recovery=settings.recovery.model_dump(mode="json"),
            at=settings.clock().isoformat(),
        )
        return record

    @classmethod
    def load(cls, directory: Path) -> RunRecord:
        """Read the record of a run that was begun. Raises `Stalled` when it is damaged or not there."""
        path = directory / NAME
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise Stalled("NoRecord", f"there is no run to resume in {directory}: {error.strerror}") from error
        whole = raw[: raw.rfind(b"\n") + 1]
        try:
            events = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise Stalled("RecordDamaged", f"{path} is damaged ({error}): the run cannot be resumed") from error
        first = events[0] if events and isinstance(events[0], dict) else {}
        if first.get("what") != "run" or first.get("version") != VERSION:
            raise Stalled("RecordDamaged", f"{path} does not begin as the record of a run does: it cannot be resumed")
        if len(whole) < len(raw):
            os.truncate(path, len(whole))
        return cls(directory, events)

    @property
    def header(self) -> Mapping[str, Any]:
        """What was said when the run began: run_id, name, canvas, source, dry_run, inputs."""
        return self.events[0]

    @property
    def inputs(self) -> PlanInputs:
        """What the plan was made of beside the canvas."""
        given = self.header["inputs"]
        tips = {rack: tuple(wells) for rack, wells in given["tips"].items()}
        return PlanInputs(tips, given["contents"], frozenset(given["drivers"]))

    @property
    def recovery(self) -> RecoveryConfig:
        """The recovery settings that the run began with."""
        return RecoveryConfig.model_validate(self.header["recovery"])

    def plan(self, *, own_policies: bool = False) -> CanvasPlan:
        """The same plan again, from what was kept. `own_policies`: planned with the retry policies of `recovery`."""
        inputs = self.inputs
        return plan_text(
            self.header["canvas"],
            self.header["source"],
            tips=TipLedger(inputs.tips),
            contents=inputs.contents,
            drivers=inputs.drivers,
            policies=self.recovery.policies() if own_policies else None,
        )

    def note(self, what: str, *, sync: bool = True, **fields: Any) -> Event:
        """Write an event down; with `sync` it is on disk when this returns, and so are all before it.

        Raises `RecordLost`.
        """
        with self._lock:
            event: Event = {"what": what, **fields}
            try:
                result = event.get("result")
                if result is not None and len(json.dumps(result)) > INLINE_BYTES:
                    event["file"] = self._beside(event.pop("result"))
                durable.append(self.directory / NAME, json.dumps(event, ensure_ascii=False, allow_nan=False), sync=sync)
            except (OSError, ValueError, TypeError) as error:
                raise RecordLost(f"the record of the run in {self.directory} cannot be written: {error}") from error
            self.events.append(event)
            return event

    def result(self, event: Event) -> dict[str, Any]:
        """What the step of an event returned. Raises `Stalled` when the file with it is gone."""
        if "file" not in event:
            return event.get("result") or {}
        path = self.directory / str(event["file"])
        try:
            found: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Stalled("RecordDamaged", f"{path} with measured data cannot be read: {error}") from error
        return found

    def _beside(self, result: Any) -> str:
        name = f"steps/{len(self.events):06d}.json"
        durable.write(self.directory / name, json.dumps(result, allow_nan=False))
        return name


def plan_hash(plan: CanvasPlan) -> str:
    """The same for the same plan: what a resumed run must be resumed with."""
    found = hashlib.sha256()
    for part in _parts(plan):
        found.update(json.dumps(part, sort_keys=True, default=str).encode())
    return found.hexdigest()


def _parts(plan: CanvasPlan) -> Iterator[Any]:
    yield plan.id, plan.name
    for node in plan.nodes:
        yield _node(node)
    for loop in plan.loops:
        yield _loop(loop)


def _node(node: PlannedNode) -> Any:
    policy = node.retry.retries, node.retry.delay_s, node.retry.backoff
    waits = node.wait_before, node.wait_after
    steps = [[step.as_json() for step in cycle] for cycle in node.cycles]
    return node.id, node.type, node.error_handling, node.depends_on, node.after, policy, waits, node.loop, steps


def _loop(loop: PlannedLoop) -> Any:
    rule = loop.rule
    condition = rule.condition.text if rule.condition is not None else None
    return loop.head, loop.members, loop.counter, loop.most, rule.count, rule.duration_s, condition, str(rule.window)


def _inputs(inputs: PlanInputs) -> dict[str, Any]:
    return {
        "tips": {rack: list(wells) for rack, wells in inputs.tips.items()},
        "contents": {labware: dict(wells) for labware, wells in inputs.contents.items()},
        "drivers": sorted(inputs.drivers),
    }
