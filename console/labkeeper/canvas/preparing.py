"""A canvas file and what a person asked for -> everything that a run needs, or everything that is wrong. Starts nothing."""

from __future__ import annotations

import platform
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkeeper.canvas import lab_devices
from labkeeper.canvas.lab_devices import DRY_RUN_FACTOR, DRY_RUN_NAMESPACE, Placed
from labkeeper_api.wire import unit_name
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_flows.canvas.ledgers import TipLedger
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.record import RunRecord
from labkeeper_flows.canvas_run.recovery import RecoveryConfig, read_recovery
from labkeeper_flows.canvas_run.settings import PlanInputs, RunSettings
from labkeeper_flows.canvas_run.tips import TipStore


@dataclass(frozen=True)
class Asked:
    """What a person asked for. `policies` is a recovery file; `export_dir` is what relative paths of the canvas mean."""

    home: Path
    dry_run: bool = False
    time_factor: float | None = None
    lab: Path | None = None
    policies: Path | None = None
    export_dir: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """A run that may begin."""

    plan: CanvasPlan
    settings: RunSettings
    devices: Mapping[Role, Placed]

    @property
    def title(self) -> str:
        """For people and for the reservation of the devices."""
        return f"{self.plan.name} ({self.settings.run_id})"

    def unit(self, role: Role) -> str:
        """Name of the unit that serves a role on this host."""
        return unit_of(self.devices[role])


def prepare(text: str | bytes, source: str, asked: Asked, *, beside: Path | None = None) -> Prepared:
    """Plan a canvas for a new run. Raises `InvalidInput` with everything that is wrong."""
    first = plan_text(text, source)
    devices = devices_of(first, asked, beside)
    recovery = read_recovery(asked.policies) if asked.policies is not None else None
    tips = TipStore(asked.home / "tips.json")
    inputs = inputs_of(devices, tips)
    policies = recovery.policies() if recovery is not None else None
    plan = plan_text(text, source, tips=TipLedger(inputs.tips), policies=policies)
    run_id = new_run_id(plan.name)
    settings = RunSettings(
        run_id=run_id,
        directory=run_directory(asked.home, run_id),
        canvas=text.decode("utf-8-sig") if isinstance(text, bytes) else text,
        source=source,
        inputs=inputs,
        dry_run=asked.dry_run,
        data_root=(asked.export_dir or Path.cwd()).absolute(),
        tips=None if asked.dry_run else tips,
        recovery=recovery or RecoveryConfig(),
    )
    return Prepared(plan, settings, devices)


def devices_of(plan: CanvasPlan, asked: Asked, beside: Path | None) -> dict[Role, Placed]:
    """The devices that the plan runs on. Raises `InvalidInput`."""
    found = lab_devices.lab_devices(asked.lab, beside)
    if asked.dry_run:
        return lab_devices.simulated(plan.connections, plan.roles, found, asked.time_factor or DRY_RUN_FACTOR)
    return lab_devices.chosen(plan.connections, plan.roles, found)


def prepare_again(run_id: str, asked: Asked) -> Prepared:
    """Take up a run where its record ends. Raises `Stalled` when there is none that can be read, `InvalidInput`."""
    directory = run_directory(asked.home, run_id)
    record = RunRecord.load(directory)
    header = record.header
    plan = record.plan(own_policies=bool(header.get("own_policies")))
    dry_run = bool(header["dry_run"])
    again = Asked(asked.home, dry_run, asked.time_factor, asked.lab, None, asked.export_dir)
    source = str(header["source"])
    devices = devices_of(plan, again, Path(source) if Path(source).is_file() else None)
    tips = None if dry_run else TipStore(asked.home / "tips.json")
    settings = RunSettings(
        run_id=run_id,
        directory=directory,
        canvas=str(header["canvas"]),
        source=source,
        inputs=record.inputs,
        dry_run=dry_run,
        data_root=(asked.export_dir or Path.cwd()).absolute(),
        tips=tips,
        recovery=record.recovery,
    )
    return Prepared(plan, settings, devices)


def inputs_of(devices: Mapping[Role, Placed], tips: TipStore) -> PlanInputs:
    """What the plan depends on beside the canvas: the tips that this robot has used up. A dry run has full racks."""
    robot = devices.get(Role.OT2)
    if robot is None or robot.device.metadata.namespace == DRY_RUN_NAMESPACE:
        return PlanInputs()
    return PlanInputs(tips=tips.used(unit_of(robot)))


def unit_of(placed: Placed) -> str:
    """Name of the device's unit on this host."""
    metadata = placed.device.metadata
    return unit_name(metadata.namespace, metadata.name, platform.node())


def unit_directory(home: Path, placed: Placed) -> UnitDirectory:
    """Where that unit keeps its things."""
    return UnitDirectory.of(home, unit_of(placed))


def run_directory(home: Path, run_id: str) -> Path:
    """The folder of one run."""
    return home / "runs" / run_id


def new_run_id(name: str) -> str:
    """An id that no other run has and that a person can type: name, moment and four random letters."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "canvas"
    return f"{word}-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
