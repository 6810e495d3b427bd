"""Which LabDevices a canvas or protocol runs on: those of the lab's manifests, or simulated ones for a dry run.

Decides only; nothing is started or reached. A simulation is never chosen by itself: it stands in the LabDevice, or a
person asked for a dry run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper import files as manifest_files
from labkeeper.canvas.resolution import resolve
from labkeeper.embedded.standalone import running_devices
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import LabDevice
from labkeeper_api.kinds.labdevice import Connection, LabDeviceSpec, Simulate
from labkeeper_api.meta import ObjectMeta
from labkeeper_devices.drivers.registry import DRIVERS
from labkeeper_flows.canvas.steps import HARDWARE, Role

DRY_RUN_NAMESPACE = "dry-run"
"""Namespace of the devices of dry runs, so that they have units, journals and tip ledgers of their own."""
DRY_RUN_FACTOR = 1000.0

Connections = Mapping[Role, Mapping[str, Any]]


@dataclass(frozen=True)
class Placed:
    """A LabDevice and the folder that paths in it are relative to."""

    device: LabDevice
    folder: Path


def lab_devices(lab: Path | None, beside: Path | None, home: Path) -> list[Placed]:
    """The lab's LabDevices: of the file or folder that was given, else of what stands beside a file, else those whose
    agents run in this home.

    Raises `InvalidInput` with everything that is wrong with what was given.
    """
    if lab is not None:
        loaded = manifest_files.load([lab], with_siblings=False)
        if loaded.problems:
            raise InvalidInput(loaded.problems)
        manifests = loaded.manifests
    elif beside is not None:
        manifests = manifest_files.load([beside], with_siblings=True).beside
    else:
        manifests = []
    found = [Placed(m.object, m.folder) for m in manifests if isinstance(m.object, LabDevice)]
    return found or ([] if lab is not None else running(home))


def running(home: Path, namespace: str | None = None) -> list[Placed]:
    """The LabDevices whose agents run in this home, of one namespace or of all."""
    found = running_devices(home).values()
    return [Placed(device, Path.cwd()) for device in found if namespace in (None, device.metadata.namespace)]


def chosen(connections: Connections, roles: Iterable[Role], devices: Iterable[Placed]) -> dict[Role, Placed]:
    """The device of each hardware role. Raises `InvalidInput` with one problem for each role that has none."""
    placed = list(devices)
    try:
        found = resolve(connections, roles, [it.device for it in placed])
    except InvalidInput as error:
        hint = "`--lab FILE` names the lab's manifests; `--dry-run` simulates every device"
        raise InvalidInput([*error.problems, Problem("", "the run needs every device that it names", hint)]) from error
    return {role: next(it for it in placed if it.device is device) for role, device in found.items()}


def simulated(
    connections: Connections, roles: Iterable[Role], devices: Iterable[Placed], time_factor: float
) -> dict[Role, Placed]:
    """A simulated device for each hardware role: as the lab's own where it has one, else with the driver's defaults.

    Raises `InvalidInput` for a role that no driver can simulate.
    """
    placed = list(devices)
    problems = [
        Problem(role.value, f"there is no driver {role.value!r} here, so it cannot be simulated")
        for role in sorted(set(roles) & HARDWARE)
        if role.value not in DRIVERS
    ]
    if problems:
        raise InvalidInput(problems)
    own = as_far_as_there(connections, roles, placed)
    found: dict[Role, Placed] = {}
    for role in sorted(set(roles) & HARDWARE):
        one = own.get(role) or Placed(_made_up(role, connections.get(role, {})), Path.cwd())
        found[role] = Placed(_simulating(one.device, role, time_factor), one.folder)
    return found


def as_far_as_there(connections: Connections, roles: Iterable[Role], devices: Iterable[Placed]) -> dict[Role, Placed]:
    """The device of each hardware role for which the lab has exactly one."""
    placed = list(devices)
    found: dict[Role, Placed] = {}
    for role in set(roles) & HARDWARE:
        with suppress(InvalidInput):
            found.update(chosen(connections, [role], placed))
    return found


def refuse_hardware(devices: Mapping[Role, Placed]) -> None:
    """Raise `InvalidInput` for each device that is not simulated: a dry run in a lab moves no hardware."""
    problems = [
        Problem(
            f"{role.value}.simulate",
            f"LabDevice {it.device.metadata.key} drives hardware, and this is a dry run",
            "a dry run uses only devices with spec.simulate; `labkeeper run --dry-run` makes its own",
        )
        for role, it in sorted(devices.items())
        if it.device.spec.simulate is None
    ]
    if problems:
        raise InvalidInput(problems)


def _made_up(role: Role, said: Mapping[str, Any]) -> LabDevice:
    names = [name for name in dict.fromkeys(v for v in said.values() if isinstance(v, str)) if name][:16]
    spec = LabDeviceSpec(driver=role.value, pool=DRY_RUN_NAMESPACE, connection=Connection(aliases=names))
    return LabDevice(metadata=ObjectMeta(name=role.value), spec=spec)


def _simulating(device: LabDevice, role: Role, time_factor: float) -> LabDevice:
    name = re.sub(r"[^a-z0-9-]", "-", device.metadata.name) or role.value
    spec = device.spec.model_copy(update={"simulate": Simulate(time_factor=time_factor)})
    return LabDevice(metadata=ObjectMeta(name=name, namespace=DRY_RUN_NAMESPACE), spec=spec)
