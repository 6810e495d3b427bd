"""Simulated boards in processes of their own, and the real driver on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.arduino import ArduinoDriver, BoardConfig
from labkeeper_devices.drivers.base import Interrupt, Simulation
from labkeeper_devices.simulators.arduino import BoardControl, start_board
from labkeeper_devices.simulators.common.launch import SimulatorProcess

FACTOR = 20.0


@dataclass
class BoardRig:
    """A running simulator and the way to look into it."""

    process: SimulatorProcess
    control: BoardControl
    drivers: list[ArduinoDriver] = field(default_factory=list)

    def driver(self, **settings: Any) -> ArduinoDriver:
        """The agent's driver on it, not open."""
        config = BoardConfig(**{"timeout": 2.0, **settings})
        made = ArduinoDriver(config, port=str(self.process.port), simulation=Simulation(self.process.time_factor))
        self.drivers.append(made)
        return made

    def verbs(self) -> list[str]:
        """What the board heard besides questions."""
        return [entry["verb"] for entry in self.control.log() if entry["verb"] not in ("HELLO", "STATUS")]


def do(driver: ArduinoDriver, name: str, interrupt: Interrupt | None = None, /, **parameters: Any) -> dict[str, Any]:
    """Check and carry out an operation, as the agent does; the result must be JSON."""
    key = f"arduino.{name}"
    checked = OPERATIONS[key].parameters.model_validate(parameters)
    driver.check(key, checked)
    result = driver.perform(key, checked, interrupt or Interrupt())
    return dict(json.loads(json.dumps(result, allow_nan=False)))


@pytest.fixture(scope="session")
def board_process(
    tmp_path_factory: pytest.TempPathFactory, outlives_test: Callable[[Callable[[], Collection[int]]], None]
) -> Iterator[BoardRig]:
    """One simulator for all tests."""
    folder: Path = tmp_path_factory.mktemp("board")
    process = start_board(folder, time_factor=FACTOR)
    outlives_test(lambda: [process.pid])
    with BoardControl(folder) as control:
        yield BoardRig(process, control)
    process.stop()


@pytest.fixture
def board(board_process: BoardRig) -> Iterator[BoardRig]:
    """A board fresh from the box."""
    board_process.control.reset()
    yield board_process
    while board_process.drivers:
        board_process.drivers.pop().close()


@pytest.fixture
def pumps(board: BoardRig) -> ArduinoDriver:
    """The agent's driver, open."""
    made = board.driver()
    made.open(energize=True)
    board.control.reset_log()
    return made
