"""From a LabDevice to the driver of a plate hotel, to everything that is wrong with it, and to its simulator.

Not for opening anything: a driver that was built has not touched the hardware.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_devices.drivers.common import factory
from labkeeper_devices.drivers.common.document import Setting
from labkeeper_devices.drivers.plate_resort.checks import static_problems
from labkeeper_devices.drivers.plate_resort.config import FORM, LoadedConfig, port_problems
from labkeeper_devices.drivers.plate_resort.driver import PlateResortDriver
from labkeeper_devices.simulators.servo import find_servo

CONNECTION_KEYS: Final = {"port": "device", "baudrate": "baudrate", "id": "motor_id"}
"""Fields of `spec.connection` and the settings that they win over."""


def loaded(spec: LabDeviceSpec, base_dir: Path) -> LoadedConfig:
    """The configuration of a LabDevice: the guide's defaults, then its files or inline text, then its connection.

    Relative paths are relative to `base_dir`. Raises `InvalidInput` with everything that is wrong.
    """
    return FORM.of_device(spec, base_dir, _connection(spec))


def build(spec: LabDeviceSpec, base_dir: Path, simulation_port: str | None = None) -> PlateResortDriver:
    """The driver of a LabDevice. `simulation_port`: the simulator's port, when the spec asks for a simulator.

    Raises `InvalidInput`, also when there is a simulator that the spec does not ask for, or the other way round:
    neither may hardware be taken for a simulation nor a simulation for hardware.
    """
    config = loaded(spec, base_dir).config
    simulation = factory.simulation_of(spec, simulation_port)
    return PlateResortDriver(config, port=simulation_port, simulation=simulation)


def validate(spec: LabDeviceSpec, base_dir: Path, *, on_this_machine: bool = True) -> list[Problem]:
    """Everything that is wrong with a LabDevice, without opening anything.

    `on_this_machine`: also whether the serial port exists here; never looked at for simulated devices.
    """
    try:
        found = loaded(spec, base_dir)
    except InvalidInput as error:
        return list(error.problems)
    if spec.simulate is not None or not on_this_machine:
        return []
    return port_problems(found)


def parameter_problems(
    spec: LabDeviceSpec, base_dir: Path, operation: str, parameters: Mapping[str, Any], path: str = "spec.parameters"
) -> list[Problem]:
    """What is wrong with an operation's parameters for this hotel, such as a hotel that it does not have.

    What the operation's own schema refuses is not repeated here, nor is what is wrong with the LabDevice.
    """
    return factory.parameter_problems(
        lambda wanted: static_problems(loaded(spec, base_dir).config, wanted), operation, parameters, path
    )


def simulator_command(spec: LabDeviceSpec, state_dir: Path, base_dir: Path | None = None) -> list[str]:
    """The command that runs the simulated servo of a LabDevice in the foreground; its port is `state_dir/port`.

    Id and baud rate are the configured ones. `base_dir` is what configuration files are relative to; without it they
    are not read. Raises `InvalidInput`, also when the spec asks for no simulator.
    """
    if spec.simulate is None:
        raise InvalidInput([Problem("spec.simulate", "asks for no simulator")])
    unread = base_dir is None and spec.config is not None and spec.config.files is not None
    readable = spec.model_copy(update={"config": None}) if unread else spec
    config = loaded(readable, base_dir or state_dir).config
    return [
        *(sys.executable, "-m", "labkeeper_devices.simulators.servo"),
        f"--state-dir={state_dir}",
        f"--id={config.motor_id}",
        f"--baudrate={config.baudrate}",
        f"--time-factor={spec.simulate.time_factor}",
    ]


def simulator_port(state_dir: Path) -> str | None:
    """The port of the simulator that runs with its files in that folder; None while none does."""
    found = find_servo(state_dir)
    return str(found.port) if found is not None else None


def _connection(spec: LabDeviceSpec) -> dict[str, Setting]:
    if spec.connection is None:
        return {}
    given = {name: getattr(spec.connection, name) for name in CONNECTION_KEYS}
    return {
        CONNECTION_KEYS[name]: Setting(value, f"spec.connection.{name}")
        for name, value in given.items()
        if value is not None
    }
