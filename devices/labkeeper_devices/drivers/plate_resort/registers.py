"""The registers of an X-series servo that the plate hotel uses: addresses, sizes and units. Pure.

Source: ROBOTIS e-manual, control table of the X series (XM430-W350), protocol 2.0. It departs from the guide of the
plate hotel where the guide is wrong (seeds/facts.md, section 5): the present current is at 126 (144 is the input
voltage), a current in mA must be divided by its unit before it is written, and the 0..1023 scale of `goal_torque` and
`torque_limit` is the PWM limit of this series, not a voltage limit. Not for speaking to a servo: that is `bus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


@dataclass(frozen=True)
class Register:
    """A register: first address, size in bytes, and whether its value is two's complement."""

    address: int
    size: int
    name: str
    signed: bool = False

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.size

    def encode(self, value: int) -> list[int]:
        """The bytes of a value, lowest first. Raises `OverflowError` when it does not fit."""
        return list(value.to_bytes(self.size, "little", signed=self.signed))

    def decode(self, data: bytes) -> int:
        """The value of the bytes."""
        return int.from_bytes(data, "little", signed=self.signed)


class OperatingMode(IntEnum):
    """Values of `OPERATING_MODE` that are used here."""

    POSITION = 3
    EXTENDED_POSITION = 4
    PWM = 16


# EEPROM: only writable with the torque off, kept without power, worn out by about 100 000 writes.
MODEL_NUMBER: Final = Register(0, 2, "model number")
FIRMWARE: Final = Register(6, 1, "firmware version")
DRIVE_MODE: Final = Register(10, 1, "drive mode")
OPERATING_MODE: Final = Register(11, 1, "operating mode")
MOVING_THRESHOLD: Final = Register(24, 4, "moving threshold")
PWM_LIMIT: Final = Register(36, 2, "PWM limit")
MAX_POSITION: Final = Register(48, 4, "max position limit")
MIN_POSITION: Final = Register(52, 4, "min position limit")

# RAM
TORQUE_ENABLE: Final = Register(64, 1, "torque enable")
HARDWARE_ERROR: Final = Register(70, 1, "hardware error status")
BUS_WATCHDOG: Final = Register(98, 1, "bus watchdog", signed=True)
GOAL_PWM: Final = Register(100, 2, "goal PWM", signed=True)
PROFILE_ACCELERATION: Final = Register(108, 4, "profile acceleration")
PROFILE_VELOCITY: Final = Register(112, 4, "profile velocity")
GOAL_POSITION: Final = Register(116, 4, "goal position", signed=True)
MOVING: Final = Register(122, 1, "moving")
PRESENT_PWM: Final = Register(124, 2, "present PWM", signed=True)
PRESENT_CURRENT: Final = Register(126, 2, "present current", signed=True)
PRESENT_VELOCITY: Final = Register(128, 4, "present velocity", signed=True)
PRESENT_POSITION: Final = Register(132, 4, "present position", signed=True)
PRESENT_VOLTAGE: Final = Register(144, 2, "present input voltage")
PRESENT_TEMPERATURE: Final = Register(146, 1, "present temperature")

TIME_BASED_PROFILE: Final = 0b0100
"""Bit of `DRIVE_MODE`: profile velocity would be a time in ms. A speed written then means something else."""
TORQUE_ON_BY_GOAL: Final = 0b1000
"""Bit of `DRIVE_MODE`: writing a goal turns the torque on. Nothing may do that behind an emergency stop."""

PWM_MAX: Final = 885
"""Goal PWM of 100 %."""
TORQUE_SCALE_MAX: Final = 1023
"""100 % on the scale that the guide gives torque in."""
VELOCITY_MAX: Final = 32767
"""Largest profile velocity."""

SECONDS_PER_WATCHDOG: Final = 0.02
"""Unit of `BUS_WATCHDOG`: with a value above 0, the servo stops when it hears nothing for that long."""

RPM_PER_VELOCITY: Final = 0.229
VOLT_PER_UNIT: Final = 0.1
PERCENT_PER_PWM: Final = 0.113
MA_PER_UNIT: Final = 2.69
"""Unit of currents of the XM/XH/XW series in mA."""
PERCENT_PER_LOAD: Final = 0.1

HARDWARE_ERRORS: Final = {
    0: "input voltage",
    2: "overheating",
    3: "motor encoder",
    4: "electrical shock",
    5: "overload",
}
"""Bits of `HARDWARE_ERROR`."""


@dataclass(frozen=True)
class Model:
    """What the driver must know of a model. `ma_per_unit` None: register 126 is a load in 0.1 % and no current."""

    name: str
    ma_per_unit: float | None


MODELS: Final = {
    1000: Model("XH430-W350", MA_PER_UNIT),
    1010: Model("XH430-W210", MA_PER_UNIT),
    1020: Model("XM430-W350", MA_PER_UNIT),
    1030: Model("XM430-W210", MA_PER_UNIT),
    1040: Model("XH430-V350", 1.34),
    1050: Model("XH430-V210", 1.34),
    1060: Model("XL430-W250", None),
    1070: Model("XC430-W150", None),
    1080: Model("XC430-W240", None),
    1090: Model("2XL430-W250", None),
    1100: Model("XH540-W270", MA_PER_UNIT),
    1110: Model("XH540-W150", MA_PER_UNIT),
    1120: Model("XM540-W270", MA_PER_UNIT),
    1130: Model("XM540-W150", MA_PER_UNIT),
    1160: Model("2XC430-W250", None),
    1190: Model("XL330-M077", 1.0),
    1200: Model("XL330-M288", 1.0),
    1210: Model("XC330-T181", 1.0),
    1220: Model("XC330-T288", 1.0),
    1230: Model("XC330-M181", 1.0),
    1240: Model("XC330-M288", 1.0),
}
"""X-series models by model number (ROBOTIS e-manual and DYNAMIXEL Workbench)."""


def model_of(number: int) -> Model:
    """The model of a number; an unknown one is taken for one with the series' usual current unit, and says so."""
    return MODELS.get(number, Model(f"unknown model {number}", MA_PER_UNIT))


def pwm_of_torque(torque: int) -> int:
    """Torque on the guide's scale (0..1023) as PWM (0..885), proportionally."""
    return round(torque * PWM_MAX / TORQUE_SCALE_MAX)


def current_ma(raw: int, model: Model) -> float | None:
    """A current register in mA, None for a model that does not measure it."""
    return None if model.ma_per_unit is None else raw * model.ma_per_unit


def hardware_error_names(bits: int) -> tuple[str, ...]:
    """What the bits of the hardware error status mean."""
    return tuple(HARDWARE_ERRORS.get(bit, f"bit {bit}") for bit in range(8) if bits & (1 << bit))
