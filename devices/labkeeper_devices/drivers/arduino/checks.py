"""What is wrong with the parameters of an operation for one board. Pure: the board is not asked."""

from __future__ import annotations

from labkeeper_api.errors import Problem
from labkeeper_api.operations.arduino import Pump, SetTemperature, Ultrasonic
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.arduino.settings import BoardConfig


def static_problems(config: BoardConfig, parameters: Parameters) -> list[Problem]:
    """Everything that is wrong: what the board does not have, and what exceeds its limits."""
    match parameters:
        case Pump():
            found = _number("pump", parameters.pump, len(config.pumps_ml_per_s), "pump")
            return [*found, *_above("volume_ml", parameters.volume_ml, config.max_volume_ml, "mL", "max_volume_ml")]
        case Ultrasonic():
            found = _number("channel", parameters.channel, config.baths, "ultrasonic bath")
            limit = config.max_ultrasound_ms
            return [*found, *_above("duration_ms", parameters.duration_ms, limit, "ms", "max_ultrasound_ms")]
        case SetTemperature():
            found = _number("base", parameters.base, config.bases, "heated base")
            celsius, low, high = parameters.celsius, config.lowest_celsius, config.highest_celsius
            if not low <= celsius <= high:
                hint = "the limits are lowest_celsius and highest_celsius of its configuration"
                text = f"{celsius:g} degrees Celsius is out of this unit's range, {low:g} to {high:g}"
                found.append(Problem("celsius", text, hint))
            return found
    return []


def _number(path: str, given: int, count: int, what: str) -> list[Problem]:
    if given < count:
        return []
    known = f"it has {', '.join(map(str, range(count)))}" if count else "it has none"
    return [Problem(path, f"this unit has no {what} {given}", known)]


def _above(path: str, given: float, limit: float, unit: str, key: str) -> list[Problem]:
    if given <= limit:
        return []
    return [Problem(path, f"{given:g} {unit} is more than this unit's limit, {limit:g} {unit} ({key})")]
