"""What the servo's readings mean for the hotel: what a person should know, and what forbids moving. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from labkeeper_devices.drivers.plate_resort import geometry, registers
from labkeeper_devices.drivers.plate_resort.bus import Block
from labkeeper_devices.drivers.plate_resort.registers import Model
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

NEAR_LIMIT_DEGREES: Final = 5.0
"""A warning is given when the temperature is this near to its limit."""


@dataclass(frozen=True)
class Vitals:
    """One reading in units. A model has either a current or a load."""

    temperature_c: float
    voltage_v: float
    current_ma: float | None
    load_percent: float | None
    hardware_error: int
    tick: int
    moving: bool
    torque: bool

    @property
    def position_deg(self) -> float:
        """Where the shaft is, at least 0 and less than 360."""
        return geometry.to_degrees(self.tick)


def vitals_of(readings: Block, status: Block, model: Model) -> Vitals:
    """The readings of a servo in units."""
    raw = readings[registers.PRESENT_CURRENT]
    current = registers.current_ma(raw, model)
    return Vitals(
        temperature_c=float(readings[registers.PRESENT_TEMPERATURE]),
        voltage_v=round(readings[registers.PRESENT_VOLTAGE] * registers.VOLT_PER_UNIT, 1),
        current_ma=None if current is None else round(current, 1),
        load_percent=round(raw * registers.PERCENT_PER_LOAD, 1) if current is None else None,
        hardware_error=status[registers.HARDWARE_ERROR],
        tick=readings[registers.PRESENT_POSITION],
        moving=bool(readings[registers.MOVING]),
        torque=status[registers.TORQUE_ENABLE] == 1,
    )


def faults(vitals: Vitals, config: ResortConfig, *, torque_expected: bool) -> tuple[str, ...]:
    """What forbids moving: hardware errors, temperature, voltage, and a torque that went off by itself."""
    names = ", ".join(registers.hardware_error_names(vitals.hardware_error))
    found = (
        (vitals.hardware_error != 0, f"hardware error: {names}; mend the cause, then reboot the servo"),
        (
            vitals.temperature_c > config.temperature_limit,
            f"temperature {vitals.temperature_c:g} °C is above its limit, {config.temperature_limit:g} °C; let it cool",
        ),
        (
            not config.voltage_min <= vitals.voltage_v <= config.voltage_max,
            f"supply voltage {vitals.voltage_v:g} V is outside {config.voltage_min:g} to {config.voltage_max:g} V",
        ),
        (
            torque_expected and not vitals.torque,
            "the torque is off although this driver turned it on: the servo lost its power or was reset; connect again",
        ),
    )
    return tuple(text for holds, text in found if holds)


def warnings(vitals: Vitals, config: ResortConfig, limits: tuple[int, int], model: Model) -> tuple[str, ...]:
    """What a person should know although it forbids nothing."""
    current = abs(vitals.current_ma or 0.0)
    near = config.temperature_limit - NEAR_LIMIT_DEGREES
    low, high = limits
    found = (
        (
            near < vitals.temperature_c <= config.temperature_limit,
            f"temperature {vitals.temperature_c:g} °C is near its limit, {config.temperature_limit:g} °C",
        ),
        (
            current > config.current_limit,
            f"current {current:g} mA is above the limit of {config.current_limit:g} mA: is something in the way?",
        ),
        (
            not low <= vitals.tick <= high,
            f"position tick {vitals.tick} is outside the servo's position limits, {low} to {high}",
        ),
        (
            model not in registers.MODELS.values(),
            f"{model.name}: its current is read in units of {registers.MA_PER_UNIT} mA, which may be wrong",
        ),
    )
    return tuple(text for holds, text in found if holds)


def as_readings(vitals: Vitals) -> dict[str, float | int | None]:
    """The readings with their unit in the key."""
    shown: dict[str, Any] = {
        "temperature_c": vitals.temperature_c,
        "voltage_v": vitals.voltage_v,
        "current_ma": vitals.current_ma,
        "load_percent": vitals.load_percent,
        "position_deg": round(vitals.position_deg, 3),
        "hardware_error": vitals.hardware_error,
        "torque": int(vitals.torque),
        "moving": int(vitals.moving),
    }
    if vitals.load_percent is None:
        del shown["load_percent"]
    return shown
