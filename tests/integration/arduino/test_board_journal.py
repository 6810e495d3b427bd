"""The board under the agent's carrier and journal: what nobody knows is said to be unknown, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkeeper_devices.agent.carrier import Carrier
from labkeeper_devices.agent.errands import Errand
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.drivers.arduino import ArduinoDriver
from labkeeper_devices.drivers.base import Interrupt
from tests.integration.arduino.conftest import BoardRig
from tests.support.beside import Beside
from tests.support.waiting import eventually

PUMP = Errand("run-1", "arduino.pump", {"pump": 1, "volume_ml": 100.0})


@pytest.fixture
def pumps(board: BoardRig) -> ArduinoDriver:
    """The agent's driver, open, for volumes that take long enough to look on."""
    made = board.driver(max_volume_ml=100.0)
    made.open(energize=True)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.db", "pumps", lambda: datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture
def carrier(pumps: ArduinoDriver, journal: Journal) -> tuple[Carrier, Interrupt]:
    interrupt = Interrupt()
    made = Carrier(pumps, journal, interrupt, refusals=list, clock=lambda: datetime.now(UTC))
    return made, interrupt


def pumping(board: BoardRig) -> Callable[[], bool]:
    return lambda: board.control.state()["motion"] is not None


def test_the_same_command_of_a_run_pumps_once(carrier: tuple[Carrier, Interrupt], board: BoardRig) -> None:
    first, again = carrier[0].carry_out(PUMP), carrier[0].carry_out(PUMP)
    assert (first.conclusion.type, again.conclusion.type) == ("COMPLETED", "COMPLETED")
    assert first.conclusion.data == again.conclusion.data
    assert board.control.state()["pumped_ml"][1] == pytest.approx(100.0)


def test_a_line_that_is_lost_while_pumping_leaves_the_outcome_unknown(
    carrier: tuple[Carrier, Interrupt], journal: Journal, board: BoardRig
) -> None:
    work = Beside(lambda: carrier[0].carry_out(PUMP))
    eventually(pumping(board))
    board.control.unplug()
    carried = work.join().result
    assert carried.conclusion.type == "CRASHED"
    assert "nobody knows how arduino.pump ended" in carried.conclusion.message
    assert carried.fault is not None
    board.control.replug()


def test_a_cancelled_run_is_cancelled_when_the_board_confirms(
    carrier: tuple[Carrier, Interrupt], board: BoardRig
) -> None:
    work = Beside(lambda: carrier[0].carry_out(PUMP))
    eventually(pumping(board))
    carrier[1].set("cancel")
    carried = work.join().result
    assert carried.conclusion.type == "CANCELLED"
    assert "pumps off, ultrasound off, heaters off" in carried.conclusion.message
    assert not pumping(board)()
