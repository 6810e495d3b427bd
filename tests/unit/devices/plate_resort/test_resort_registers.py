"""Registers and units, against the simulator's own table and the guide's defects."""

from __future__ import annotations

import pytest

from labkeeper_devices.drivers.plate_resort import registers
from labkeeper_devices.drivers.plate_resort.registers import Register
from labkeeper_devices.simulators.servo.table import MODELS, ControlTable

ALL = [value for value in vars(registers).values() if isinstance(value, Register)]

OTHER_NAMES = {
    "PWM limit": "pwm_limit",
    "goal PWM": "goal_pwm",
    "hardware error status": "hardware_error",
    "present input voltage": "present_voltage",
    "present PWM": "present_pwm",
}


@pytest.mark.parametrize("register", ALL, ids=lambda register: register.name)
def test_addresses_agree_with_the_simulators(register: Register) -> None:
    table = ControlTable(MODELS["xm430-w350"])
    other = table.registers[OTHER_NAMES.get(register.name, register.name.replace(" ", "_"))]
    assert (register.address, register.size) == (other.address, other.size)


@pytest.mark.parametrize("register", [r for r in ALL if r.signed], ids=lambda register: register.name)
def test_twos_complement(register: Register) -> None:
    assert register.decode(bytes(register.encode(-1))) == -1
    assert register.encode(-1) == [0xFF] * register.size


def test_pwm_of_the_guide_is_sixteen_bits() -> None:
    assert registers.GOAL_PWM.encode(-180) == [0x4C, 0xFF]


def test_a_value_that_does_not_fit() -> None:
    with pytest.raises(OverflowError):
        registers.TORQUE_ENABLE.encode(300)


@pytest.mark.parametrize(("torque", "pwm"), [(0, 0), (1023, 885), (512, 443), (1, 1)])
def test_torque_scale_is_the_pwm_limit(torque: int, pwm: int) -> None:
    assert registers.pwm_of_torque(torque) == pwm


def test_current_is_in_units_of_the_model() -> None:
    assert registers.current_ma(100, registers.model_of(1020)) == pytest.approx(269.0)
    assert registers.current_ma(-100, registers.model_of(1200)) == pytest.approx(-100.0)
    assert registers.current_ma(100, registers.model_of(1060)) is None
    unknown = registers.model_of(4711)
    assert (unknown.name, unknown.ma_per_unit) == ("unknown model 4711", 2.69)


def test_hardware_errors_have_names() -> None:
    assert registers.hardware_error_names(0) == ()
    assert registers.hardware_error_names(0b100101) == ("input voltage", "overheating", "overload")
    assert registers.hardware_error_names(0b10000000) == ("bit 7",)
