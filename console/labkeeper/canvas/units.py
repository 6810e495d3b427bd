"""The units of one run: the agents that run in this home, and those that are started for the run alone.

Only brings together `lab_devices` and `embedded.standalone`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labkeeper.canvas.lab_devices import Placed
from labkeeper.embedded.standalone import running_units
from labkeeper_api.kinds import LabDevice
from labkeeper_api.kinds.labdevice import UnitState
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_flows.canvas.steps import Role


@contextmanager
def units_of(
    home: Path, devices: Mapping[Role, Placed], say: Callable[[str], None]
) -> Iterator[dict[Role, UnitClient]]:
    """Have an agent for each device. Raises `LabkeeperError` when one cannot be used."""
    by_folder: dict[Path, list[LabDevice]] = {}
    for placed in devices.values():
        by_folder.setdefault(placed.folder, []).append(placed.device)
    with ExitStack() as stack:
        units: dict[str, UnitClient] = {}
        for folder, found in by_folder.items():
            units.update(stack.enter_context(running_units(home, found, folder=folder, tell=say)))
        yield {role: units[placed.device.metadata.key] for role, placed in devices.items()}


def held(units: Iterable[UnitClient]) -> list[str]:
    """What a person has to do about those of the units that are Held."""
    lines = []
    for client in units:
        try:
            status = client.status()
        except NoAgent:
            continue
        if status["state"] == UnitState.HELD.value:
            lines.append(f"unit {client.unit} is Held: {status['reason']}. {acknowledging(client.unit)}")
    return lines


def acknowledging(unit: str) -> str:
    """How a person ends that a unit is Held."""
    return f"Look at the hardware, then say how the command really ended: labkeeper device acknowledge {unit}"
