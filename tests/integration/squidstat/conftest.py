"""A simulated potentiostat in a process of its own, and the real driver on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.base import Interrupt, Simulation
from labkeeper_devices.drivers.squidstat import PotentiostatConfig, SquidstatDriver
from labkeeper_devices.simulators.common.launch import SimulatorProcess
from labkeeper_devices.simulators.squidstat import PotentiostatControl, start_potentiostat

FACTOR = 100.0

OCV = {"technique": "OCV", "duration_s": 20.0, "sample_interval_s": 1.0, "settle_s": 0.0}
DEPOSIT = {
    "technique": "CP",
    "current_a": -0.004,
    "duration_s": 60.0,
    "sample_interval_s": 1.0,
    "voltage_min_v": -1.0,
    "voltage_max_v": 1.0,
}
DISSOLVE = {**DEPOSIT, "current_a": 0.004, "duration_s": 120.0, "voltage_max_v": -0.5}
PEIS = {
    "technique": "PEIS",
    "start_hz": 10_000.0,
    "end_hz": 1.0,
    "points_per_decade": 5.0,
    "minimum_cycles": 1,
    "amplitude_v": 0.01,
    "dc_bias_v": 0.0,
    "bias_vs_ocp": True,
}
LONG = {**DEPOSIT, "duration_s": 3600.0, "current_a": -0.001}


@dataclass
class CellRig:
    """A running simulator and the way to look into it."""

    process: SimulatorProcess
    control: PotentiostatControl
    drivers: list[SquidstatDriver] = field(default_factory=list)

    def driver(self, **settings: Any) -> SquidstatDriver:
        """The agent's driver on it, not open."""
        config = PotentiostatConfig(**{"timeout": 4.0, **settings})
        made = SquidstatDriver(config, str(self.process.port), Simulation(self.process.time_factor))
        self.drivers.append(made)
        return made


def do(driver: SquidstatDriver, name: str, interrupt: Interrupt | None = None, /, **parameters: Any) -> dict[str, Any]:
    """Check and carry out an operation, as the agent does; the result must be JSON."""
    key = f"squidstat.{name}"
    checked = OPERATIONS[key].parameters.model_validate(parameters)
    driver.check(key, checked)
    result = driver.perform(key, checked, interrupt or Interrupt())
    return dict(json.loads(json.dumps(result, allow_nan=False)))


def begin(driver: SquidstatDriver, *elements: dict[str, Any], channel: int = 0, **extra: Any) -> dict[str, Any]:
    """Everything of a canvas's measurement up to its start."""
    do(driver, "connect", com_port="COM4", channel=channel)
    do(driver, "register_callbacks", channel=channel)
    do(driver, "build_experiment", channel=channel, elements=list(elements), **extra)
    do(driver, "upload_experiment", channel=channel)
    return do(driver, "start_experiment", channel=channel, expected_s=1.0)


def measure(driver: SquidstatDriver, *elements: dict[str, Any], **extra: Any) -> list[dict[str, Any]]:
    """A whole measurement; its elements."""
    begin(driver, *elements, **extra)
    return list(do(driver, "wait_until_idle", channel=extra.get("channel", 0), poll_s=0.05)["elements"])


@pytest.fixture(scope="session")
def cell_process(
    tmp_path_factory: pytest.TempPathFactory, outlives_test: Callable[[Callable[[], Collection[int]]], None]
) -> Iterator[CellRig]:
    """One simulator for all tests."""
    folder: Path = tmp_path_factory.mktemp("potentiostat")
    process = start_potentiostat(folder, time_factor=FACTOR, seed=7)
    outlives_test(lambda: [process.pid])
    with PotentiostatControl(folder) as control:
        yield CellRig(process, control)
    process.stop()


@pytest.fixture
def cells(cell_process: CellRig) -> Iterator[CellRig]:
    """An instrument fresh from the box with fresh cells."""
    cell_process.control.reset()
    yield cell_process
    while cell_process.drivers:
        cell_process.drivers.pop().close()


@pytest.fixture
def potentiostat(cells: CellRig) -> SquidstatDriver:
    """The agent's driver, open."""
    made = cells.driver()
    made.open(energize=True)
    return made
