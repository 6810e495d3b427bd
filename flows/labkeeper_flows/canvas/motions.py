"""The movements that nodes are made of, as OT-2 steps. Each checks in the context what it needs, and changes it.

Lengths in mm, speeds in mm/s, volumes in µL. `origin` is the well's `top` or `bottom`; offsets point to the right, to
the back and up. Operation names are the primitives of facts 1.6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_flows.canvas.context import Context, Held, Spot
from labkeeper_flows.canvas.deck import Pipette, Placed
from labkeeper_flows.canvas.labware import Kind
from labkeeper_flows.canvas.steps import Role, Step

Offset = tuple[float, float, float]
Parameter = str | NodePath

CENTRE: Offset = (0.0, 0.0, 0.0)
ABOVE_TIP: Offset = (0.0, 1.0, 0.0)
"""Where the pipette goes before it picks up a tip (facts 1.2: y+1 at speed 100)."""
ABOVE_TOOL: Offset = (0.6, 0.5, 3.0)
"""Where it goes before it picks up an electrode or tool (facts 1.2)."""
RACK_SPEED = 100.0


def ot2(operation: str, *, physical: bool = True, **parameters: Any) -> Step:
    """One command to the robot; parameters that are None are left out."""
    return Step(Role.OT2, operation, {key: value for key, value in parameters.items() if value is not None}, physical)


def wait(seconds: float) -> Step:
    """Let time pass."""
    return Step(Role.CLOCK, "wait", {"seconds": float(seconds)}, physical=False)


def move(
    context: Context,
    spot: Spot,
    offset: Offset,
    *,
    origin: str = "top",
    speed: float | None = None,
    parameter: Parameter = "",
) -> list[Step]:
    """Move to a place relative to a well. Refused where something would hit the bottom."""
    pipette = context.pipette()
    if pipette is None or not reaches(context, spot, offset[2], origin, parameter):
        return []
    return [_at("move_to_well", pipette, spot, origin=origin, offset=offset, speed=speed)]


def reaches(context: Context, spot: Spot, z: float, origin: str, parameter: Parameter) -> bool:
    """Whether a height is above the bottom of the well, where its depth is known; refused if not."""
    lowest = spot.labware.labware.lowest_mm()
    depth = -z if origin == "top" else (lowest or 0.0) - z if z < 0 else 0.0
    if origin == "bottom" and z < 0:
        context.refuse(parameter, f"{z:g} mm lies below the bottom of {spot}")
        return False
    if lowest is not None and depth > lowest + 1e-9:
        context.refuse(parameter, f"{depth:g} mm is deeper than {spot} is", f"at most {lowest:g} mm below its top")
        return False
    return True


def pick_up_next_tip(context: Context, pipette: Pipette, *, speed: float = RACK_SPEED) -> list[Step]:
    """Next tip, move above it, pick it up (facts 1.2). Refused when the rack is empty or something is held."""
    rack = context.deck.tip_rack(pipette)
    if rack is None:
        context.refuse((), f"the deck has no rack with tips for {pipette.name}")
        return []
    if not _hands_free(context, "a tip"):
        return []
    well = context.tips.take(rack.name, rack.labware.wells, context.first_tip)
    if well is None:
        start = f" from number {context.first_tip} on" if context.first_tip > 1 else ""
        context.refuse(
            (), f"the tip rack {rack.name} is empty{start}", "put a new rack in and reset its ledger", state=True
        )
        return []
    spot = Spot(rack, well)
    context.held = Held(Kind.TIPS, spot)
    return [
        _at("move_to_well", pipette, spot, origin="top", offset=ABOVE_TIP, speed=speed),
        _at("pickup_tip", pipette, spot, offset=CENTRE),
    ]


def take(context: Context, spot: Spot, offset: Offset, *, speed: float = RACK_SPEED) -> list[Step]:
    """Move above a tool and pick it up. It is never used up; a tip from this very place is."""
    pipette = context.pipette()
    kind = spot.labware.labware.kind
    if pipette is None:
        return []
    if kind is Kind.WELLS:
        context.refuse("", f"{spot} holds liquid, and neither tips nor tools")
        return []
    if not _hands_free(context, f"the {'tip' if kind is Kind.TIPS else 'tool'} from {spot}"):
        return []
    if kind is Kind.TIPS and not context.tips.take_at(spot.labware.name, spot.well):
        context.refuse("", f"the tip at {spot} is gone already", "leave the well out to take the next one", state=True)
    context.held = Held(kind, spot)
    return [
        _at("move_to_well", pipette, spot, origin="top", offset=offset, speed=speed),
        # Only the sideways offset: how far down the pipette presses is the robot's own business.
        _at("pickup_tip", pipette, spot, offset=(offset[0], offset[1], 0.0)),
    ]


def put_back(context: Context, offset: Offset = (0.6, 0.5, 6.0), *, speed: float = 50.0) -> list[Step]:
    """Return the tool that is held to the place it came from. Nothing is held: it is there already, nothing to do.

    The height is over the bottom of the rack's well (facts 1.2: `return_offset_z=6`).
    """
    held, pipette = context.held, context.pipette()
    if held is None or pipette is None:
        return []
    context.held = None
    above = (offset[0], offset[1], ABOVE_TOOL[2])
    return [
        _at("move_to_well", pipette, held.home, origin="top", offset=above, speed=speed),
        _at("drop_tip", pipette, held.home, origin="bottom", offset=offset),
    ]


def take_from(
    context: Context, rack: Placed, well: str | None, labware_parameter: Parameter, well_parameter: Parameter
) -> list[Step]:
    """Take what stands in a rack: at `well`, or the rack's next tip. A tool needs its well said."""
    if well is None and rack.labware.kind is Kind.TIPS:
        left = context.tips.copy()
        found = left.take(rack.name, rack.labware.wells, context.first_tip)
        if found is None:
            context.refuse(labware_parameter, f"the tip rack {rack.name} is empty", state=True)
            return []
        well = found
    well = well if well is not None else rack.working_well
    if well is None:
        context.refuse(well_parameter, f"nothing says which place of {rack.name}", "name the well")
        return []
    spot = context.spot(labware_parameter, rack.name, well_parameter, well)
    if spot is None:
        return []
    return take(context, spot, ABOVE_TIP if rack.labware.kind is Kind.TIPS else ABOVE_TOOL)


def drop_at(context: Context, spot: Spot, *, speed: float = 50.0) -> list[Step]:
    """Put what is held into a place of a rack. A tool only goes home: elsewhere another may stand."""
    held = context.held
    if held is None:
        context.refuse((), "nothing is on the pipette to drop", state=True)
        return []
    if spot.labware.labware.kind is Kind.WELLS:
        context.refuse((), f"{spot} is a well, and neither tips nor tools are dropped into liquid")
        return []
    if held.home != spot:
        context.refuse((), f"{held} would be put to {spot}", f"return it to {held.home}", state=True)
        return []
    if held.kind is Kind.TOOLS:
        return put_back(context, speed=speed)
    pipette = context.pipette()
    context.held = None
    return [_at("drop_tip", pipette, spot, origin="bottom", offset=CENTRE)] if pipette is not None else []


def return_tool(context: Context) -> list[Step]:
    """Bring home whatever tool is held, before another is taken: the pipette has one place."""
    return put_back(context) if context.held is not None and context.held.kind is Kind.TOOLS else []


def drop_in_trash(context: Context) -> list[Step]:
    """Drop what is held into the fixed trash. Tools are refused: they are never thrown away."""
    pipette, held = context.pipette(), context.held
    if pipette is None:
        return []
    if held is None:
        context.refuse((), "nothing is on the pipette to drop", state=True)
        return []
    if held.kind is Kind.TOOLS:
        context.refuse((), f"{held} would go into the trash", "return it to its rack", state=True)
        return []
    context.held = None
    return [ot2("drop_tip", pipette=pipette.name, trash=True)]


def aspirate(
    context: Context, pipette: Pipette, spot: Spot, volume: float, offset: Offset, *, parameter: Parameter = "volume"
) -> list[Step]:
    """Take liquid up, offset from the bottom of the well. Refused without a clean enough tip or enough liquid."""
    if not _has_tip(context) or not reaches(context, spot, offset[2], "bottom", parameter):
        return []
    held = context.held
    if held is None or held.volume + volume > pipette.largest_ul + 1e-6:
        most = f"{pipette.name} takes up {pipette.largest_ul:g} µL"
        context.refuse(parameter, f"{volume:g} µL is more than the tip has room for", most)
        return []
    short = context.liquids.take(spot.labware.name, spot.well, volume, spot.labware.labware.capacity_ul)
    if short is not None:
        context.refuse(parameter, f"{spot} cannot give {volume:g} µL: there are at most {short:g} µL left", state=True)
    context.held = replace(held, volume=held.volume + volume)
    return [_at("aspirate", pipette, spot, volume=volume, origin="bottom", offset=offset)]


def dispense(
    context: Context, pipette: Pipette, spot: Spot, volume: float, offset: Offset, *, parameter: Parameter = "volume"
) -> list[Step]:
    """Let liquid out, offset from the top of the well. Refused when it would overflow or is not in the tip."""
    if not _has_tip(context) or not reaches(context, spot, offset[2], "top", parameter):
        return []
    held = context.held
    if held is None or volume > held.volume + 1e-6:
        context.refuse(parameter, f"only {held.volume if held else 0:g} µL are in the tip", state=True)
        return []
    full = context.liquids.put(spot.labware.name, spot.well, volume, spot.labware.labware.capacity_ul)
    if full is not None:
        holds = f"it holds {spot.labware.labware.capacity_ul:g} µL"
        context.refuse(parameter, f"{spot} would overflow: at least {full:g} µL", holds, state=True)
    context.held = replace(held, volume=max(0.0, held.volume - volume))
    return [_at("dispense", pipette, spot, volume=volume, origin="top", offset=offset)]


def blowout(pipette: Pipette, spot: Spot, offset: Offset) -> Step:
    """Blow the rest out of the tip."""
    return _at("blowout", pipette, spot, origin="top", offset=offset)


def legal_parts(context: Context, pipette: Pipette, volume: float, parameter: Parameter) -> tuple[float, ...]:
    """The equal transfers that make up `volume`; refused when the pipette cannot measure so little."""
    if volume < pipette.smallest_ul:
        smallest = f"at least {pipette.smallest_ul:g} µL"
        context.refuse(parameter, f"{volume:g} µL is less than {pipette.name} can measure", smallest)
        return ()
    return pipette.parts(volume)


def _at(operation: str, pipette: Pipette, spot: Spot, *, offset: Offset, **more: Any) -> Step:
    # Always floats, whether a number came from a canvas or a default: command logs are compared byte for byte.
    numbers = {name: float(value) for name, value in more.items() if isinstance(value, (int, float))}
    where = dict(zip("xyz", map(float, offset), strict=True))
    place = {"pipette": pipette.name, "labware": spot.labware.name, "well": spot.well, "offset": where}
    return ot2(operation, physical=True, **{**place, **more, **numbers})


def _hands_free(context: Context, wanted: str) -> bool:
    if context.held is None:
        return True
    context.refuse(
        (), f"the pipette still holds {context.held} when it should take {wanted}", "return it first", state=True
    )
    return False


def _has_tip(context: Context) -> bool:
    if context.held is not None and context.held.kind is Kind.TIPS:
        return True
    has = "nothing" if context.held is None else str(context.held)
    context.refuse((), f"liquid needs a tip, and the pipette holds {has}", "pick up a tip first", state=True)
    return False
