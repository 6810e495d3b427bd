"""A canvas and what a person asked for -> all that a run needs, or all that is wrong. Starts nothing."""

from __future__ import annotations

import platform
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkeeper.canvas import lab_devices
from labkeeper.canvas.lab_devices import DRY_RUN_FACTOR, Placed
from labkeeper.embedded.devices import TIPS
from labkeeper_api.wire import unit_name
from labkeeper_devices.agent.host import read_json, write_durably
from labkeeper_flows.canvas.ledgers import TipLedger
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.record import RunRecord
from labkeeper_flows.canvas_run.recovery import RecoveryConfig, read_recovery
from labkeeper_flows.canvas_run.settings import PlanInputs, RunSettings
from labkeeper_flows.canvas_run.tips import TipStore

ASKED = "asked.json"
"""In the run's folder: what was asked for, beyond what the run's record tells."""


@dataclass(frozen=True)
class Asked:
    """What a person asked for. `policies`: a recovery file; `export_dir`: what relative paths are relative to.

    `lab` and `beside` are where the LabDevices stand: manifests that were named, and the file that others stand beside.
    """

    home: Path
    dry_run: bool = False
    time_factor: float | None = None
    lab: Path | None = None
    beside: Path | None = None
    policies: Path | None = None
    export_dir: Path | None = None

    def keep(self, directory: Path) -> None:
        """Write it down, so that a run is resumed as it was begun."""
        paths = {"lab": self.lab, "beside": self.beside, "export_dir": self.data_root}
        kept = {name: str(path.absolute()) if path is not None else None for name, path in paths.items()}
        directory.mkdir(parents=True, exist_ok=True)
        own = self.policies is not None
        write_durably(directory / ASKED, {**kept, "time_factor": self.time_factor, "own_policies": own})

    @property
    def data_root(self) -> Path:
        """What relative paths of the canvas are relative to."""
        return (self.export_dir or Path.cwd()).absolute()


@dataclass(frozen=True)
class Prepared:
    """A run that may begin."""

    plan: CanvasPlan
    settings: RunSettings
    devices: Mapping[Role, Placed]
    asked: Asked

    @property
    def title(self) -> str:
        """For people and for the reservation of the devices."""
        return f"{self.plan.name} ({self.settings.run_id})"


Choose = Callable[[CanvasPlan], dict[Role, Placed]]
"""Which devices a plan runs on. May raise `InvalidInput`."""


def prepare(
    text: str | bytes, source: str, asked: Asked, *, run_id: str | None = None, choose: Choose | None = None
) -> Prepared:
    """Plan a canvas for a new run. Raises `InvalidInput` with everything that is wrong.

    `run_id` is a new one, and the devices are those of `asked`, unless given.
    """
    first = plan_text(text, source)
    devices = choose(first) if choose is not None else devices_of(first, asked)
    recovery = read_recovery(asked.policies) if asked.policies is not None else None
    inputs = _inputs(devices, _tip_store(asked))
    policies = recovery.policies() if recovery is not None else None
    plan = plan_text(text, source, tips=TipLedger(inputs.tips), policies=policies)
    identity = run_id or new_run_id(plan.name)
    settings = RunSettings(
        run_id=identity,
        directory=run_directory(asked.home, identity),
        canvas=text.decode("utf-8-sig") if isinstance(text, bytes) else text,
        source=source,
        inputs=inputs,
        dry_run=asked.dry_run,
        data_root=asked.data_root,
        tips=_tip_store(asked),
        recovery=recovery or RecoveryConfig(),
    )
    return Prepared(plan, settings, devices, asked)


def devices_of(plan: CanvasPlan, asked: Asked) -> dict[Role, Placed]:
    """The devices that the plan runs on. Raises `InvalidInput`."""
    found = lab_devices.lab_devices(asked.lab, asked.beside, asked.home)
    if asked.dry_run:
        return lab_devices.simulated(plan.connections, plan.roles, found, asked.time_factor or DRY_RUN_FACTOR)
    return lab_devices.chosen(plan.connections, plan.roles, found)


def prepare_again(run_id: str, asked: Asked, *, choose: Choose | None = None) -> Prepared:
    """Take up a run where its record ends, as it was begun; `asked` may name another lab.

    Raises `Stalled` when there is no record that can be read, and `InvalidInput`.
    """
    directory = run_directory(asked.home, run_id)
    record = RunRecord.load(directory)
    kept = read_json(directory / ASKED) or {}
    again = Asked(
        home=asked.home,
        dry_run=bool(record.header["dry_run"]),
        time_factor=asked.time_factor or kept.get("time_factor"),
        lab=asked.lab or _path(kept.get("lab")),
        beside=_path(kept.get("beside")),
        export_dir=asked.export_dir or _path(kept.get("export_dir")),
    )
    plan = record.plan(own_policies=bool(kept.get("own_policies")))
    settings = RunSettings(
        run_id=run_id,
        directory=directory,
        canvas=str(record.header["canvas"]),
        source=str(record.header["source"]),
        inputs=record.inputs,
        dry_run=again.dry_run,
        data_root=again.data_root,
        tips=_tip_store(again),
        recovery=record.recovery,
    )
    devices = choose(plan) if choose is not None else devices_of(plan, again)
    return Prepared(plan, settings, devices, again)


def _path(text: object) -> Path | None:
    return Path(text) if isinstance(text, str) else None


def _tip_store(asked: Asked) -> TipStore | None:
    """The lab's tip ledger. A dry run has full racks and takes nobody's tips."""
    return None if asked.dry_run else TipStore(asked.home / TIPS)


def _inputs(devices: Mapping[Role, Placed], tips: TipStore | None) -> PlanInputs:
    """What the plan depends on beside the canvas: the tips that this robot has used up."""
    robot = devices.get(Role.OT2)
    return PlanInputs(tips=tips.used(unit_of(robot))) if robot is not None and tips is not None else PlanInputs()


def unit_of(placed: Placed) -> str:
    """Name of the device's unit on this host."""
    metadata = placed.device.metadata
    return unit_name(metadata.namespace, metadata.name, platform.node())


def run_directory(home: Path, run_id: str) -> Path:
    """The folder of one run."""
    return home / "runs" / run_id


def new_run_id(name: str) -> str:
    """An id that no other run has and that a person can type: name, moment and four random letters."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "canvas"
    return f"{word}-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
