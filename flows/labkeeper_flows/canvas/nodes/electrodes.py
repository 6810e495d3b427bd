"""ElectrodeSetup and ElectrodeManipulation: electrodes are tools of the pipette, taken from and returned to their rack.

They are picked up like tips and never counted as such (facts 1.2).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labkeeper_flows.canvas import motions
from labkeeper_flows.canvas.context import Context, Spot
from labkeeper_flows.canvas.nodes.base import (
    Category,
    Millimetres,
    MillimetresPerSecond,
    NodeParameters,
    NodeType,
    RetryPolicy,
)
from labkeeper_flows.canvas.steps import Step

ElectrodeType = Literal["reference", "counter", "working"]


class ElectrodeSetup(NodeParameters):
    """Takes an electrode and inserts it into a cell."""

    electrode_type: ElectrodeType = "reference"
    """Which electrode; for the record, since its place in the rack is said apart."""
    electrode_position: Literal["A1", "A2", "B1", "B2"] = "A2"
    """Place in the electrode rack."""
    target_well: str = "A1"
    """Cell of the reactor."""
    insertion_depth: Millimetres = Field(26, ge=0, le=60)
    """mm below the top of the cell."""
    lateral_offset_x: Millimetres = Field(0.5, ge=-2, le=2)
    """mm to the right of the cell's middle."""
    lateral_offset_y: Millimetres = Field(0.5, ge=-2, le=2)
    """mm to the back of it."""
    movement_speed: MillimetresPerSecond = Field(50, ge=10, le=100)
    """mm/s over the cell and into it."""


class ElectrodeManipulation(NodeParameters):
    """One of the four movements of an electrode. The facts give ranges for none of the offsets; these are the widths
    that the geometry allows."""

    operation_type: Literal["pickup", "insert", "remove", "return"] = "pickup"
    """Take it, insert it, pull it out of the cell, bring it back."""
    electrode_type: ElectrodeType = "reference"
    """Which electrode; all are taken from the place that the deck keeps for it (A2, facts 1.2)."""
    target_cell: str = "A1"
    """Cell of the reactor."""
    approach_speed: MillimetresPerSecond = Field(50, ge=1, le=400)
    """mm/s on the way."""
    insertion_speed: MillimetresPerSecond = Field(25, ge=1, le=400)
    """mm/s into and out of the cell."""
    pickup_offset_x: Millimetres = Field(0.6, ge=-5, le=5)
    """mm from the middle of the rack's place."""
    pickup_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the rack's place."""
    pickup_offset_z: Millimetres = Field(3, ge=0, le=60)
    """mm over the rack's place before it is taken."""
    insert_offset_x: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the cell."""
    insert_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the cell."""
    insert_approach_z: Millimetres = Field(5, ge=0, le=60)
    """mm over the cell before it goes in and after it came out."""
    insert_final_z: Millimetres = Field(-26, ge=-60, le=0)
    """mm, below the top of the cell when negative."""
    return_offset_z: Millimetres = Field(6, ge=0, le=60)
    """mm over the bottom of the rack's place when it is let go."""


def setup_steps(parameters: ElectrodeSetup, context: Context) -> list[Step]:
    """Rack top, pick up, over the cell, down (facts 1.2)."""
    p = parameters
    deck = context.deck
    home = context.spot("electrode_position", deck.tools, "electrode_position", p.electrode_position)
    cell = context.spot("target_well", deck.reactor, "target_well", p.target_well)
    if home is None or cell is None:
        return []
    x, y, depth = p.lateral_offset_x, p.lateral_offset_y, p.insertion_depth
    found = motions.take(context, home, motions.ABOVE_TOOL)
    found += motions.move(context, cell, (x, y, 5), speed=p.movement_speed)
    return found + motions.move(context, cell, (x, y, -depth), speed=p.movement_speed, parameter="insertion_depth")


def manipulation_steps(parameters: ElectrodeManipulation, context: Context) -> list[Step]:
    """The steps of the movement that is asked for."""
    deck = context.deck
    cell = context.spot("target_cell", deck.reactor, "target_cell", parameters.target_cell)
    home = context.spot((), deck.tools, (), deck.electrode_well)
    if cell is None or home is None:
        return []
    carry_out = {"pickup": _pick_up, "insert": _insert, "remove": _remove, "return": _return}
    return carry_out[parameters.operation_type](parameters, context, cell, home)


def _pick_up(p: ElectrodeManipulation, context: Context, cell: Spot, home: Spot) -> list[Step]:
    del cell
    return motions.take(
        context, home, (p.pickup_offset_x, p.pickup_offset_y, p.pickup_offset_z), speed=p.approach_speed
    )


def _insert(p: ElectrodeManipulation, context: Context, cell: Spot, home: Spot) -> list[Step]:
    if not _holds_electrode(context, home, "insert"):
        return []
    x, y = p.insert_offset_x, p.insert_offset_y
    found = motions.move(context, cell, (x, y, p.insert_approach_z), speed=p.approach_speed)
    return found + motions.move(
        context, cell, (x, y, p.insert_final_z), speed=p.insertion_speed, parameter="insert_final_z"
    )


def _remove(p: ElectrodeManipulation, context: Context, cell: Spot, home: Spot) -> list[Step]:
    if not _holds_electrode(context, home, "remove"):
        return []
    above = (p.insert_offset_x, p.insert_offset_y, p.insert_approach_z)
    return motions.move(context, cell, above, speed=p.insertion_speed)


def _return(p: ElectrodeManipulation, context: Context, cell: Spot, home: Spot) -> list[Step]:
    del cell
    # HardwareWashing brings the electrode home before it takes the flush tool (there is one pipette), and the Zinc
    # canvas returns it after that: it is where it should be, and nothing is left to do.
    if context.held is not None and not _holds_electrode(context, home, "return"):
        return []
    offset = (p.pickup_offset_x, p.pickup_offset_y, p.return_offset_z)
    return motions.put_back(context, offset, speed=p.approach_speed)


def _holds_electrode(context: Context, home: Spot, operation: str) -> bool:
    held = context.held
    if held is not None and held.home.labware.name == home.labware.name:
        return True
    holds = "nothing" if held is None else str(held)
    context.refuse(
        "operation_type",
        f"there is no electrode to {operation}: the pipette holds {holds}",
        "pickup comes first",
        state=True,
    )
    return False


TYPES = (
    NodeType(
        "sdl1ElectrodeSetup",
        "Takes an electrode and inserts it into a cell",
        ElectrodeSetup,
        setup_steps,
        Category.ELECTRODE,
        RetryPolicy(2, 20),
    ),
    NodeType(
        "sdl1ElectrodeManipulation",
        "Takes, inserts, removes or returns an electrode",
        ElectrodeManipulation,
        manipulation_steps,
        Category.ELECTRODE,
        RetryPolicy(2, 10),
    ),
)
