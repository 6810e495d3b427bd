"""Pumps, bath and heater as the agent drives them: what is really pumped, shaken and heated."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, InvalidInput
from labkeeper_devices.drivers.arduino import ArduinoDriver
from labkeeper_devices.simulators.arduino import BoardControl, find_board, start_board
from tests.integration.arduino.conftest import FACTOR, BoardRig, do


def test_opening_asks_only(board: BoardRig) -> None:
    driver = board.driver()
    identity = driver.open(energize=True)
    assert (identity.model, identity.firmware, identity.simulated, identity.time_factor) == (
        *("pump board", "1"),
        *(True, FACTOR),
    )
    assert identity.port == str(board.process.port)
    assert driver.health().faults == ()
    assert board.verbs() == []
    driver.close()
    assert not driver.is_open
    with pytest.raises(Interlocked, match="is not connected"):
        do(driver, "pump", pump=0, volume_ml=1)


def test_pump_moves_what_is_asked_for(pumps: ArduinoDriver, board: BoardRig) -> None:
    result = do(pumps, "pump", pump=2, volume_ml=4.0)
    assert result.pop("duration_s") >= 4.0 / FACTOR
    assert result == {
        "pump": 2,
        "volume_ml": 4.0,
        "ran_ms": 4000,
        "flow_ml_per_s": 1.0,
        "simulated": True,
        "time_factor": FACTOR,
    }
    assert board.control.state()["pumped_ml"] == pytest.approx([0, 0, 4.0])
    (entry,) = [entry for entry in board.control.log() if entry["verb"] == "PUMP"]
    assert entry["arguments"] == ["2", "4000"]


def test_calibration_decides_how_long(board: BoardRig) -> None:
    board.control.flow(0, 2.5)
    driver = board.driver(pumps_ml_per_s=(2.5, 1.0))
    driver.open(energize=True)
    assert do(driver, "pump", pump=0, volume_ml=5)["ran_ms"] == 2000
    assert board.control.state()["pumped_ml"][0] == pytest.approx(5.0)


def test_ultrasound(pumps: ArduinoDriver, board: BoardRig) -> None:
    result = do(pumps, "ultrasonic", channel=0, duration_ms=5000)
    assert (result["ran_ms"], result["simulated"]) == (5000, True)
    assert board.control.state()["ultrasound_ms"] == pytest.approx([5000])


def test_a_base_is_heated_and_held(pumps: ArduinoDriver, board: BoardRig) -> None:
    result = do(pumps, "set_temperature", base=0, celsius=30)
    assert result["verified"]
    assert result["measured_celsius"] == pytest.approx(30, abs=1.0)
    state = board.control.state()
    assert state["setpoints"] == [30.0]
    history = board.control.temperatures(interval=1.0)
    assert history[0][1] == pytest.approx(22.0)
    assert all(later[1] >= earlier[1] for earlier, later in itertools.pairwise(history))
    assert do(pumps, "set_temperature", base=0, celsius=30)["verified"], "a move to a state may be repeated"


def test_status(pumps: ArduinoDriver) -> None:
    result = do(pumps, "get_status", com_port="COM3")
    assert (result["com_port"], result["running"], result["setpoints_celsius"]) == ("COM3", False, [None])
    assert result["celsius"] == [pytest.approx(22.0)]
    assert (result["simulated"], result["faults"], result["stopped"]) == (True, [], False)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("pump", {"pump": 3, "volume_ml": 1}, "this unit has no pump 3 (it has 0, 1, 2)"),
        ("pump", {"pump": 0, "volume_ml": 50}, "50 mL is more than this unit's limit, 20 mL"),
        ("ultrasonic", {"channel": 1, "duration_ms": 10}, "no ultrasonic bath 1 (it has 0)"),
        ("ultrasonic", {"channel": 0, "duration_ms": 99_000}, "99000 ms is more than"),
        ("set_temperature", {"base": 1, "celsius": 30}, "no heated base 1"),
        ("set_temperature", {"base": 0, "celsius": 95}, "95 degrees Celsius is out of this unit's range, 15 to 80"),
    ],
)
def test_what_the_unit_cannot_do_is_refused(
    pumps: ArduinoDriver, board: BoardRig, name: str, parameters: dict[str, float], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        do(pumps, name, **parameters)
    assert sentence in str(caught.value)
    assert board.verbs() == []


def test_a_board_with_too_few_pumps_is_not_used(board: BoardRig) -> None:
    driver = board.driver(pumps_ml_per_s=(1.0, 1.0, 1.0, 1.0))
    with pytest.raises(DeviceError, match="has 3 pumps, 1 baths and 1 bases, and the configuration says 4, 1 and 1"):
        driver.open(energize=True)
    assert not driver.is_open


def test_one_process_at_a_time(pumps: ArduinoDriver, board: BoardRig) -> None:
    with pytest.raises(DeviceUnreachable, match="is in use by process"):
        board.driver().open(energize=False)


def test_a_motion_of_an_earlier_process_is_not_disturbed(pumps: ArduinoDriver, board: BoardRig) -> None:
    pumps._link.send("PUMP", 1, 20_000)
    pumps.close()
    later = board.driver()
    later.open(energize=True)
    with pytest.raises(Interlocked, match="still runs a motion that began before"):
        do(later, "pump", pump=0, volume_ml=1)
    assert board.control.state()["motion"]["number"] == 1
    assert later.halt().confirmed


def test_the_simulator_outlives_and_is_found(tmp_path: Path) -> None:
    started = start_board(tmp_path, time_factor=5, flows="0.5,2.0", baths=2, bases=0)
    try:
        assert find_board(tmp_path) == started
        with BoardControl(tmp_path) as control:
            assert control.describe()["flows"] == [0.5, 2.0]
            assert control.state()["ultrasound_ms"] == [0.0, 0.0]
    finally:
        started.stop()
    assert find_board(tmp_path) is None
