"""What is wrong with the parameters of an operation for one hotel. Pure: the servo is not asked."""

from __future__ import annotations

from typing import Any

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.operations.plate_resort import ActivateHotel, Connect, MoveToAngle, Tour
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.plate_resort.config import with_overrides
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig


def static_problems(config: ResortConfig, parameters: Parameters) -> list[Problem]:
    """Everything that is wrong; a hotel that there is not, settings out of range, the address of another unit."""
    if isinstance(parameters, Connect):
        return _address_problems(config, parameters)
    if isinstance(parameters, ActivateHotel):
        return [*_hotel_problems(config, parameters.hotel, "hotel"), *_override_problems(config, parameters.overrides)]
    if isinstance(parameters, MoveToAngle):
        return _override_problems(config, parameters.overrides)
    if isinstance(parameters, Tour):
        named = enumerate(parameters.hotels or ())
        return [p for index, hotel in named for p in _hotel_problems(config, hotel, f"hotels[{index}]")]
    return []


def _hotel_problems(config: ResortConfig, hotel: str, path: str) -> list[Problem]:
    if hotel in config.hotels:
        return []
    return [Problem(path, f"there is no hotel {hotel!r}", f"the hotels are {', '.join(config.hotels)}")]


def _override_problems(config: ResortConfig, overrides: dict[str, Any] | None) -> list[Problem]:
    try:
        with_overrides(config, overrides or {})
    except InvalidInput as error:
        return list(error.problems)
    return []


def _address_problems(config: ResortConfig, wanted: Connect) -> list[Problem]:
    pairs = (
        ("device", wanted.device, config.device),
        ("baudrate", wanted.baudrate, config.baudrate),
        ("motor_id", wanted.motor_id, config.motor_id),
    )
    return [
        Problem(name, f"this unit drives {name} {driven!r}, not {given!r}", "leave it out, or ask the unit that does")
        for name, given, driven in pairs
        if given is not None and given != driven
    ]
