"""The configuration of pumps, baths and heaters as a type: every key with its range and unit. Not for reading files."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from labkeeper_api.operations.arduino import MAX_ULTRASOUND_MS, MAX_VOLUME_ML
from labkeeper_devices.drivers.common.loading import CrossFieldError, Form, Settings

MlPerSecond = Annotated[float, Field(gt=0, le=100)]
BAUDRATES: Final = (9600, 19200, 38400, 57600, 115200)


class BoardConfig(Settings):
    """Everything that can be set about a board. Port, speed and timeout are those of facts 1.5."""

    device: Annotated[str, Field(min_length=1, max_length=256)] = "/dev/ttyACM0"
    """Serial port."""
    baudrate: int = 9600
    """Speed of the serial line in bits per second: 9600, 19200, 38400, 57600 or 115200."""
    timeout: Annotated[float, Field(ge=0.2, le=60)] = 5.0
    """Seconds that a reply may take beyond what is carried out, 0.2 to 60."""

    pumps_ml_per_s: Annotated[tuple[MlPerSecond, ...], Field(max_length=16)] = (1.0, 1.0, 1.0)
    """Calibration: mL that each pump moves in a second, by its number; above 0 to 100. As many pumps as values."""
    max_volume_ml: Annotated[float, Field(gt=0, le=MAX_VOLUME_ML)] = 20.0
    """Largest volume of one command in mL, above 0 to 100."""
    baths: Annotated[int, Field(ge=0, le=16)] = 1
    """How many ultrasonic baths there are, 0 to 16."""
    max_ultrasound_ms: Annotated[float, Field(gt=0, le=MAX_ULTRASOUND_MS)] = 60_000.0
    """Longest ultrasound of one command in ms, above 0 to 600000."""

    bases: Annotated[int, Field(ge=0, le=16)] = 1
    """How many heated bases there are, 0 to 16."""
    lowest_celsius: Annotated[float, Field(ge=0, le=100)] = 15.0
    """Lowest temperature that may be asked for in degrees Celsius: the bases heat, and cool by themselves only."""
    highest_celsius: Annotated[float, Field(ge=0, le=100)] = 80.0
    """Highest temperature that may be asked for in degrees Celsius, 0 to 100."""
    overheat_celsius: Annotated[float, Field(gt=0, le=120)] = 90.0
    """Temperature in degrees Celsius from which the heaters are turned off and nothing is begun."""
    tolerance_celsius: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """How near a base must be to its temperature to count as there, in K, 0.1 to 10."""
    heating_timeout: Annotated[float, Field(gt=0, le=86_400)] = 1800.0
    """Seconds that a base may take to get to its temperature."""

    @field_validator("pumps_ml_per_s", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        """A YAML list; and whole numbers are numbers."""
        return tuple(value) if isinstance(value, list) else value

    @field_validator("baudrate")
    @classmethod
    def _known(cls, value: int) -> int:
        if value not in BAUDRATES:
            raise ValueError(f"must be one of {', '.join(map(str, BAUDRATES))}")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> BoardConfig:
        found: list[tuple[tuple[str, ...], str]] = []
        low, high, hot = self.lowest_celsius, self.highest_celsius, self.overheat_celsius
        if low >= high:
            text = f"highest_celsius {high:g} must be above lowest_celsius {low:g}"
            found.append((("highest_celsius", "lowest_celsius"), text))
        if high + self.tolerance_celsius > hot:
            text = f"overheat_celsius {hot:g} must be above highest_celsius {high:g} plus tolerance_celsius"
            found.append((("overheat_celsius", "highest_celsius"), text))
        if found:
            raise CrossFieldError(found)
        return self

    def pump_ms(self, pump: int, volume_ml: float) -> int:
        """Whole ms that a pump runs for a volume; at least 1."""
        return max(1, round(volume_ml / self.pumps_ml_per_s[pump] * 1000))


FORM: Final = Form(BoardConfig, "arduino")
