"""From a LabDevice to the driver of an OT-2, to everything that is wrong with it, and to its simulator.

The simulator is a project of its own with a Python of its own (`images/ot2-simulator`): it is started, never imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import ValidationError

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.ot2 import LoadCustomLabware
from labkeeper_devices.drivers.base import Simulation
from labkeeper_devices.drivers.ot2.driver import OT2Driver
from labkeeper_devices.drivers.ot2.http import HEADERS
from labkeeper_devices.drivers.ot2.orders import definition_problems

SIMULATOR_VARIABLE: Final = "LABKEEPER_OT2_SIMULATOR"
"""Environment variable with the path of a Python that can import `ot2_simulator`."""
SIMULATOR_FOLDER: Final = Path("images/ot2-simulator")
LOOK_SECONDS: Final = 2.0


def build(spec: LabDeviceSpec, simulator: str | None = None) -> OT2Driver:
    """The driver of a LabDevice. `simulator`: the simulator's `host:port`, when the spec asks for one.

    Raises `InvalidInput`, also when there is a simulator that the spec does not ask for, or the other way round.
    """
    problems = validate(spec)
    if problems:
        raise InvalidInput(problems)
    if spec.simulate is None:
        if simulator is not None:
            raise InvalidInput([Problem("spec.simulate", "a simulator was given, but the spec asks for none")])
        assert spec.connection is not None  # noqa: S101 - validated above
        assert spec.connection.address is not None  # noqa: S101
        return OT2Driver(spec.connection.address)
    if simulator is None:
        raise InvalidInput([Problem("spec.simulate", "asks for a simulator, but none was given")])
    return OT2Driver(simulator, simulation=Simulation(spec.simulate.time_factor))


def validate(spec: LabDeviceSpec) -> list[Problem]:
    """Everything that is wrong with a LabDevice of an OT-2, without asking the robot."""
    found = []
    connection = spec.connection
    if spec.simulate is None and (connection is None or connection.address is None):
        hint = "give the robot's IP address or host name, such as 169.254.69.185"
        found.append(Problem("spec.connection.address", "an OT-2 is reached over the network", hint))
    for name in ("port", "baudrate", "id"):
        if connection is not None and getattr(connection, name) is not None:
            hint = "give spec.connection.address"
            found.append(Problem(f"spec.connection.{name}", "an OT-2 has no serial line", hint))
    if spec.config is not None:
        found.append(Problem("spec.config", "the OT-2 driver has no configuration of its own", "leave it out"))
    return found


def parameter_problems(operation: str, parameters: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with an operation's parameters beyond its schema, such as custom labware without a definition."""
    spec_of = OPERATIONS.get(operation)
    if spec_of is None or spec_of.parameters is not LoadCustomLabware:
        return []
    try:
        wanted = LoadCustomLabware.model_validate(dict(parameters))
    except ValidationError:
        return []
    return [Problem(f"spec.parameters.{p.path}", p.message, p.hint) for p in definition_problems(wanted)]


def simulator_command(spec: LabDeviceSpec, state_dir: Path) -> list[str]:
    """The command that runs the simulator of a LabDevice in the foreground; its address is in `state_dir/address`.

    Raises `InvalidInput`, also when the spec asks for no simulator or there is none on this host.
    """
    if spec.simulate is None:
        raise InvalidInput([Problem("spec.simulate", "asks for no simulator")])
    return [
        *(str(simulator_python()), "-m", "ot2_simulator", "--port=0"),
        f"--state-dir={state_dir}",
        f"--time-factor={spec.simulate.time_factor}",
    ]


def simulator_python() -> Path:
    """A Python that can import `ot2_simulator`: $LABKEEPER_OT2_SIMULATOR, else the checkout's own.

    Raises `InvalidInput` that says how to make one.
    """
    given = os.environ.get(SIMULATOR_VARIABLE)
    if given:
        path = Path(given).expanduser()
        if os.access(path, os.X_OK) and path.is_file():
            return path.absolute()
        hint = "set it to a Python that can import ot2_simulator, or unset it"
        raise InvalidInput(
            [Problem("spec.simulate", f"{SIMULATOR_VARIABLE} is {given}: there is no such program", hint)]
        )
    checkout = Path(__file__).parents[4] / SIMULATOR_FOLDER
    path = checkout / ".venv/bin/python"
    if path.exists():
        return path
    how = (
        "`make setup` makes it"
        if (checkout / "pyproject.toml").exists()
        else f"install images/ot2-simulator of Labkeeper's repository, and set {SIMULATOR_VARIABLE} to its Python"
    )
    raise InvalidInput([Problem("spec.simulate", f"the OT-2 simulator is not installed: no {path}", how)])


def simulator_address(state_dir: Path) -> str | None:
    """`host:port` of the simulator that runs with its files in that folder; None while none answers there.

    A file left over by one that was killed does not count.
    """
    try:
        address = (state_dir / "address").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    try:
        answer = httpx.get(f"http://{address}/health", headers=HEADERS, timeout=LOOK_SECONDS, trust_env=False)
        simulated = answer.is_success and answer.json().get("simulated") is True
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    return address if simulated else None
