"""The configuration of a potentiostat as a type: what the instrument can do, with units. Not for reading files."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from labkeeper_devices.drivers.common.loading import CrossFieldError, Form, Settings


class PotentiostatConfig(Settings):
    """Everything that can be set about a potentiostat. Ranges are those of facts 1.2, the timeout that of facts 1.5."""

    channels: Annotated[int, Field(ge=1, le=64)] = 4
    """How many channels it has, 1 to 64."""
    timeout: Annotated[float, Field(ge=0.5, le=120)] = 10.0
    """Seconds that an answer may take, 0.5 to 120."""
    voltage_limit_v: Annotated[float, Field(gt=0, le=100)] = 2.0
    """V that it can apply and measure, both ways; above 0 to 100."""
    current_limit_a: Annotated[float, Field(gt=0, le=10)] = 0.1
    """A that it can drive and measure, both ways; above 0 to 10."""
    shortest_interval_s: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Shortest time between points in s, above 0 to 1."""
    lowest_hz: Annotated[float, Field(gt=0)] = 0.01
    """Lowest frequency in Hz, above 0."""
    highest_hz: Annotated[float, Field(gt=0)] = 100_000.0
    """Highest frequency in Hz, above 0."""
    largest_amplitude_v: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Largest amplitude of impedance measurements in V, above 0 to 1."""
    most_points: Annotated[int, Field(ge=100, le=1_000_000)] = 200_000
    """Most points of one experiment, 100 to 1000000."""

    @model_validator(mode="after")
    def _in_order(self) -> PotentiostatConfig:
        if self.lowest_hz >= self.highest_hz:
            text = f"highest_hz {self.highest_hz:g} must be above lowest_hz {self.lowest_hz:g}"
            raise CrossFieldError([(("highest_hz", "lowest_hz"), text)])
        return self


FORM: Final = Form(PotentiostatConfig, "squidstat")
