"""Runs workflows in a lab one after another and follows each to its end."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkeeper.canvas.records import progress
from labkeeper_api.conditions import ConditionType, is_true
from labkeeper_api.kinds import LabDevice, LabObject, LabRun, LabWorkflow
from labkeeper_api.kinds.labrun import LabRunSpec, WorkflowRef
from labkeeper_api.meta import ObjectMeta
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_operator.objects import Key

if TYPE_CHECKING:
    from labkeeper.access import LabAccess

LOOK_SECONDS = 0.05
PROGRESS_SECONDS = 0.5
TROUBLE_SECONDS = 10.0
"""How long a unit may be unable to work before waiting for it is given up."""
CANCEL_SECONDS = 60.0

OBSTACLES = ("Held", "Stopped", "Faulted")


@dataclass
class RunRecord:
    """One run as it is now, for tables and JSON."""

    name: str
    workflow: str
    parameters: dict[str, Any] = field(default_factory=dict)
    state: str = "Waiting"
    message: str = ""
    progress: str = ""
    """What it does now, where its own record tells that."""
    started: datetime | None = None
    ended: datetime | None = None
    result: dict[str, Any] | None = None
    simulated: bool | None = None
    flow_run_id: str | None = None
    url: str | None = None
    ok: bool = False
    done: bool = False

    @property
    def duration_seconds(self) -> float | None:
        """From its start to its end, or until now."""
        if self.started is None:
            return None
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        """For `--output json`."""
        duration = self.duration_seconds
        return {
            "name": self.name,
            "workflow": self.workflow,
            "parameters": self.parameters,
            "state": self.state,
            "ok": self.ok,
            "message": self.message,
            "started": self.started.isoformat() if self.started else None,
            "ended": self.ended.isoformat() if self.ended else None,
            "durationSeconds": round(duration, 3) if duration is not None else None,
            "result": self.result,
            "simulated": self.simulated,
            "flowRunId": self.flow_run_id,
            "url": self.url,
        }


def new_run(workflow: LabWorkflow, parameters: Mapping[str, Any], *, name: str | None = None) -> LabRun:
    """A LabRun of that workflow under a name of its own."""
    suffix = secrets.token_hex(3)
    base = (name or workflow.metadata.name)[: 62 - len(suffix)]
    return LabRun(
        metadata=ObjectMeta(name=f"{base}-{suffix}", namespace=workflow.metadata.namespace),
        spec=LabRunSpec(
            workflow_ref=WorkflowRef(name=workflow.metadata.name),
            parameters=dict(parameters),
            ttl_seconds_after_finished=24 * 3600,
        ),
    )


class Runner:
    """Carries out runs in one lab."""

    def __init__(self, access: LabAccess, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a record has changed."""
        self._access = access
        self._changed = changed
        self.records: list[RunRecord] = []

    def expect(self, runs: Iterable[LabRun]) -> None:
        """Announce runs, so that a table can show those that still wait."""
        for run in runs:
            self.records.append(RunRecord(run.metadata.name, run.spec.workflow_ref.name, dict(run.spec.parameters)))

    async def carry_out(
        self, runs: list[LabRun], workflows: Mapping[str, LabWorkflow], devices: list[LabDevice]
    ) -> bool:
        """Carry out runs one after another, in order; stop at the first that does not complete."""
        self.expect(runs)
        for record, run in zip(self.records, runs, strict=True):
            workflow = workflows[run.spec.workflow_ref.name]
            record.parameters = {**workflow.spec.parameters, **run.spec.parameters}
            serving = [d for d in devices if d.spec.pool == workflow.spec.placement.pool]
            if not await self._one(record, run, serving):
                return False
        return True

    async def _one(self, record: RunRecord, run: LabRun, devices: list[LabDevice]) -> bool:
        self._access.apply([run], Path.cwd())
        try:
            await self._follow(record, run, devices)
        except asyncio.CancelledError:
            record.message = "cancelling"
            await asyncio.shield(self.cancel(record, run))
            raise
        return record.ok

    async def _follow(self, record: RunRecord, run: LabRun, devices: list[LabDevice]) -> None:
        clock = asyncio.get_running_loop().time
        fine_at = looked_at = clock()
        while not self._read(record, run):
            if clock() - looked_at > PROGRESS_SECONDS:
                looked_at = clock()
                self._look_for_progress(record)
            waits = record.state in ("Waiting", "Scheduled", "Late")
            trouble = _obstacle(self._access.home, devices) if waits else None
            if trouble is None:
                fine_at = clock()
            elif clock() - fine_at > TROUBLE_SECONDS:
                await self.cancel(record, run)
                record.state, record.message = "NotStarted", trouble
                self._changed()
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _look_for_progress(self, record: RunRecord) -> None:
        found = progress(self._access.home, record.flow_run_id) if record.flow_run_id else ""
        if found != record.progress:
            record.progress = found
            self._changed()

    async def cancel(self, record: RunRecord, run: LabRun) -> None:
        """Cancel a run and wait until the hardware is at rest."""
        self._access.delete(run)
        key = Key(run.kind, run.metadata.namespace, run.metadata.name)
        async with asyncio.timeout(CANCEL_SECONDS):
            while self._access.read(key) is not None:  # noqa: ASYNC110 - the lab may be another process
                await asyncio.sleep(LOOK_SECONDS)
        record.state, record.done = "Cancelled", True
        self._changed()

    def _read(self, record: RunRecord, run: LabRun) -> bool:
        """Take in the run as it is now; whether it has ended."""
        raw = self._access.read(Key(run.kind, run.metadata.namespace, run.metadata.name))
        status = LabRun.model_validate(raw).status if raw is not None and "status" in raw else None
        if status is None:
            return False
        before = (record.state, record.message, record.done)
        record.state = status.state or record.state
        record.message = status.message or _stalled_message(status.conditions)
        record.started, record.ended = status.started, status.ended
        record.result, record.simulated = status.result, status.simulated
        record.flow_run_id, record.url = status.flow_run_id, status.url
        record.ok = is_true(status.conditions, ConditionType.COMPLETE)
        refused = status.flow_run_id is None and is_true(status.conditions, ConditionType.STALLED)
        record.done = record.ok or is_true(status.conditions, ConditionType.FAILED) or refused
        if refused:
            record.state = "Refused"
        if before != (record.state, record.message, record.done):
            self._changed()
        return record.done


def journals(home: Path, devices: Iterable[LabObject]) -> list[str]:
    """Journals of the units of these devices on this host."""
    prefixes = tuple(f"{d.metadata.namespace}.{d.metadata.name}." for d in devices)
    return [str(u.journal) for u in UnitDirectory.all(home) if u.unit.startswith(prefixes) and u.journal.exists()]


def _obstacle(home: Path, devices: list[LabDevice]) -> str | None:
    """Why none of the units that could take the run can work; None if one can, or none has said anything yet."""
    prefixes = tuple(f"{d.metadata.namespace}.{d.metadata.name}." for d in devices)
    found = []
    for unit in UnitDirectory.all(home):
        if not prefixes or not unit.unit.startswith(prefixes) or not unit.status.exists():
            continue
        status = json.loads(unit.status.read_text(encoding="utf-8"))
        if status["state"] not in OBSTACLES:
            return None
        found.append(f"unit {unit.unit} is {status['state']}: {status['reason']}")
    return "; ".join(found) or None


def _stalled_message(conditions: list[Any]) -> str:
    return next((c.message for c in conditions if c.type == ConditionType.READY and c.status != "True"), "")
