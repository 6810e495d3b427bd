"""What goes wrong with the board and its line, and stopping: nothing is taken for done that was not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted
from labkeeper_devices.drivers.arduino import ArduinoDriver
from labkeeper_devices.drivers.base import Interrupt
from tests.integration.arduino.conftest import FACTOR, BoardRig, do
from tests.support.beside import Beside
from tests.support.waiting import eventually


@pytest.fixture
def pumps(board: BoardRig) -> ArduinoDriver:
    """The agent's driver, open, for volumes that take long enough to look on."""
    made = board.driver(max_volume_ml=100.0)
    made.open(energize=True)
    board.control.reset_log()
    return made


def pumping(board: BoardRig) -> bool:
    motion = board.control.state()["motion"]
    return motion is not None and motion["verb"] == "PUMP"


def spoil(pumps: ArduinoDriver, at: str, fault: Callable[[], None]) -> list[str]:
    """Set something wrong just before a request is sent; what is sent from now on."""
    real = pumps._link.send
    sent: list[str] = []

    def send(verb: str, *arguments: object) -> int:
        sent.append(verb)
        if verb == at:
            fault()
        return real(verb, *arguments)

    pumps._link.send = send  # type: ignore[method-assign]
    return sent


def test_a_lost_reply_is_looked_up_and_nothing_is_pumped_twice(pumps: ArduinoDriver, board: BoardRig) -> None:
    sent = spoil(pumps, "PUMP", lambda: board.control.silence(1))
    assert do(pumps, "pump", pump=1, volume_ml=2)["ran_ms"] == 2000
    assert sent == ["STATUS", "PUMP", "STATUS"], "asked how it ended"
    assert board.control.state()["pumped_ml"][1] == pytest.approx(2)


def test_a_request_that_was_never_heard_moved_nothing(pumps: ArduinoDriver, board: BoardRig) -> None:
    sent = spoil(pumps, "PUMP", lambda: board.control.deaf(1))
    with pytest.raises(DeviceError, match="never got PUMP 0: nothing was moved") as caught:
        do(pumps, "pump", pump=0, volume_ml=1)
    assert not isinstance(caught.value, DeviceUnreachable), "the outcome is known"
    assert sent.count("PUMP") == 1
    assert board.control.state()["pumped_ml"] == [0, 0, 0]


@pytest.mark.parametrize("fault", ["corrupt", "noise"])
def test_a_noisy_line(pumps: ArduinoDriver, board: BoardRig, fault: str) -> None:
    getattr(board.control, fault)(1)
    assert do(pumps, "pump", pump=0, volume_ml=2)["ran_ms"] == 2000
    getattr(board.control, fault)(2)
    assert do(pumps, "get_status")["running"] is False


def test_silence_is_unreachable_and_never_a_simulation(pumps: ArduinoDriver, board: BoardRig) -> None:
    work = Beside(lambda: do(pumps, "pump", pump=0, volume_ml=100))
    eventually(lambda: pumping(board))
    board.control.silence()
    error = work.join().error
    assert isinstance(error, DeviceUnreachable)
    assert "does not answer STATUS" in str(error)


def test_unplugged_while_pumping(pumps: ArduinoDriver, board: BoardRig) -> None:
    work = Beside(lambda: do(pumps, "pump", pump=0, volume_ml=100))
    eventually(lambda: pumping(board))
    board.control.unplug()
    error = work.join().error
    assert isinstance(error, DeviceUnreachable)
    assert "check that the adapter is plugged in" in str(error)
    assert not pumps.is_open
    with pytest.raises(DeviceUnreachable, match="there is no port"):
        pumps.open(energize=True)
    board.control.replug()
    pumps.open(energize=True)
    eventually(lambda: not pumping(board), 60)
    assert do(pumps, "pump", pump=1, volume_ml=1)["ran_ms"] == 1000


def test_a_stalled_pump_fails_the_command(pumps: ArduinoDriver, board: BoardRig) -> None:
    board.control.stall(1)
    with pytest.raises(DeviceError, match=r"PUMP 1 ended early after 500 ms: the pump's rotation sensor stood still"):
        do(pumps, "pump", pump=1, volume_ml=10)
    assert board.control.state()["pumped_ml"][1] == 0
    board.control.clear()
    assert do(pumps, "pump", pump=1, volume_ml=1)["ran_ms"] == 1000


def test_a_pump_that_stalls_on_the_way(pumps: ArduinoDriver, board: BoardRig) -> None:
    work = Beside(lambda: do(pumps, "pump", pump=1, volume_ml=100))
    eventually(lambda: board.control.state()["pumped_ml"][1] > 1, interval=0.01)
    board.control.stall(1)
    assert isinstance(work.join().error, DeviceError)
    assert 1 < board.control.state()["pumped_ml"][1] < 100


def test_an_overheated_base_is_an_interlock(pumps: ArduinoDriver, board: BoardRig) -> None:
    do(pumps, "set_temperature", base=0, celsius=25)
    board.control.warm(95)
    health = pumps.health()
    (fault,) = health.faults
    assert fault.startswith("base 0 is overheated: 9")
    assert board.control.state()["setpoints"] == [None], "its heater is off"
    with pytest.raises(Interlocked, match="overheated"):
        do(pumps, "pump", pump=0, volume_ml=1)
    board.control.warm(25)
    assert pumps.health().faults == ()


def test_a_heater_that_runs_away_fails_the_command(board: BoardRig) -> None:
    driver = board.driver(overheat_celsius=40.0, highest_celsius=35.0)
    driver.open(energize=True)
    board.control.runaway()
    board.control.warm(39)
    with pytest.raises(DeviceError, match=r"overheated: 4.*the heater of base 0 was turned off"):
        do(driver, "set_temperature", base=0, celsius=30)


def test_a_broken_thermometer_is_an_interlock(pumps: ArduinoDriver, board: BoardRig) -> None:
    board.control.break_thermometer()
    assert pumps.health().faults == ("the thermometer of base 0 is broken",)
    with pytest.raises(Interlocked, match="thermometer"):
        do(pumps, "set_temperature", base=0, celsius=30)


def test_what_it_cannot_cool_down_to_is_said(board: BoardRig) -> None:
    driver = board.driver(heating_timeout=20.0)
    driver.open(energize=True)
    with pytest.raises(DeviceError, match="did not get to 16 degrees Celsius within 20 s"):
        do(driver, "set_temperature", base=0, celsius=16)
    assert board.control.state()["setpoints"] == [None]


@pytest.mark.parametrize("cause", ["cancel", "timeout"])
def test_an_interrupted_pump_is_stopped_and_confirmed(pumps: ArduinoDriver, board: BoardRig, cause: str) -> None:
    do(pumps, "set_temperature", base=0, celsius=25)
    interrupt = Interrupt()
    work = Beside(lambda: do(pumps, "pump", interrupt, pump=2, volume_ml=100))
    eventually(lambda: pumping(board))
    interrupt.set(cause)
    error = work.join().error
    assert isinstance(error, Interrupted)
    assert error.cause == cause
    rest = pumps.halt()
    assert rest.confirmed
    assert rest.detail["heaters"] == "off"
    state = board.control.state()
    assert (state["motion"], state["setpoints"]) == (None, [None])
    assert 0 < state["pumped_ml"][2] < 100


def test_the_emergency_stop_waits_for_nothing(pumps: ArduinoDriver, board: BoardRig) -> None:
    do(pumps, "set_temperature", base=0, celsius=25)
    work = Beside(lambda: do(pumps, "pump", pump=2, volume_ml=100))
    eventually(lambda: pumping(board))
    pumps.emergency_stop()
    state = board.control.state()
    assert (state["motion"], state["setpoints"]) == (None, [None])
    error = work.join().error
    assert isinstance(error, Interrupted)
    assert error.cause == "emergency-stop"
    with pytest.raises(Interlocked, match="latched"):
        do(pumps, "pump", pump=0, volume_ml=1)
    assert pumps.health().warnings == ("the emergency stop is latched",)
    pumps.release_stop()
    assert board.control.state()["setpoints"] == [None], "releasing turns nothing on"
    assert do(pumps, "pump", pump=0, volume_ml=1)["ran_ms"] == 1000


def test_the_emergency_stop_opens_a_closed_port(board: BoardRig, pumps: ArduinoDriver) -> None:
    pumps._link.send("PUMP", 0, 60_000)
    eventually(lambda: pumping(board))
    pumps.close()
    result = do(pumps, "emergency_stop")
    assert (result["stopped"], result["heaters"]) == (True, "off")
    assert board.control.state()["motion"] is None
    assert not pumps.is_open
    pumps.open(energize=False)
    with pytest.raises(Interrupted, match="nothing may move"):
        pumps._link.send("PUMP", 0, 1000)


def test_an_emergency_stop_that_nobody_confirms_says_so(pumps: ArduinoDriver, board: BoardRig) -> None:
    board.control.silence()
    with pytest.raises(DeviceUnreachable, match=r"latched, but .*does not answer STOP.*Cut the power"):
        pumps.emergency_stop()
    with pytest.raises(Interlocked, match="latched"):
        do(pumps, "pump", pump=0, volume_ml=1)
    assert not pumps.halt().confirmed


def test_speed_follows_the_time_factor(pumps: ArduinoDriver) -> None:
    began = time.monotonic()
    do(pumps, "pump", pump=0, volume_ml=10)
    assert time.monotonic() - began >= 10 / FACTOR


def test_a_busy_board_begins_nothing_else(pumps: ArduinoDriver, board: BoardRig) -> None:
    pumps._link.send("SONIC", 0, 60_000)
    with pytest.raises(DeviceError, match="did not begin PUMP 0: another motion runs"):
        pumps._board.move("PUMP", 0, 1000, lambda: None)
    assert board.control.state()["pumped_ml"] == [0, 0, 0]
    assert pumps.halt().confirmed


def test_another_baud_rate_is_not_understood(board: BoardRig) -> None:
    driver = board.driver(baudrate=57600, timeout=0.5)
    with pytest.raises(DeviceUnreachable, match=r"does not answer HELLO within 0\.5 s.*baud rate"):
        driver.open(energize=True)
    assert not driver.is_open
