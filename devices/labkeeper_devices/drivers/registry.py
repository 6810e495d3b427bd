"""Which driver a LabDevice names, and how it is built, validated and simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers import plate_resort
from labkeeper_devices.drivers.base import Driver


@dataclass(frozen=True)
class DriverKind:
    """One driver: `build(spec, folder, port)`, `validate(spec, folder)`, `simulator(spec, state_dir)`."""

    build: Callable[[LabDeviceSpec, Path, Path | None], Driver]
    validate: Callable[[LabDeviceSpec, Path], list[Problem]]
    simulator: Callable[[LabDeviceSpec, Path], list[str]]


DRIVERS: dict[str, DriverKind] = {
    "plate-resort": DriverKind(plate_resort.build, plate_resort.validate, plate_resort.simulator_command),
}
"""Every driver by the name that a LabDevice gives."""


def kind_of(spec: LabDeviceSpec) -> DriverKind:
    """The driver that a LabDevice names. Raises `InvalidInput`."""
    kind = DRIVERS.get(spec.driver)
    if kind is None:
        hint = did_you_mean(spec.driver, DRIVERS)
        raise InvalidInput([Problem("spec.driver", f"there is no driver {spec.driver!r}", hint)])
    return kind


def simulator_command(spec: LabDeviceSpec, state_dir: Path) -> list[str]:
    """The command that starts the device's simulator. Raises `InvalidInput`."""
    return kind_of(spec).simulator(spec, state_dir)
