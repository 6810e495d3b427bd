"""What readings mean."""

from __future__ import annotations

import pytest

from labkeeper_devices.drivers.plate_resort import health, registers
from labkeeper_devices.drivers.plate_resort.bus import Block
from labkeeper_devices.drivers.plate_resort.health import Vitals
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.table import MODELS

CONFIG = ResortConfig()
XM430 = registers.model_of(1020)
FULL_TURN = (0, 4095)


def vitals(**changes: object) -> Vitals:
    values: dict[str, object] = {
        "temperature_c": 32.0,
        "voltage_v": 12.0,
        "current_ma": 10.0,
        "load_percent": None,
        "hardware_error": 0,
        "tick": 216,
        "moving": False,
        "torque": True,
    }
    return Vitals(**{**values, **changes})  # type: ignore[arg-type]


def read(model: str, **registers_: int) -> Vitals:
    motor = Motor(MODELS[model], servo_id=1, position=90.0, now=0.0)
    for name, value in registers_.items():
        motor.table[name] = value
    readings = motor.table.read(122, 25)
    status = motor.table.read(64, 35)
    assert readings
    assert status
    return health.vitals_of(
        Block(122, readings, alert=False), Block(64, status, alert=False), registers.model_of(motor.model.number)
    )


def test_units() -> None:
    found = read("xm430-w350", present_current=-100, present_voltage=124, present_temperature=41, present_position=-1)
    assert (found.current_ma, found.voltage_v, found.temperature_c) == (-269.0, 12.4, 41.0)
    assert found.position_deg == pytest.approx(359.912, abs=0.001)
    assert found.load_percent is None


def test_a_model_that_measures_load_has_no_current() -> None:
    found = read("xl430-w250", present_current=-305)
    assert (found.current_ma, found.load_percent) == (None, -30.5)
    assert "load_percent" in health.as_readings(found)


def test_all_is_well() -> None:
    assert health.faults(vitals(), CONFIG, torque_expected=True) == ()
    assert health.warnings(vitals(), CONFIG, FULL_TURN, XM430) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hardware_error": 0b100100}, "hardware error: overheating, overload; mend the cause, then reboot the servo"),
        ({"temperature_c": 70.5}, "temperature 70.5 °C is above its limit, 70 °C; let it cool"),
        ({"voltage_v": 9.9}, "supply voltage 9.9 V is outside 10 to 14 V"),
        ({"voltage_v": 14.1}, "supply voltage 14.1 V is outside 10 to 14 V"),
        ({"torque": False}, "the torque is off although this driver turned it on"),
    ],
)
def test_faults(changes: dict[str, object], expected: str) -> None:
    (found,) = health.faults(vitals(**changes), CONFIG, torque_expected=True)
    assert found.startswith(expected)


def test_limits_themselves_are_fine() -> None:
    for changes in ({"temperature_c": 70.0}, {"voltage_v": 10.0}, {"voltage_v": 14.0}):
        assert health.faults(vitals(**changes), CONFIG, torque_expected=True) == ()
    assert health.faults(vitals(torque=False), CONFIG, torque_expected=False) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"temperature_c": 66.0}, "temperature 66 °C is near its limit, 70 °C"),
        ({"current_ma": -2100.0}, "current 2100 mA is above the limit of 2000 mA"),
        ({"tick": -3}, "position tick -3 is outside the servo's position limits, 0 to 4095"),
    ],
)
def test_warnings(changes: dict[str, object], expected: str) -> None:
    (found,) = health.warnings(vitals(**changes), CONFIG, FULL_TURN, XM430)
    assert found.startswith(expected)


def test_an_unknown_model_is_said() -> None:
    (found,) = health.warnings(vitals(), CONFIG, FULL_TURN, registers.model_of(4711))
    assert found.startswith("unknown model 4711")
