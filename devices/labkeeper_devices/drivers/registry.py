"""Which driver a LabDevice names, and how it is built, validated and simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers import arduino, ot2, plate_resort, squidstat
from labkeeper_devices.drivers.base import Driver


@dataclass(frozen=True)
class DriverKind:
    """One driver. Every `Path` that comes first is the folder that paths in the LabDevice are relative to."""

    build: Callable[[LabDeviceSpec, Path, str | None], Driver]
    """The driver; the last argument is the simulator's address, for a simulated device."""
    validate: Callable[[LabDeviceSpec, Path, bool], list[Problem]]
    """What is wrong with the LabDevice; with True also what of it is not on this host, such as its serial port."""
    parameter_problems: Callable[[LabDeviceSpec, Path, str, Mapping[str, Any]], list[Problem]]
    """What is wrong with an operation's parameters for this very device."""
    simulator: Callable[[LabDeviceSpec, Path, Path], list[str]]
    """The command that starts the simulator, which keeps its files in the last argument."""
    simulator_address: Callable[[Path], str | None]
    """Where the simulator that runs with its files in that folder is reached: a serial port's path, or `host:port`.

    None while none runs.
    """


DRIVERS: dict[str, DriverKind] = {
    "arduino": DriverKind(
        build=arduino.build,
        validate=lambda spec, folder, here: arduino.validate(spec, folder, on_this_machine=here),
        parameter_problems=arduino.parameter_problems,
        simulator=lambda spec, folder, state: arduino.simulator_command(spec, state, folder),
        simulator_address=arduino.simulator_port,
    ),
    "plate-resort": DriverKind(
        build=plate_resort.build,
        validate=lambda spec, folder, here: plate_resort.validate(spec, folder, on_this_machine=here),
        parameter_problems=plate_resort.parameter_problems,
        simulator=lambda spec, folder, state: plate_resort.simulator_command(spec, state, folder),
        simulator_address=plate_resort.simulator_port,
    ),
    "ot2": DriverKind(
        build=lambda spec, _folder, address: ot2.build(spec, address),
        validate=lambda spec, _folder, _here: ot2.validate(spec),
        parameter_problems=lambda _spec, _folder, operation, given: ot2.parameter_problems(operation, given),
        simulator=lambda spec, _folder, state: ot2.simulator_command(spec, state),
        simulator_address=ot2.simulator_address,
    ),
    "squidstat": DriverKind(
        build=squidstat.build,
        validate=lambda spec, folder, _: squidstat.validate(spec, folder),
        parameter_problems=squidstat.parameter_problems,
        simulator=lambda spec, folder, state: squidstat.simulator_command(spec, state, folder),
        simulator_address=squidstat.simulator_address,
    ),
}
"""Every driver by the name that a LabDevice gives."""


def kind_of(spec: LabDeviceSpec) -> DriverKind:
    """The driver that a LabDevice names. Raises `InvalidInput`."""
    kind = DRIVERS.get(spec.driver)
    if kind is None:
        hint = did_you_mean(spec.driver, DRIVERS)
        raise InvalidInput([Problem("spec.driver", f"there is no driver {spec.driver!r}", hint)])
    return kind


def simulator_command(spec: LabDeviceSpec, folder: Path, state_dir: Path) -> list[str]:
    """The command that starts the device's simulator. Raises `InvalidInput`."""
    return kind_of(spec).simulator(spec, folder, state_dir)
