"""What factories of drivers share: whether a simulator is asked for and there, and parameters for one very device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.base import Simulation


def simulation_of(spec: LabDeviceSpec, address: str | None) -> Simulation | None:
    """The simulation that a LabDevice asks for, None for hardware. `address`: where the simulator is.

    Raises `InvalidInput` when there is a simulator that the spec does not ask for, or the other way round: neither may
    hardware be taken for a simulation nor a simulation for hardware.
    """
    if spec.simulate is None:
        if address is not None:
            raise InvalidInput([Problem("spec.simulate", "a simulator's port was given, but the spec asks for none")])
        return None
    if address is None:
        raise InvalidInput([Problem("spec.simulate", "asks for a simulator, but no simulator's port was given")])
    return Simulation(spec.simulate.time_factor)


def parameter_problems(
    problems: Callable[[Parameters], list[Problem]], operation: str, parameters: Mapping[str, Any], path: str
) -> list[Problem]:
    """What `problems` says about an operation's parameters, below `path`.

    What the operation's own schema refuses is not repeated here, nor is what is wrong with the LabDevice.
    """
    spec = OPERATIONS.get(operation)
    if spec is None:
        return []
    try:
        found = problems(spec.parameters.model_validate(dict(parameters)))
    except (InvalidInput, ValidationError):
        return []
    return [Problem(f"{path}.{p.path}", p.message, p.hint, p.line, p.source) for p in found]
