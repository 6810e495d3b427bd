"""From a LabDevice to the driver of a potentiostat, to everything that is wrong with it, and to its simulator.

There is no public SDK package for the instrument, so a LabDevice must ask for the simulator: a driver that pretended to
measure would be worse than none. Not for opening anything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_devices.drivers.common import factory
from labkeeper_devices.drivers.common.loading import LoadedConfig
from labkeeper_devices.drivers.squidstat.checks import static_problems
from labkeeper_devices.drivers.squidstat.driver import SquidstatDriver
from labkeeper_devices.drivers.squidstat.settings import FORM, PotentiostatConfig
from labkeeper_devices.simulators.squidstat import find_potentiostat

NO_HARDWARE: Final = Problem(
    "spec.simulate",
    "the driver squidstat cannot drive a real potentiostat: its maker publishes no SDK package",
    "add `simulate: {}` to drive the simulator, whose results all say simulated: true",
)


def loaded(spec: LabDeviceSpec, base_dir: Path) -> LoadedConfig[PotentiostatConfig]:
    """The configuration of a LabDevice. Raises `InvalidInput` with everything that is wrong."""
    return FORM.of_device(spec, base_dir)


def build(spec: LabDeviceSpec, base_dir: Path, address: str | None = None) -> SquidstatDriver:
    """The driver of a LabDevice. `address`: the simulator's socket. Raises `InvalidInput`."""
    config = loaded(spec, base_dir).config
    simulation = factory.simulation_of(spec, address)
    if simulation is None or address is None:
        raise InvalidInput([NO_HARDWARE])
    return SquidstatDriver(config, address, simulation)


def validate(spec: LabDeviceSpec, base_dir: Path) -> list[Problem]:
    """Everything that is wrong with a LabDevice, without opening anything."""
    found = [NO_HARDWARE] if spec.simulate is None else []
    try:
        loaded(spec, base_dir)
    except InvalidInput as error:
        found += error.problems
    return found


def parameter_problems(
    spec: LabDeviceSpec, base_dir: Path, operation: str, parameters: Mapping[str, Any], path: str = "spec.parameters"
) -> list[Problem]:
    """What is wrong with an operation's parameters for this instrument, such as a voltage that it cannot apply."""
    return factory.parameter_problems(
        lambda wanted: static_problems(loaded(spec, base_dir).config, wanted), operation, parameters, path
    )


def simulator_command(spec: LabDeviceSpec, state_dir: Path, base_dir: Path) -> list[str]:
    """The command that runs the simulated potentiostat of a LabDevice in the foreground.

    It can do what the configuration says. Raises `InvalidInput`, also when the spec asks for no simulator.
    """
    if spec.simulate is None:
        raise InvalidInput([NO_HARDWARE])
    config = loaded(spec, base_dir).config
    return [
        *(sys.executable, "-m", "labkeeper_devices.simulators.squidstat"),
        f"--state-dir={state_dir}",
        f"--time-factor={spec.simulate.time_factor}",
        f"--channels={config.channels}",
        f"--voltage-limit={config.voltage_limit_v}",
        f"--current-limit={config.current_limit_a}",
    ]


def simulator_address(state_dir: Path) -> str | None:
    """The socket of the simulator that runs with its files in that folder; None while none does."""
    found = find_potentiostat(state_dir)
    return str(found.port) if found is not None else None
