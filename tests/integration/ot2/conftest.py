"""Simulated robots that tests share: starting one takes seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.ot2.bench import SHORT, Bench
from tests.support.ot2 import SimulatedRobot

if TYPE_CHECKING:
    from tests.integration.conftest import OutlivesTest

FAST = 500.0
"""Time factor where the time of a motion is not the point."""


class Robots:
    """The shared robots by their time factor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[float, SimulatedRobot] = {}

    def take(self, time_factor: float) -> SimulatedRobot:
        """A robot as good as new."""
        if time_factor not in self._kept:
            made = SimulatedRobot(self._folder / f"x{time_factor:g}", time_factor=time_factor)
            self._kept[time_factor] = made.__enter__()
        self._kept[time_factor].reset()
        return self._kept[time_factor]

    def pids(self) -> Collection[int]:
        """What may outlive a test."""
        return [robot.process.pid for robot in self._kept.values() if robot.process.running]

    def close(self) -> None:
        """End them all."""
        for robot in self._kept.values():
            robot.__exit__()


@pytest.fixture(scope="session")
def robots(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[Robots]:
    """All of them."""
    made = Robots(tmp_path_factory.mktemp("robots"))
    outlives_test(made.pids)
    yield made
    made.close()


@pytest.fixture
def robot(robots: Robots) -> SimulatedRobot:
    """A fast robot."""
    return robots.take(FAST)


@pytest.fixture
def bench(robot: SimulatedRobot) -> Iterator[Bench]:
    """A driver that is connected to it."""
    made = Bench(robot, SHORT)
    yield made.open()
    made.close()


@pytest.fixture
def slow_bench(robots: Robots) -> Iterator[Bench]:
    """A driver on a robot that takes its time."""
    made = Bench(robots.take(1.0))
    yield made.open()
    made.close()
