"""The guide's class and method names, used as its users would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_devices.drivers.plate_resort import PlateResort

if TYPE_CHECKING:
    from tests.integration.servo.conftest import Servo


def test_moving_and_asking(resort: PlateResort, servo: Servo) -> None:
    assert resort.activate_hotel("B") is True
    assert resort.get_active_hotel() == "B"
    assert resort.get_current_position() == pytest.approx(109.0, abs=0.1)
    assert resort.move_to_angle(50) is True
    assert resort.get_active_hotel() is None
    assert resort.go_home() is True
    assert resort.is_connected()


def test_unknown_hotels_are_named(resort: PlateResort) -> None:
    for method in (resort.activate_hotel, resort.activate_hotel_precise):
        with pytest.raises(ValueError, match="there is no hotel 'E'; the hotels are A, B, C, D"):
            method("E")


def test_precise_results(resort: PlateResort, servo: Servo) -> None:
    servo.control.retune(deadband_deg=1.2)
    result = resort.activate_hotel_precise("C")
    assert set(result) == {"success", "reason", "pulses", "final_angle", "final_error"}
    assert (result["success"], result["reason"]) == (True, "pulses_success")
    assert result["final_angle"] == pytest.approx(199.0, abs=0.5)
    result = resort.move_to_angle_precise(10.0, pulse_max=0)
    assert (result["success"], result["reason"], result["pulses"]) == (False, "max_pulses", 0)
    assert servo.holding()


def test_a_coarse_move_that_fails_is_false(resort: PlateResort, servo: Servo) -> None:
    servo.control.stall()
    assert resort.activate_hotel("C", timeout=0.3) is False
    servo.control.clear()
    assert servo.holding()
    servo.control.retune(deadband_deg=2)
    assert resort.activate_hotel("C", tolerance=2.5, timeout=1.0) is True
    with pytest.raises(InvalidInput, match=r"move_to_angle\.movement_timeout: 0: must be above 0"):
        resort.move_to_angle(5, timeout=0)


def test_tuning_lasts_as_long_as_the_object(resort: PlateResort, servo: Servo) -> None:
    assert resort.show_precise_params()["pulse_max"] == 25
    assert resort.tune_precise(pulse_max=0, stage1_timeout=None)["pulse_max"] == 0
    assert resort.show_precise_params()["stage1_timeout"] is None
    servo.control.retune(deadband_deg=1.2)
    assert resort.activate_hotel_precise("C")["reason"] == "max_pulses"
    assert resort.activate_hotel_precise("C", pulse_max=20)["success"] is True
    with pytest.raises(InvalidInput, match="did you mean 'pulse_max'"):
        resort.tune_precise(pulse_maxx=1)
    assert resort.config.pulse_max == 25


def test_a_servo_of_another_model(servos: object) -> None:
    servo = servos(model="xl430-w250")  # type: ignore[operator]
    with servo.resort(voltage_min=6.5, voltage_max=12.5) as resort:
        assert resort.activate_hotel_precise("A")["success"]
        assert resort.get_motor_health()["current"] is None
