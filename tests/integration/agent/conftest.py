"""Hotels that tests share: starting an agent takes longer than most tests, so each test gets one brought to order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent.bench import ready
from tests.support.hotel import Hotel

if TYPE_CHECKING:
    from tests.integration.conftest import OutlivesTest
    from tests.support.prefect_server import PrefectServer

FAST = 20.0
"""Time factor where the speed of a motion is not the point."""


class Hotels:
    """The shared hotels, each with a pool and deployments of its own, by their time factor."""

    def __init__(self, folder: Path, server: PrefectServer) -> None:
        self._folder = folder
        self._server = server
        self._kept: dict[float, Hotel] = {}

    def take(self, time_factor: float) -> Hotel:
        """A hotel that is Idle."""
        if time_factor not in self._kept:
            name = f"hotel-x{time_factor:g}"
            directory = self._folder / name
            directory.mkdir()
            made = Hotel(directory, self._server, time_factor=time_factor, pool=name, node=name, prefix=name)
            self._kept[time_factor] = made.__enter__()
        ready(self._kept[time_factor])
        return self._kept[time_factor]

    def pids(self) -> Collection[int]:
        """What may outlive a test."""
        servos = [hotel.servo.pid for hotel in self._kept.values() if hotel.servo is not None]
        return [*servos, *(hotel.agent.pid for hotel in self._kept.values() if hotel.agent.running)]

    def close(self) -> None:
        """End them all."""
        for hotel in self._kept.values():
            hotel.__exit__()


@pytest.fixture(scope="session")
def hotels(
    prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest
) -> Iterator[Hotels]:
    """All of them."""
    made = Hotels(tmp_path_factory.mktemp("hotels"), prefect_server)
    outlives_test(made.pids)
    yield made
    made.close()


@pytest.fixture
def hotel(hotels: Hotels) -> Hotel:
    """A fast hotel, Idle."""
    return hotels.take(FAST)


@pytest.fixture
def slow_hotel(hotels: Hotels) -> Hotel:
    """A hotel that moves as fast as a real one: half a turn takes 2.6 seconds."""
    return hotels.take(1.0)
