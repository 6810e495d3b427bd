"""The operations of an Opentrons OT-2: the primitives of facts 1.6 with the parameters that canvas steps carry, and
whole protocols.

Lengths in mm, speeds in mm/s, volumes in µL, flow rates in µL/s. Offsets point to the right, to the back and up, from
the `origin` of the well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labkeeper_api.operations.spec import OperationSpec, Parameters

DRIVER = "ot2"

FLOW_RATE = 274.7
"""µL/s (facts 1.6)."""
MAX_VOLUME = 1000.0
"""µL per transfer (facts 1.5, and what the largest pipette of an OT-2 takes)."""
MAX_SPEED = 400.0
"""mm/s (facts 1.5)."""
MAX_PROTOCOL = 4 * 1024 * 1024
"""Characters of a protocol's text."""

LabwareName = Annotated[str, Field(min_length=1, max_length=128)]
LoadName = Annotated[str, Field(min_length=1, max_length=128)]
PipetteName = Annotated[str, Field(min_length=1, max_length=64)]
WellName = Annotated[str, Field(min_length=1, max_length=16)]
Millimetres = Annotated[float, Field(ge=-200, le=200)]
Volume = Annotated[float, Field(gt=0, le=MAX_VOLUME)]
Speed = Annotated[float, Field(gt=0, le=MAX_SPEED)]
FlowRate = Annotated[float, Field(gt=0, le=MAX_VOLUME)]
Slot = Annotated[int, Field(ge=1, le=11)]
Origin = Literal["top", "bottom", "center"]


class Offset(Parameters):
    """A vector in mm."""

    x: Millimetres = 0.0
    """To the right."""
    y: Millimetres = 0.0
    """To the back."""
    z: Millimetres = 0.0
    """Up."""


class LoadLabware(Parameters):
    """Parameters of `load_labware`."""

    labware: LabwareName
    """Name by which later commands call it."""
    load_name: LoadName
    """Opentrons' name of its definition."""
    slot: Slot
    """Slot of the deck; 12 is the fixed trash."""
    namespace: Annotated[str, Field(min_length=1, max_length=128)] = "opentrons"
    """Namespace of the definition."""
    version: Annotated[int, Field(ge=1)] = 1
    """Version of the definition."""


class LoadCustomLabware(Parameters):
    """Parameters of `load_custom_labware`."""

    labware: LabwareName
    """Name by which later commands call it."""
    load_name: LoadName
    """Name in its definition."""
    slot: Slot
    """Slot of the deck."""
    definition: dict[str, Any] | None = None
    """Opentrons labware definition, schema 2. The robot knows no custom labware by name: without it, it is refused."""


class LoadPipette(Parameters):
    """Parameters of `load_pipette`."""

    pipette: PipetteName
    """Opentrons' name of it, such as `p1000_single_gen2`; later commands call it so."""
    mount: Literal["left", "right"]
    """Where it is mounted."""


class AtWell(Parameters):
    """A pipette at a well."""

    pipette: PipetteName
    """Pipette that was loaded."""
    labware: LabwareName
    """Labware that was loaded."""
    well: WellName
    """Well of it, such as `A1`."""
    offset: Offset = Offset()
    """From the origin."""


class MoveToWell(AtWell):
    """Parameters of `move_to_well`."""

    origin: Origin = "top"
    """What the offset counts from."""
    speed: Speed | None = None
    """Of the straight moves; the robot's own when not given (400 mm/s)."""


class PickUpTip(AtWell):
    """Parameters of `pickup_tip`: a tip, or an electrode or tool that is handled as one."""


class DropTip(Parameters):
    """Parameters of `drop_tip`: into a place of a rack, or into the trash."""

    pipette: PipetteName
    """Pipette that was loaded."""
    trash: bool = False
    """Into the fixed trash."""
    labware: LabwareName | None = None
    """Rack that takes it, when it does not go into the trash."""
    well: WellName | None = None
    """Place in the rack."""
    offset: Offset = Offset()
    """From the origin."""
    origin: Origin = "bottom"
    """What the offset counts from."""

    @model_validator(mode="after")
    def _one_place(self) -> DropTip:
        named = self.labware is not None and self.well is not None
        half = (self.labware is None) != (self.well is None)
        if half or named == self.trash:
            raise ValueError("say where to drop it: either trash true, or labware and well")
        return self


class Aspirate(AtWell):
    """Parameters of `aspirate`."""

    volume: Volume
    """What to take up."""
    origin: Origin = "bottom"
    """What the offset counts from."""
    flow_rate: FlowRate = FLOW_RATE
    """How fast."""


class Dispense(AtWell):
    """Parameters of `dispense`."""

    volume: Volume
    """What to let out."""
    origin: Origin = "top"
    """What the offset counts from."""
    flow_rate: FlowRate = FLOW_RATE
    """How fast."""


class Blowout(AtWell):
    """Parameters of `blowout`."""

    origin: Origin = "top"
    """What the offset counts from."""
    flow_rate: FlowRate = FLOW_RATE
    """How fast."""


class SetLights(Parameters):
    """Parameters of `set_lights`."""

    on: bool
    """Whether the rail lights shine."""


class Protocol(Parameters):
    """Parameters of `analyze_protocol` and `run_protocol`."""

    name: Annotated[str, Field(min_length=4, max_length=200, pattern=r"^[^/\\\x00-\x1f]+\.(py|json)$")]
    """File name of the protocol; its ending says whether it is Python or JSON."""
    content: Annotated[str, Field(min_length=1, max_length=MAX_PROTOCOL)]
    """Text of the protocol."""


INITIALIZE_ROBOT = OperationSpec(
    DRIVER,
    "initialize_robot",
    "Open a fresh run with an empty deck. Ends the run before it, after which the robot drops a tip and homes.",
    # Physical for that homing; twice is the same as once.
    idempotent=True,
)
LOAD_LABWARE = OperationSpec(
    DRIVER, "load_labware", "Say which standard labware stands in a slot.", LoadLabware, physical=False, idempotent=True
)
LOAD_CUSTOM_LABWARE = OperationSpec(
    DRIVER,
    "load_custom_labware",
    "Say which labware of one's own stands in a slot, by its definition.",
    LoadCustomLabware,
    physical=False,
    idempotent=True,
)
LOAD_PIPETTE = OperationSpec(
    DRIVER, "load_pipette", "Say which pipette is mounted where.", LoadPipette, physical=False, idempotent=True
)
HOME_ROBOT = OperationSpec(DRIVER, "home_robot", "Move all axes home.", idempotent=True)
SET_LIGHTS = OperationSpec(DRIVER, "set_lights", "Switch the rail lights.", SetLights, idempotent=True)
MOVE_TO_WELL = OperationSpec(DRIVER, "move_to_well", "Move a pipette to a place relative to a well.", MoveToWell)
PICKUP_TIP = OperationSpec(DRIVER, "pickup_tip", "Pick up a tip, an electrode or a tool.", PickUpTip)
DROP_TIP = OperationSpec(DRIVER, "drop_tip", "Drop what is on the pipette, into a rack or into the trash.", DropTip)
ASPIRATE = OperationSpec(DRIVER, "aspirate", "Take liquid up.", Aspirate)
DISPENSE = OperationSpec(DRIVER, "dispense", "Let liquid out.", Dispense)
BLOWOUT = OperationSpec(DRIVER, "blowout", "Blow the rest out of the tip.", Blowout)
GET_STATUS = OperationSpec(
    DRIVER, "get_status", "Ask the robot, its door and its run how they are.", physical=False, idempotent=True
)
GET_LABWARE_REGISTRY = OperationSpec(
    DRIVER, "get_labware_registry", "List what was loaded.", physical=False, idempotent=True
)
ANALYZE_PROTOCOL = OperationSpec(
    DRIVER,
    "analyze_protocol",
    "Have the robot work out whether a protocol can run, without moving anything.",
    Protocol,
    physical=False,
    idempotent=True,
)
RUN_PROTOCOL = OperationSpec(
    DRIVER, "run_protocol", "Run a protocol to its end, after the robot has analysed it and found it sound.", Protocol
)
EMERGENCY_STOP = OperationSpec(
    DRIVER,
    "emergency_stop",
    "Stop the robot's run at once and stay stopped until a person releases the stop.",
    emergency=True,
)

OPERATIONS = (
    INITIALIZE_ROBOT,
    LOAD_LABWARE,
    LOAD_CUSTOM_LABWARE,
    LOAD_PIPETTE,
    HOME_ROBOT,
    SET_LIGHTS,
    MOVE_TO_WELL,
    PICKUP_TIP,
    DROP_TIP,
    ASPIRATE,
    DISPENSE,
    BLOWOUT,
    GET_STATUS,
    GET_LABWARE_REGISTRY,
    ANALYZE_PROTOCOL,
    RUN_PROTOCOL,
    EMERGENCY_STOP,
)
