"""A small lab in memory at the runner's port: as the agents, it journals by key, and does what a test scripts.

It stands for agents and hardware where the runner's own decisions are tested; the agents have tests of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from labkeeper_api.errors import DeviceUnreachable, LabkeeperError
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.ledgers import TipLedger
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.outcome import RunOutcome
from labkeeper_flows.canvas_run.ports import DeviceInfo, StepKey
from labkeeper_flows.canvas_run.settings import PlanInputs, RunSettings

Script = Callable[[Role, StepKey, str, dict[str, Any]], Performed | LabkeeperError | None]
"""What happens instead of success; None is success."""


def measured(technique: str, element: int = 1) -> dict[str, Any]:
    """A few plausible rows of one element."""
    if technique == "PEIS":
        rows = [[float(at), 10.0 ** (4 - at), 50.0 + at, 40.0 + at, -10.0 - at, -12.0 + at, 1] for at in range(1, 5)]
        return {"technique": technique, "ac": {"columns": AC, "rows": rows}}
    rows = [[float(at), -0.004, -0.9 - at / 100 - element / 10] for at in range(8)]
    return {"technique": technique, "dc": {"columns": DC, "rows": rows}}


DC = ["timestamp_s", "current_A", "we_voltage_V"]
AC = ["timestamp", "frequency", "absoluteImpedance", "realImpedance", "imagImpedance", "phaseAngle", "numberOfCycles"]


@dataclass
class Lab:
    """The agents of a lab with their journals, which outlive any run. Also the `Devices` of a run."""

    script: Script = lambda role, key, operation, parameters: None
    simulated: bool = True
    time_factor: float | None = 1_000_000.0
    log: list[tuple[str, StepKey, str, str]] = field(default_factory=list)
    """(role, key, operation, parameters) of everything that was done, in order."""
    physical: frozenset[str] = frozenset(
        {
            "move_to_well",
            "pickup_tip",
            "aspirate",
            "dispense",
            "drop_tip",
            "blowout",
            "home_robot",
            "pump",
            "ultrasonic",
            "set_temperature",
            "start_experiment",
            "set_lights",
        }
    )
    held: int = 0
    interrupts: int = 0
    under_way: set[Role] = field(default_factory=set)
    overlapped: set[frozenset[Role]] = field(default_factory=set)
    interrupted: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    journal: dict[tuple[Role, StepKey], tuple[str, dict[str, Any]]] = field(default_factory=dict)
    elements: list[dict[str, Any]] = field(default_factory=list)

    def reserve(self) -> tuple[DeviceInfo, ...]:
        self.held += 1
        roles = (Role.OT2, Role.ARDUINO, Role.SQUIDSTAT)
        return tuple(DeviceInfo(it, f"{it.value}-1", it.value, self.simulated, self.time_factor) for it in roles)

    def release(self) -> None:
        self.held -= 1

    def interrupt(self) -> None:
        self.interrupts += 1
        self.interrupted.set()

    def perform(self, role: Role, key: StepKey, operation: str, parameters: dict[str, Any]) -> Performed:
        assert self.held == 1
        with self.lock:
            assert role not in self.under_way, f"two commands at once to {role}"
            self.under_way.add(role)
            self.overlapped.add(frozenset(self.under_way))
        try:
            return self._perform(role, key, operation, parameters)
        finally:
            with self.lock:
                self.under_way.discard(role)

    def _perform(self, role: Role, key: StepKey, operation: str, parameters: dict[str, Any]) -> Performed:
        text = json.dumps(parameters, sort_keys=True)
        old = self.journal.get((role, key))
        if old is not None:
            assert old[0] == f"{operation} {text}", f"the key {key} was used for something else"
            return Performed(outcome="succeeded", result=old[1], replayed=True)
        scripted = self.script(role, key, operation, parameters)
        if isinstance(scripted, LabkeeperError):
            raise scripted
        if scripted is not None and scripted.outcome != "succeeded":
            return scripted
        result = self._result(operation, parameters)
        with self.lock:
            self.log.append((role.value, key, operation, text))
        if operation in self.physical:
            self.journal[role, key] = (f"{operation} {text}", result)
        return Performed(outcome="succeeded", result=result)

    def _result(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation == "build_experiment":
            self.elements = parameters["elements"]
        if operation == "wait_until_idle":
            done = [measured(it["technique"], at) for at, it in enumerate(self.elements, start=1)]
            return {"elements": done, "simulated": self.simulated}
        return {"done": operation}

    def commands(self, role: Role | None = None) -> list[str]:
        """What was done, without keys: `operation parameters`."""
        return [f"{operation} {text}" for by, _, operation, text in self.log if role is None or by == role.value]

    def physical_keys(self) -> list[tuple[str, StepKey]]:
        """Keys of the physical commands that were done, in order."""
        return [(role, key) for role, key, operation, _ in self.log if operation in self.physical]


class Clock:
    """Time that goes on by a second at each look."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def settings(folder: Path, canvas: str = "", **more: Any) -> RunSettings:
    """Settings of a run called r1 below a folder."""
    values = {"run_id": "r1", "directory": folder / "runs" / "r1", "data_root": folder / "work", "clock": Clock()}
    return RunSettings(canvas=canvas, **{**values, **more})


def planned(canvas: dict[str, Any] | str | bytes, tips: dict[str, tuple[str, ...]] | None = None) -> CanvasPlan:
    """The plan of a canvas."""
    text = json.dumps(canvas) if isinstance(canvas, dict) else canvas
    return plan_text(text, tips=TipLedger(tips))


def run(
    canvas: dict[str, Any] | str | bytes, lab: Lab, folder: Path, events: list[Any] | None = None, **more: Any
) -> RunOutcome:
    """Plan a canvas and carry it out."""
    text = canvas if isinstance(canvas, str) else canvas.decode() if isinstance(canvas, bytes) else json.dumps(canvas)
    tips = more.pop("gone", {})
    chosen = settings(folder, text, inputs=PlanInputs(tips=tips), **more)
    seen = events if events is not None else []
    return CanvasRun(planned(text, tips), lab, chosen, tell=seen.append).carry_out()


def unreachable() -> LabkeeperError:
    """What the port raises when an agent is away for good."""
    return DeviceUnreachable("the agent does not answer")
