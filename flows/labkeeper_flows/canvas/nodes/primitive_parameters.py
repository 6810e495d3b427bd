"""Parameters of the robot's primitives as nodes (facts 1.2, 1.6). The facts give no ranges for them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from labkeeper_flows.canvas.nodes.base import Microlitres, Millimetres, MillimetresPerSecond, NodeParameters, Seconds


class Nothing(NodeParameters):
    """No parameters beyond the common ones."""


class SetLights(NodeParameters):
    """The robot's rail lights."""

    on: bool = True
    """Whether they shine."""


class LoadLabware(NodeParameters):
    """Standard labware in a slot."""

    slot: int | str
    """Slot 1 to 11."""
    load_name: str = Field(min_length=1)
    """Opentrons' name of the labware."""
    labware_name: str | None = None
    """Name for the rest of the canvas; the load name where absent."""
    namespace: str = "opentrons"
    """Namespace of the definition."""
    version: int = Field(1, ge=1)
    """Version of it."""


class LoadCustomLabware(NodeParameters):
    """Labware of one's own in a slot."""

    slot: int | str
    """Slot 1 to 11."""
    load_name: str | None = None
    """Name of labware that this lab knows, where there is no definition."""
    definition: dict[str, Any] | None = None
    """Opentrons labware definition, schema 2."""
    labware_name: str | None = None
    """Name for the rest of the canvas; the load name where absent."""


class LoadPipette(NodeParameters):
    """A pipette on a mount."""

    pipette_name: str
    """Opentrons' name of the pipette."""
    mount: Literal["left", "right"] = "right"
    """Where it is mounted."""


class AtWell(NodeParameters):
    """A place relative to a well."""

    labware_name: str
    """Labware, by its name on the deck."""
    well_name: str
    """Well of it."""
    pipette_name: str | None = None
    """Pipette; the one that is mounted where absent."""
    offset_x: Millimetres = Field(0, ge=-100, le=100)
    """mm to the right."""
    offset_y: Millimetres = Field(0, ge=-100, le=100)
    """mm to the back."""
    offset_z: Millimetres = Field(0, ge=-100, le=100)
    """mm up."""


class MoveToWell(AtWell):
    """A movement."""

    origin: Literal["top", "bottom"] = "top"
    """What the offset counts from."""
    speed: MillimetresPerSecond = Field(100, gt=0, le=400)
    """mm/s."""


class Liquid(AtWell):
    """A movement of liquid; taken up over the bottom, let out at the top (facts 1.6)."""

    volume: Microlitres = Field(gt=0, le=10_000)
    """µL."""


class FillWell(NodeParameters):
    """From one well to another, as often as needed, with the tip that is on (facts 1.6)."""

    source_labware: str
    """Labware that gives, by its name on the deck."""
    source_well: str
    """Well of it."""
    target_labware: str
    """Labware that receives."""
    target_well: str
    """Well of it."""
    volume: Microlitres = Field(gt=0, le=100_000)
    """µL in all."""
    pipette_name: str | None = None
    """Pipette; the one that is mounted where absent."""


class PickUpTip(NodeParameters):
    """A tip from a rack; the next one where no well is named."""

    labware_name: str | None = None
    """Rack, by its name on the deck."""
    well_name: str | None = None
    """Place in it."""
    pipette_name: str | None = None
    """Pipette; the one that is mounted where absent."""


class DropTip(PickUpTip):
    """The tip into the trash, or back into a rack where one is named."""


class Delay(NodeParameters):
    """Waiting."""

    seconds: Seconds = Field(1, ge=0, le=86_400)
    """s."""
