"""What a run needs of the lab's devices, whoever reaches them: the runner knows neither sockets nor Prefect.

`labkeeper.canvas` implements it over the agents' control sockets; tests may implement it in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.steps import Role


@dataclass(frozen=True)
class StepKey:
    """Which command of a run, the same on every attempt to resume it: node, cycle of its loop, number in the cycle."""

    node: str
    cycle: int
    ordinal: int


@dataclass(frozen=True)
class DeviceInfo:
    """The device that a role was resolved to."""

    role: Role
    unit: str
    driver: str
    simulated: bool
    time_factor: float | None


class Devices(Protocol):
    """The devices of one run. Methods are blocking and may be called from several threads, one at a time per role."""

    def reserve(self) -> tuple[DeviceInfo, ...]:
        """Hold every device of the run. Raises `LabkeeperError` when one cannot be had; then none is held."""

    def perform(self, role: Role, key: StepKey, operation: str, parameters: dict[str, Any]) -> Performed:
        """Carry out one operation (without the driver's name). Waits for an agent that is away, and asks it again.

        Raises `LabkeeperError` when the device cannot be reached any more.
        """

    def interrupt(self) -> None:
        """Stop whatever is under way on any device. From any thread."""

    def release(self) -> None:
        """Let all devices go."""
