"""SolutionPreparation and SamplePreparation: liquid from the solution rack into a reactor cell (facts 1.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labkeeper_flows.canvas import motions
from labkeeper_flows.canvas.context import Context, Spot
from labkeeper_flows.canvas.deck import Pipette
from labkeeper_flows.canvas.motions import Offset
from labkeeper_flows.canvas.nodes.base import (
    Category,
    Microlitres,
    Millimetres,
    MillimetresPerSecond,
    NodeParameters,
    NodeType,
    RetryPolicy,
    Seconds,
    Switch,
)
from labkeeper_flows.canvas.steps import Step

PipetteType = Literal["p1000_single_gen2", "p300_single_gen2", "p20_single_gen2"]
ADDITIVES = "ABCDEFG"


class SolutionPreparation(NodeParameters):
    """One liquid from one well into another."""

    source_labware: str = "vial_rack_2"
    """Labware that holds the liquid, by its name on the deck."""
    source_well: str = "A1"
    """Well of it."""
    target_labware: str = "nis_reactor"
    """Labware that receives it."""
    target_well: str = "A1"
    """Well of it."""
    volume: Microlitres = Field(5000, ge=1, le=10_000)
    """µL in all; more than the pipette holds is split into equal parts, with one tip."""
    pipette_type: PipetteType = "p1000_single_gen2"
    """Pipette that must be mounted."""
    aspiration_offset_z: Millimetres = Field(8, ge=0, le=20)
    """mm over the bottom at which liquid is taken up."""
    dispense_offset_x: Millimetres = Field(-1, ge=-5, le=5)
    """mm to the right of the well's middle."""
    dispense_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm to the back of it."""
    dispense_offset_z: Millimetres = Field(0, ge=-5, le=5)
    """mm over the top of the well."""


class SamplePreparation(NodeParameters):
    """Base solution and up to seven additives into one cell; the volumes add up to `total_volume`."""

    target_cell: str = "A1"
    """Cell of the reactor."""
    total_volume: Microlitres = Field(3000, ge=1, le=10_000)
    """µL in the cell afterwards. The facts give no range; this is that of SolutionPreparation."""
    additive_A: Switch = False  # noqa: N815 - the canvas's name
    """Whether additive A goes in; so for B to G."""
    additive_B: Switch = False  # noqa: N815 - the canvas's name
    additive_C: Switch = False  # noqa: N815 - the canvas's name
    additive_D: Switch = False  # noqa: N815 - the canvas's name
    additive_E: Switch = False  # noqa: N815 - the canvas's name
    additive_F: Switch = False  # noqa: N815 - the canvas's name
    additive_G: Switch = False  # noqa: N815 - the canvas's name
    additive_volume: Microlitres = Field(100, ge=1, le=1000)
    """µL of each additive that goes in."""
    pipette_type: PipetteType = "p1000_single_gen2"
    """Pipette that must be mounted."""
    move_speed: MillimetresPerSecond = Field(100, ge=10, le=400)
    """mm/s on the way to the tips."""
    aspiration_offset_z: Millimetres = Field(8, ge=0, le=20)
    """mm over the bottom at which liquid is taken up; not in the guide's form, as in SolutionPreparation."""
    dispense_offset_x: Millimetres = Field(-1, ge=-5, le=5)
    """mm to the right of the cell's middle."""
    dispense_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm to the back of it."""
    dispense_offset_z: Millimetres = Field(0, ge=-5, le=5)
    """mm over the top of the cell."""
    wait_after: Seconds = Field(1, ge=0, le=3600)
    """s to wait after the last step."""


def _transfer(
    context: Context,
    pipette: Pipette,
    source: Spot,
    target: Spot,
    volume: float,
    *,
    up: Offset,
    out: Offset,
    parameter: str,
    speed: float = motions.RACK_SPEED,
) -> list[Step]:
    """Tip, then take up and let out for each part, then the tip into the trash."""
    parts = motions.legal_parts(context, pipette, volume, parameter)
    if not parts:
        return []
    found = motions.pick_up_next_tip(context, pipette, speed=speed)
    if not found:
        return []
    for part in parts:
        found += motions.aspirate(context, pipette, source, part, up, parameter=parameter)
        found += motions.dispense(context, pipette, target, part, out, parameter=parameter)
    return found + motions.drop_in_trash(context)


def solution_steps(parameters: SolutionPreparation, context: Context) -> list[Step]:
    """Next tip, move above, pick up, aspirate, dispense, drop (facts 1.2)."""
    p = parameters
    source = context.spot("source_labware", p.source_labware, "source_well", p.source_well)
    target = context.spot("target_labware", p.target_labware, "target_well", p.target_well)
    pipette = context.pipette("pipette_type", p.pipette_type)
    if source is not None and source == target:
        context.refuse("target_well", f"{target} is also the source")
        return []
    if pipette is None:
        return []
    if source is None or target is None:
        # What else is wrong is still to be said.
        motions.legal_parts(context, pipette, p.volume, "volume")
        return []
    out = (p.dispense_offset_x, p.dispense_offset_y, p.dispense_offset_z)
    return _transfer(
        context, pipette, source, target, p.volume, up=(0, 0, p.aspiration_offset_z), out=out, parameter="volume"
    )


def sample_steps(parameters: SamplePreparation, context: Context) -> list[Step]:
    """The base solution, then each additive that is switched on, each with a tip of its own."""
    p = parameters
    deck = context.deck
    chosen = [letter for letter in ADDITIVES if getattr(p, f"additive_{letter}")]
    base = p.total_volume - len(chosen) * p.additive_volume
    target = context.spot("target_cell", deck.reactor, "target_cell", p.target_cell)
    pipette = context.pipette("pipette_type", p.pipette_type)
    if base < 0:
        said = f"{len(chosen)} additives of {p.additive_volume:g} µL are more than total_volume {p.total_volume:g} µL"
        context.refuse("total_volume", said)
        return []
    pours = [("total_volume", deck.base_well, base)] if base > 0 else []
    pours += [(f"additive_{letter}", deck.additive_wells.get(letter, ""), p.additive_volume) for letter in chosen]
    if pipette is None:
        return []
    found: list[Step] = []
    out = (p.dispense_offset_x, p.dispense_offset_y, p.dispense_offset_z)
    for parameter, well, volume in pours:
        source = context.spot(parameter, deck.solutions, parameter, well)
        if source is not None and target is not None:
            found += _transfer(
                context,
                pipette,
                source,
                target,
                volume,
                up=(0, 0, p.aspiration_offset_z),
                out=out,
                parameter=parameter,
                speed=p.move_speed,
            )
    return found


TYPES = (
    NodeType(
        "sdl1SolutionPreparation",
        "Transfers a liquid from one well to another",
        SolutionPreparation,
        solution_steps,
        Category.PIPETTING,
        RetryPolicy(1, 15),
    ),
    NodeType(
        "sdl1SamplePreparation",
        "Mixes a sample of base solution and additives in a cell",
        SamplePreparation,
        sample_steps,
        Category.PIPETTING,
        RetryPolicy(2, 10),
    ),
)
