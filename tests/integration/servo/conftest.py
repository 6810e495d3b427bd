"""Simulated servos in processes of their own, and the real driver on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labkeeper_devices.drivers.base import Simulation
from labkeeper_devices.drivers.plate_resort import PlateResort, PlateResortDriver, ResortConfig
from labkeeper_devices.simulators.servo import ServoControl, ServoProcess, start_servo
from tests.support.beside import Beside

FAST = 40.0
"""Time factor where the speed of the motion is not the point."""


@dataclass
class Servo:
    """A running simulator and the way to look into it."""

    process: ServoProcess
    control: ServoControl
    resorts: list[PlateResort] = field(default_factory=list)

    @property
    def port(self) -> str:
        return str(self.process.port)

    @property
    def angle(self) -> float:
        return float(self.control.state()["position_deg"])

    def holding(self) -> bool:
        """Whether it holds where it is: position mode, torque on, goal at the present position, at rest."""
        state = self.control.state()
        registers = state["registers"]
        near = abs(registers["goal_position"] - registers["present_position"]) <= 12
        return bool(state["torque"] and state["mode"] == 3 and not state["moving"] and near)

    def resort(self, **settings: Any) -> PlateResort:
        """A plate hotel on it, not connected."""
        made = PlateResort(ResortConfig(**settings), self.port, time_factor=self.process.time_factor)
        self.resorts.append(made)
        return made

    def let_go(self) -> None:
        """Close the port for all that a test left open, which a failed one does."""
        while self.resorts:
            self.resorts.pop().session.close()

    def driver(self, **settings: Any) -> PlateResortDriver:
        """The agent's driver on it, not open."""
        simulation = Simulation(self.process.time_factor)
        return PlateResortDriver(ResortConfig(**settings), port=self.port, simulation=simulation)


class InThread(Beside):
    """Work beside a test of the servo, which is quicker than other devices."""

    patience = 20.0


@pytest.fixture
def in_thread() -> type[InThread]:
    """Runs blocking work beside the test."""
    return InThread


class Shelf:
    """Simulators that are kept for all tests, one of each kind: starting a process takes longer than most tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Servo] = {}

    def take(self, *, time_factor: float = FAST, position: float = 90.0, **options: Any) -> Servo:
        """A servo of that kind, fresh from the box."""
        name = "-".join(str(part) for part in (time_factor, *sorted(options.items())))
        if name not in self._kept:
            process = start_servo(self._folder / name, time_factor=time_factor, **options)
            control = ServoControl(self._folder / name)
            control.__enter__()
            self._kept[name] = Servo(process, control)
        servo = self._kept[name]
        servo.let_go()
        servo.control.reset(position)
        return servo

    def pids(self) -> list[int]:
        return [servo.process.pid for servo in self._kept.values()]

    def close(self) -> None:
        for servo in self._kept.values():
            servo.control.close()
            servo.process.stop()


@pytest.fixture(scope="session")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, outlives_test: Callable[[Callable[[], Collection[int]]], None]
) -> Iterator[Shelf]:
    """The simulators of all tests."""
    made = Shelf(tmp_path_factory.mktemp("servos"))
    outlives_test(made.pids)
    yield made
    made.close()


@pytest.fixture
def servos(shelf: Shelf) -> Callable[..., Servo]:
    """Gives servos by `time_factor`, `position` and the options of `start_servo`."""
    return shelf.take


@pytest.fixture
def servo(servos: Callable[..., Servo]) -> Servo:
    """A fast servo that stands at 90 degrees without torque."""
    return servos()


@pytest.fixture
def resort(servo: Servo) -> Iterator[PlateResort]:
    """A plate hotel that is connected and holds."""
    made = servo.resort()
    assert made.connect()
    servo.control.reset_log()
    yield made
    made.session.close()


@pytest.fixture
def driver(servo: Servo) -> Iterator[PlateResortDriver]:
    """The agent's driver, open and holding."""
    made = servo.driver()
    made.open(energize=True)
    servo.control.reset_log()
    yield made
    made.close()
