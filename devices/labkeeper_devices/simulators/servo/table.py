"""The control table of an X-series servo: which registers there are, who may write them and what they hold.

Source: ROBOTIS e-manual, control tables of the XM430-W350 and the XL430-W250. Not for what a register does to the
motor: that is `servo`. The driver has a register map of its own, so that the two check each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from labkeeper_devices.simulators.servo.packets import ErrorNumber

RAM: Final = 64
"""First address that is lost without power. Everything below is EEPROM and only writable with the torque off."""

SIZE: Final = 256
ANY_32: Final = (-(2**31), 2**31 - 1)

BAUDRATES: Final = (9600, 57600, 115200, 1000000, 2000000, 3000000, 4000000, 4500000)
"""Bits per second by the value of the baud rate register."""


@dataclass(frozen=True)
class Register:
    """One entry of the control table. `low` and `high` are the values that the servo takes; None: read only."""

    address: int
    size: int
    name: str
    default: int = 0
    low: int | None = None
    high: int | None = None

    @property
    def writable(self) -> bool:
        """Whether a WRITE may change it at all."""
        return self.low is not None

    @property
    def eeprom(self) -> bool:
        """Whether it keeps its value without power."""
        return self.address < RAM

    @property
    def signed(self) -> bool:
        """Whether the value is two's complement."""
        return (self.low is not None and self.low < 0) or self.name in _SIGNED_READINGS


_SIGNED_READINGS = frozenset(
    {"bus_watchdog", "present_pwm", "present_current", "present_velocity", "present_position", "position_trajectory"}
)


@dataclass(frozen=True)
class Model:
    """What differs between the models that can be simulated. `current` False: register 126 is a load in 0.1 %."""

    number: int
    name: str
    no_load_rpm: float
    velocity_limit: int
    lowest_voltage: int
    highest_voltage: int
    current: bool
    modes: tuple[int, ...] = (3, 4, 16)


MODELS: Final = {
    "xm430-w350": Model(1020, "XM430-W350", 46.0, 200, 95, 160, current=True),
    "xl430-w250": Model(1060, "XL430-W250", 61.0, 265, 60, 140, current=False),
}


def registers_of(model: Model) -> tuple[Register, ...]:
    """The control table of a model, factory defaults included."""
    both = (
        Register(0, 2, "model_number", model.number),
        Register(2, 4, "model_information"),
        Register(6, 1, "firmware_version", 45),
        Register(7, 1, "id", 1, 0, 252),
        Register(8, 1, "baud_rate", 1, 0, 7),
        Register(9, 1, "return_delay_time", 250, 0, 254),
        Register(10, 1, "drive_mode", 0, 0, 13),
        Register(11, 1, "operating_mode", 3, 0, 16),
        Register(12, 1, "secondary_id", 255, 0, 255),
        Register(13, 1, "protocol_type", 2, 2, 2),
        Register(20, 4, "homing_offset", 0, -1044479, 1044479),
        Register(24, 4, "moving_threshold", 10, 0, 1023),
        Register(31, 1, "temperature_limit", 80, 0, 100),
        Register(32, 2, "max_voltage_limit", model.highest_voltage, model.lowest_voltage, model.highest_voltage),
        Register(34, 2, "min_voltage_limit", model.lowest_voltage, model.lowest_voltage, model.highest_voltage),
        Register(36, 2, "pwm_limit", 885, 0, 885),
        Register(44, 4, "velocity_limit", model.velocity_limit, 0, 1023),
        Register(48, 4, "max_position_limit", 4095, 0, 4095),
        Register(52, 4, "min_position_limit", 0, 0, 4095),
        Register(60, 1, "startup_configuration", 0, 0, 1),
        Register(63, 1, "shutdown", 52, 0, 63),
        Register(64, 1, "torque_enable", 0, 0, 1),
        Register(65, 1, "led", 0, 0, 1),
        Register(68, 1, "status_return_level", 2, 0, 2),
        Register(69, 1, "registered_instruction"),
        Register(70, 1, "hardware_error"),
        Register(98, 1, "bus_watchdog", 0, 0, 127),
        Register(100, 2, "goal_pwm", 885, -885, 885),
        Register(104, 4, "goal_velocity", 0, -1023, 1023),
        Register(108, 4, "profile_acceleration", 0, 0, 32767),
        Register(112, 4, "profile_velocity", 0, 0, 32767),
        Register(116, 4, "goal_position", 0, *ANY_32),
        Register(120, 2, "realtime_tick"),
        Register(122, 1, "moving"),
        Register(123, 1, "moving_status"),
        Register(124, 2, "present_pwm"),
        Register(126, 2, "present_current"),
        Register(128, 4, "present_velocity"),
        Register(132, 4, "present_position"),
        Register(136, 4, "velocity_trajectory"),
        Register(140, 4, "position_trajectory"),
        Register(144, 2, "present_voltage", 120),
        Register(146, 1, "present_temperature", 32),
    )
    if not model.current:
        return both
    return (
        *both,
        Register(38, 2, "current_limit", 1193, 0, 1193),
        Register(102, 2, "goal_current", 1193, -1193, 1193),
    )


class ControlTable:
    """The memory of a servo with its access rules. It does not know what the values do."""

    def __init__(self, model: Model) -> None:
        self.registers = {register.name: register for register in registers_of(model)}
        self._by_address = {register.address: register for register in self.registers.values()}
        self._memory = bytearray(SIZE)
        for register in self.registers.values():
            self[register.name] = register.default

    def __contains__(self, name: object) -> bool:
        return name in self.registers

    def __getitem__(self, name: str) -> int:
        register = self.registers[name]
        raw = self._memory[register.address : register.address + register.size]
        return int.from_bytes(raw, "little", signed=register.signed)

    def __setitem__(self, name: str, value: int) -> None:
        register = self.registers[name]
        wrapped = value & ((1 << (8 * register.size)) - 1)
        end = register.address + register.size
        self._memory[register.address : end] = wrapped.to_bytes(register.size, "little")

    def reset_ram(self) -> None:
        """What a loss of power does: everything outside the EEPROM goes back to its default."""
        for register in self.registers.values():
            if not register.eeprom:
                self[register.name] = register.default

    def read(self, address: int, length: int) -> bytes | None:
        """Raw bytes; None when the range lies outside the table. Addresses without a register read as zero."""
        if length < 1 or address + length > SIZE:
            return None
        return bytes(self._memory[address : address + length])

    def parse_write(self, address: int, data: bytes, *, torque: bool) -> tuple[ErrorNumber, list[tuple[Register, int]]]:
        """Split a WRITE into whole registers and check access and fixed ranges; nothing is stored yet."""
        found: list[tuple[Register, int]] = []
        if not data:
            return ErrorNumber.DATA_LENGTH, found
        while data:
            register = self._by_address.get(address)
            if register is None or not register.writable or (register.eeprom and torque):
                return ErrorNumber.ACCESS, []
            if len(data) < register.size:
                return ErrorNumber.DATA_LENGTH, []
            value = int.from_bytes(data[: register.size], "little", signed=register.signed)
            if not _within(register, value):
                return ErrorNumber.DATA_RANGE, []
            found.append((register, value))
            address, data = address + register.size, data[register.size :]
        return ErrorNumber.NONE, found

    def snapshot(self) -> dict[str, int]:
        """All registers by name."""
        return {name: self[name] for name in sorted(self.registers, key=lambda n: self.registers[n].address)}


def _within(register: Register, value: int) -> bool:
    return register.low is not None and register.high is not None and register.low <= value <= register.high
