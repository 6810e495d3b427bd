"""Parameters of the nodes of catalyst canvases (facts 1.7). What they mean is `catalyst`'s."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from labkeeper_flows.canvas.motions import Offset
from labkeeper_flows.canvas.nodes.base import (
    Celsius,
    Millilitres,
    Millimetres,
    Milliseconds,
    NodeParameters,
    Number,
    Seconds,
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class OffsetMm(_Part):
    """Where to go relative to the middle of a well's top."""

    x: Millimetres = Field(0, ge=-200, le=200)
    """mm to the right."""
    y: Millimetres = Field(0, ge=-200, le=200)
    """mm to the back."""
    z: Millimetres = Field(0, ge=-200, le=200)
    """mm up."""


class Pumps(_Part):
    """What pumps and ultrasonic bath do."""

    pump0_ml: Millilitres = Field(0, ge=0, le=100)
    """mL of pump 0 (water); so for pumps 1 (acid) and 2 (out)."""
    pump1_ml: Millilitres = Field(0, ge=0, le=100)
    pump2_ml: Millilitres = Field(0, ge=0, le=100)
    ultrasonic0_ms: Milliseconds = Field(0, ge=0, le=600_000)
    """ms of ultrasound."""

    def pumped(self) -> list[tuple[int, float]]:
        """(pump, mL) of each pump that runs."""
        volumes = enumerate((self.pump0_ml, self.pump1_ml, self.pump2_ml))
        return [(number, volume) for number, volume in volumes if volume]


class ArduinoControl(Pumps):
    """The same with the heater."""

    base0_temp: Celsius | None = Field(None, ge=0, le=100)
    """Degrees Celsius of base 0."""


class Ot2Action(_Part):
    """One motion. Offsets stand in `offset`, or flat; `well` may be missing."""

    action: Literal["pick_up_tip", "drop_tip", "move_to", "wash", "home"]
    """What to do."""
    labware: str | None = None
    """Labware, by its name in global_config; `robot` for home."""
    well: str | None = None
    """Well; the labware's working_well where absent."""
    offset: OffsetMm | None = None
    """Offset."""
    offset_x: Millimetres | None = Field(None, ge=-200, le=200)
    """mm to the right; so for y and z."""
    offset_y: Millimetres | None = Field(None, ge=-200, le=200)
    offset_z: Millimetres | None = Field(None, ge=-200, le=200)
    arduino_actions: Pumps | None = None
    """What pumps and bath do in a wash."""

    def place(self) -> Offset:
        """The offset, wherever it stands."""
        if self.offset is not None:
            return (self.offset.x, self.offset.y, self.offset.z)
        return (self.offset_x or 0.0, self.offset_y or 0.0, self.offset_z or 0.0)


class CatalystNode(NodeParameters):
    """What each of these nodes may carry. Numbers are in the unit that their name ends with."""

    duration_s: Seconds | None = None
    """s of OCV and CP."""
    sample_rate: Number | None = None
    """Points per s."""
    current_mA: Number | None = None  # noqa: N815 - the canvas's name
    """mA of CP."""
    start_voltage_V: Number | None = None  # noqa: N815 - the canvas's name
    """V of CV and LSV."""
    end_voltage_V: Number | None = None  # noqa: N815 - the canvas's name
    """V of CV and LSV."""
    scan_rate_mV_s: Number | None = None  # noqa: N815 - the canvas's name
    """mV/s of CV and LSV."""
    cycles: Number | None = None
    """There and back, for CV."""
    start_freq_Hz: Number | None = None  # noqa: N815 - the canvas's name
    """Hz of PEIS."""
    end_freq_Hz: Number | None = None  # noqa: N815 - the canvas's name
    """Hz of PEIS."""
    amplitude_mV: Number | None = None  # noqa: N815 - the canvas's name
    """mV of PEIS."""
    arduino_control: ArduinoControl = ArduinoControl()
    """Heater, pumps and bath, after the motions."""
    ot2_actions: list[Ot2Action] = Field([], max_length=1000)
    """Motions, first of all."""
    xarm_actions: list[dict[str, Any]] = Field([], max_length=1000)
    """Motions of a robot arm, which needs a driver."""
