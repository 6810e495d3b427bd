"""From a LabDevice to the driver of a board, to everything that is wrong with it, and to its simulator.

Not for opening anything: a driver that was built has not touched the hardware.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_devices.drivers.arduino.checks import static_problems
from labkeeper_devices.drivers.arduino.driver import ArduinoDriver
from labkeeper_devices.drivers.arduino.settings import FORM, BoardConfig
from labkeeper_devices.drivers.base import Simulation
from labkeeper_devices.drivers.common import factory
from labkeeper_devices.drivers.common.document import Setting
from labkeeper_devices.drivers.common.loading import LoadedConfig
from labkeeper_devices.drivers.common.trouble import not_here
from labkeeper_devices.simulators.arduino import find_board

CONNECTION_KEYS: Final = {"port": "device", "baudrate": "baudrate"}
"""Fields of `spec.connection` and the settings that they win over."""


def loaded(spec: LabDeviceSpec, base_dir: Path) -> LoadedConfig[BoardConfig]:
    """The configuration of a LabDevice. Raises `InvalidInput` with everything that is wrong."""
    given = {
        key: Setting(value, f"spec.connection.{name}")
        for name, key in CONNECTION_KEYS.items()
        if spec.connection is not None and (value := getattr(spec.connection, name)) is not None
    }
    return FORM.of_device(spec, base_dir, given)


def build(spec: LabDeviceSpec, base_dir: Path, simulation_port: str | None = None) -> ArduinoDriver:
    """The driver of a LabDevice. `simulation_port`: the simulator's port, when the spec asks for a simulator.

    Raises `InvalidInput`, also when there is a simulator that the spec does not ask for, or the other way round.
    """
    config = loaded(spec, base_dir).config
    simulation: Simulation | None = factory.simulation_of(spec, simulation_port)
    return ArduinoDriver(config, port=simulation_port, simulation=simulation)


def validate(spec: LabDeviceSpec, base_dir: Path, *, on_this_machine: bool = True) -> list[Problem]:
    """Everything that is wrong with a LabDevice, without opening anything.

    `on_this_machine`: also whether the serial port exists here; never looked at for simulated devices.
    """
    try:
        found = loaded(spec, base_dir)
    except InvalidInput as error:
        return list(error.problems)
    wrong = not_here(found.config.device) if spec.simulate is None and on_this_machine else None
    return [found.problem("device", *wrong)] if wrong else []


def parameter_problems(
    spec: LabDeviceSpec, base_dir: Path, operation: str, parameters: Mapping[str, Any], path: str = "spec.parameters"
) -> list[Problem]:
    """What is wrong with an operation's parameters for this board, such as a pump that it does not have."""
    return factory.parameter_problems(
        lambda wanted: static_problems(loaded(spec, base_dir).config, wanted), operation, parameters, path
    )


def simulator_command(spec: LabDeviceSpec, state_dir: Path, base_dir: Path) -> list[str]:
    """The command that runs the simulated board of a LabDevice in the foreground; its port is `state_dir/port`.

    Its pumps move what the configuration says. Raises `InvalidInput`, also when the spec asks for no simulator.
    """
    if spec.simulate is None:
        raise InvalidInput([Problem("spec.simulate", "asks for no simulator")])
    config = loaded(spec, base_dir).config
    return [
        *(sys.executable, "-m", "labkeeper_devices.simulators.arduino"),
        f"--state-dir={state_dir}",
        f"--time-factor={spec.simulate.time_factor}",
        f"--baudrate={config.baudrate}",
        f"--flows={','.join(map(str, config.pumps_ml_per_s))}",
        f"--baths={config.baths}",
        f"--bases={config.bases}",
    ]


def simulator_port(state_dir: Path) -> str | None:
    """The port of the simulator that runs with its files in that folder; None while none does."""
    found = find_board(state_dir)
    return str(found.port) if found is not None else None
