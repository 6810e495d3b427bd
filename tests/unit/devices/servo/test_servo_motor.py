"""What writing registers does to the simulated servo, with a time that the test sets."""

from __future__ import annotations

import pytest

from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.packets import ErrorNumber
from labkeeper_devices.simulators.servo.table import MODELS

XM430 = MODELS["xm430-w350"]


@pytest.fixture
def motor() -> Motor:
    """A servo at 90 degrees with a slow profile, torque off."""
    servo = Motor(XM430, servo_id=1, position=90.0, now=0.0, wall=lambda: 1000.0)
    put(servo, "profile_velocity", 50, 0.0)
    return servo


def put(motor: Motor, name: str, value: int, now: float) -> ErrorNumber:
    register = motor.table.registers[name]
    raw = (value & ((1 << 8 * register.size) - 1)).to_bytes(register.size, "little")
    return motor.write(register.address, raw, now)


def degrees(motor: Motor, now: float) -> float:
    return float(motor.state(now)["position_deg"])


def test_powers_up_where_it_stands(motor: Motor) -> None:
    assert degrees(motor, 5.0) == 90.0
    assert motor.table["goal_position"] == 1024
    assert not motor.torque


def test_goal_is_only_acted_upon_with_torque(motor: Motor) -> None:
    assert put(motor, "goal_position", 2048, 0.0) == ErrorNumber.NONE
    assert degrees(motor, 10.0) == 90.0


def test_stale_goal_jumps_when_the_torque_comes_on(motor: Motor) -> None:
    put(motor, "goal_position", 2048, 0.0)
    put(motor, "torque_enable", 1, 1.0)
    assert motor.state(1.5)["moving"]
    assert degrees(motor, 10.0) == 180.0
    assert [entry["cause"] for entry in motor.shaft.motion_log()] == ["torque-on"]


def test_goal_equal_to_present_does_not_jump(motor: Motor) -> None:
    put(motor, "goal_position", 1024, 0.0)
    put(motor, "torque_enable", 1, 1.0)
    assert degrees(motor, 10.0) == 90.0
    assert motor.shaft.motion_count == 0


def test_torque_off_stops_at_once(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    put(motor, "torque_enable", 0, 0.5)
    stopped = degrees(motor, 0.5)
    assert 90 < stopped < 180
    assert degrees(motor, 100.0) == stopped


def test_writing_a_goal_twice_is_one_motion(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    put(motor, "goal_position", 2048, 0.5)
    assert motor.shaft.motion_count == 1
    put(motor, "goal_position", 2048, 50.0)
    assert motor.shaft.motion_count == 1


def test_a_motion_is_recorded(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    assert motor.shaft.motion_log() == [{"cause": "goal", "at": 1000.0, "from_deg": 90.0, "goal_deg": 180.0}]


@pytest.mark.parametrize(
    ("name", "value", "torque", "error"),
    [
        ("operating_mode", 4, 1, ErrorNumber.ACCESS),
        ("operating_mode", 7, 0, ErrorNumber.DATA_RANGE),
        ("goal_position", 4096, 1, ErrorNumber.DATA_RANGE),
        ("goal_position", -1, 1, ErrorNumber.DATA_RANGE),
        ("goal_pwm", 886, 1, ErrorNumber.DATA_RANGE),
        ("goal_current", 1194, 1, ErrorNumber.DATA_RANGE),
        ("present_position", 5, 0, ErrorNumber.ACCESS),
        ("torque_enable", 2, 0, ErrorNumber.DATA_RANGE),
        ("pwm_limit", 886, 0, ErrorNumber.DATA_RANGE),
        ("pwm_limit", 500, 1, ErrorNumber.ACCESS),
    ],
)
def test_refusals(motor: Motor, name: str, value: int, torque: int, error: ErrorNumber) -> None:
    put(motor, "torque_enable", torque, 0.0)
    before = motor.table[name]
    assert put(motor, name, value, 0.0) == error
    assert motor.table[name] == before


def test_lengths_and_gaps(motor: Motor) -> None:
    assert motor.write(116, b"\x00\x00", 0.0) == ErrorNumber.DATA_LENGTH
    assert motor.write(118, b"\x00\x00", 0.0) == ErrorNumber.ACCESS
    assert motor.write(200, b"\x00", 0.0) == ErrorNumber.ACCESS
    assert motor.write(64, b"", 0.0) == ErrorNumber.DATA_LENGTH
    assert motor.read(250, 10, 0.0) is None
    assert motor.read(0, 2, 0.0) == (1020).to_bytes(2, "little")
    assert motor.read(14, 4, 0.0) == bytes(4)


def test_a_write_over_several_registers_is_all_or_nothing(motor: Motor) -> None:
    good = (10).to_bytes(4, "little") + (60).to_bytes(4, "little") + (1000).to_bytes(4, "little")
    assert motor.write(108, good, 0.0) == ErrorNumber.NONE
    assert (motor.table["profile_acceleration"], motor.table["profile_velocity"]) == (10, 60)
    bad = (11).to_bytes(4, "little") + (61).to_bytes(4, "little") + (5000).to_bytes(4, "little")
    assert motor.write(108, bad, 0.0) == ErrorNumber.DATA_RANGE
    assert (motor.table["profile_acceleration"], motor.table["profile_velocity"]) == (10, 60)


def test_goal_pwm_beyond_its_limit(motor: Motor) -> None:
    put(motor, "pwm_limit", 500, 0.0)
    assert motor.table["goal_pwm"] == 500
    assert put(motor, "goal_pwm", 600, 0.0) == ErrorNumber.DATA_LIMIT


def test_a_mode_change_resets_profile_and_pwm(motor: Motor) -> None:
    put(motor, "goal_pwm", 300, 0.0)
    assert put(motor, "operating_mode", 16, 0.0) == ErrorNumber.NONE
    assert (motor.table["profile_velocity"], motor.table["goal_pwm"]) == (0, 885)
    put(motor, "torque_enable", 1, 0.0)
    assert degrees(motor, 1.0) > 95, "with the PWM at its limit, PWM mode turns as soon as the torque is on"


def test_pwm_pulses(motor: Motor) -> None:
    put(motor, "operating_mode", 16, 0.0)
    put(motor, "goal_pwm", 0, 0.0)
    put(motor, "torque_enable", 1, 0.0)
    assert degrees(motor, 1.0) == 90.0
    put(motor, "goal_pwm", 100, 1.0)
    assert degrees(motor, 2.0) == 90.0, "friction holds it"
    put(motor, "goal_pwm", -300, 2.0)
    put(motor, "goal_pwm", 0, 2.3)
    assert degrees(motor, 9.0) < 89.0
    assert [entry["cause"] for entry in motor.shaft.motion_log()] == ["pwm"]


def test_no_pwm_no_motion_in_position_mode(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_pwm", 0, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    assert degrees(motor, 10.0) == 90.0


def test_extended_mode_counts_turns(motor: Motor) -> None:
    put(motor, "operating_mode", 4, 0.0)
    put(motor, "torque_enable", 1, 0.0)
    assert put(motor, "goal_position", -4096, 0.0) == ErrorNumber.NONE
    assert degrees(motor, 100.0) == -360.0
    put(motor, "torque_enable", 0, 100.0)
    put(motor, "operating_mode", 3, 100.0)
    assert degrees(motor, 101.0) == 0.0


def test_a_hand_may_turn_it_beyond_a_turn_while_the_torque_is_off(motor: Motor) -> None:
    assert motor.turn_by_hand(-10.0, 0.0)
    assert motor.state(0.0)["registers"]["present_position"] == -114
    put(motor, "goal_position", 4096 - 114, 1.0)
    put(motor, "torque_enable", 1, 1.0)
    assert degrees(motor, 2.0) == pytest.approx(350.0, abs=0.1)
    assert not motor.turn_by_hand(0.0, 2.0)


def test_hardware_error_takes_the_torque_until_reboot(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    motor.heat(80, 1.0)
    assert motor.table["hardware_error"] == 0b100
    assert not motor.torque
    assert put(motor, "torque_enable", 1, 2.0) == ErrorNumber.RESULT_FAIL
    motor.heat(40, 3.0)
    assert put(motor, "torque_enable", 1, 3.0) == ErrorNumber.RESULT_FAIL
    motor.reboot(4.0)
    assert motor.table["hardware_error"] == 0
    assert put(motor, "torque_enable", 1, 5.0) == ErrorNumber.NONE


def test_voltage_error_is_reported_and_keeps_the_torque(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    motor.supply(9.0, 1.0)
    assert motor.table["hardware_error"] == 0b1
    assert motor.torque, "the shutdown register does not name the voltage by default"


def test_stall_and_overload(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    motor.stall(0.5, on=True, overload_after=2.0)
    stuck = degrees(motor, 0.5)
    state = motor.state(1.0)
    assert state["moving"]
    assert state["registers"]["present_current"] > 600
    assert degrees(motor, 2.0) == stuck
    assert motor.torque
    assert motor.state(2.6)["registers"]["hardware_error"] == 0b100000
    assert not motor.torque


def test_a_released_stall_goes_on(motor: Motor) -> None:
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    motor.stall(0.5, on=True)
    motor.stall(5.0, on=False)
    assert degrees(motor, 20.0) == 180.0
    assert [entry["cause"] for entry in motor.shaft.motion_log()] == ["goal", "released"]


def test_reboot_forgets_ram_and_keeps_eeprom(motor: Motor) -> None:
    put(motor, "moving_threshold", 20, 0.0)
    put(motor, "torque_enable", 1, 0.0)
    motor.reboot(1.0)
    assert motor.table["moving_threshold"] == 20
    assert motor.table["profile_velocity"] == 0
    assert not motor.torque
    assert motor.table["goal_position"] == 1024


def test_startup_torque(motor: Motor) -> None:
    put(motor, "startup_configuration", 1, 0.0)
    motor.reboot(1.0)
    assert motor.torque


def test_watchdog_ends_a_pulse(motor: Motor) -> None:
    put(motor, "operating_mode", 16, 0.0)
    put(motor, "goal_pwm", 0, 0.0)
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "bus_watchdog", 25, 0.0)
    put(motor, "goal_pwm", 400, 0.0)
    motor.heard(0.0)
    expected = degrees(motor, 0.49)
    assert degrees(motor, 10.0) == pytest.approx(expected, abs=1.0)
    assert motor.table["bus_watchdog"] == -1
    assert put(motor, "goal_pwm", 400, 10.0) == ErrorNumber.DATA_RANGE
    assert put(motor, "bus_watchdog", 0, 10.0) == ErrorNumber.NONE
    assert put(motor, "goal_pwm", 0, 10.0) == ErrorNumber.NONE


def test_torque_on_by_goal_update(motor: Motor) -> None:
    put(motor, "drive_mode", 0b1000, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    assert motor.torque
    assert degrees(motor, 20.0) == 180.0


def test_time_based_profile(motor: Motor) -> None:
    put(motor, "drive_mode", 0b0100, 0.0)
    put(motor, "profile_velocity", 2000, 0.0)
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    assert motor.state(1.9)["moving"]
    assert not motor.state(2.01)["moving"]


def test_homing_offset_shifts_the_readings(motor: Motor) -> None:
    put(motor, "homing_offset", 100, 0.0)
    assert motor.state(0.0)["registers"]["present_position"] == 1124


def test_deadband_stops_short(motor: Motor) -> None:
    motor.retune(0.0, deadband=1.0)
    put(motor, "torque_enable", 1, 0.0)
    put(motor, "goal_position", 2048, 0.0)
    assert degrees(motor, 20.0) == pytest.approx(179.0)


def test_model_without_a_current() -> None:
    servo = Motor(MODELS["xl430-w250"], servo_id=1, position=0.0, now=0.0)
    assert "goal_current" not in servo.table
    put(servo, "torque_enable", 1, 0.0)
    put(servo, "goal_position", 2048, 0.0)
    assert 0 < servo.state(0.1)["registers"]["present_current"] <= 1000
