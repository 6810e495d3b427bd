"""The robot's primitives as nodes (facts 1.2, 1.6). They do exactly what they say and handle no tips by themselves.

Names of the primitives and the aliases `labware`, `well`, `pipette` are the guide's; the facts give no ranges for them.
"""

from __future__ import annotations

from typing import Any

from labkeeper_flows.canvas import labware as kinds
from labkeeper_flows.canvas import motions
from labkeeper_flows.canvas.context import Context, Spot
from labkeeper_flows.canvas.deck import PIPETTES, Pipette, Placed, slot_number
from labkeeper_flows.canvas.labware import Labware
from labkeeper_flows.canvas.labware_definitions import definition_of
from labkeeper_flows.canvas.motions import ot2
from labkeeper_flows.canvas.nodes.base import Category, NodeParameters, NodeType
from labkeeper_flows.canvas.nodes.primitive_parameters import (
    AtWell,
    Delay,
    DropTip,
    FillWell,
    Liquid,
    LoadCustomLabware,
    LoadLabware,
    LoadPipette,
    MoveToWell,
    Nothing,
    PickUpTip,
    SetLights,
)
from labkeeper_flows.canvas.steps import Role, Step

ALIASES = {"labware": "labware_name", "well": "well_name", "pipette": "pipette_name", "location": "slot"}


def _simple(operation: str, *, physical: bool) -> Any:
    def steps(parameters: Nothing, context: Context) -> list[Step]:
        del parameters, context
        return [ot2(operation, physical=physical)]

    return steps


def _lights(parameters: SetLights, context: Context) -> list[Step]:
    del context
    return [ot2("set_lights", on=parameters.on)]


def _load(parameters: LoadLabware, context: Context) -> list[Step]:
    found = kinds.by_load_name(parameters.load_name)
    if found is None:
        hint = "load_custom_labware takes a definition"
        context.refuse("load_name", f"nothing is known of the wells of {parameters.load_name!r}", hint)
        return []
    step = {"namespace": parameters.namespace, "version": parameters.version}
    return _place(
        parameters.slot, parameters.labware_name or parameters.load_name, found, context, "load_labware", step
    )


def _load_custom(parameters: LoadCustomLabware, context: Context) -> list[Step]:
    p = parameters
    said = p.definition.get("parameters") if p.definition else None
    load_name = p.load_name or (said.get("loadName") if isinstance(said, dict) else None)
    if not isinstance(load_name, str) or not load_name:
        context.refuse("load_name", "neither load_name nor the definition names the labware")
        return []
    found = kinds.of_definition(load_name, p.definition) if p.definition is not None else kinds.KNOWN.get(load_name)
    if found is None:
        wrong = "definition" if p.definition is not None else "load_name"
        hint = "give its definition with wells (Opentrons labware schema 2)"
        context.refuse(wrong, f"nothing is known of the wells of {load_name!r}", hint)
        return []
    # The robot knows no custom labware by its name alone.
    definition = p.definition if p.definition is not None else definition_of(found)
    step = {"definition": definition} if definition is not None else {}
    return _place(p.slot, p.labware_name or load_name, found, context, "load_custom_labware", step)


def _place(
    slot: int | str, name: str, labware: Labware, context: Context, operation: str, more: dict[str, Any]
) -> list[Step]:
    number = slot_number(slot)
    if number is None:
        context.refuse("slot", f"{slot!r} is no slot of an OT-2", "1 to 11")
        return []
    there = context.deck.in_slot(number) or context.deck.labware.get(name)
    wanted = Placed(name, labware, number)
    if there is not None and (there.name, there.labware.load_name, there.slot) != (name, labware.load_name, number):
        where = f"slot {there.slot} already holds {there.name!r} ({there.labware.load_name})"
        context.refuse("slot", where, "choose another slot or name")
        return []
    if there is None:
        context.deck = context.deck.with_labware(wanted)
    return [ot2(operation, physical=False, labware=name, load_name=labware.load_name, slot=number, **more)]


def _load_pipette(parameters: LoadPipette, context: Context) -> list[Step]:
    name, mount = parameters.pipette_name, parameters.mount
    if name not in PIPETTES:
        context.refuse("pipette_name", f"{name!r} is no pipette that is known here", f"one of {', '.join(PIPETTES)}")
        return []
    context.deck = context.deck.with_pipette(Pipette(name, mount, *PIPETTES[name]))
    return [ot2("load_pipette", physical=False, pipette=name, mount=mount)]


def _at(p: AtWell, context: Context) -> tuple[Pipette, Spot] | None:
    spot = context.spot("labware_name", p.labware_name, "well_name", p.well_name)
    pipette = context.pipette("pipette_name", p.pipette_name)
    return None if spot is None or pipette is None else (pipette, spot)


def _move(parameters: MoveToWell, context: Context) -> list[Step]:
    p = parameters
    at = _at(p, context)
    if at is None:
        return []
    offset = (p.offset_x, p.offset_y, p.offset_z)
    return motions.move(context, at[1], offset, origin=p.origin, speed=p.speed, parameter="offset_z")


def _aspirate(parameters: Liquid, context: Context) -> list[Step]:
    at = _at(parameters, context)
    offset = (parameters.offset_x, parameters.offset_y, parameters.offset_z)
    return motions.aspirate(context, *at, parameters.volume, offset) if at else []


def _dispense(parameters: Liquid, context: Context) -> list[Step]:
    at = _at(parameters, context)
    offset = (parameters.offset_x, parameters.offset_y, parameters.offset_z)
    return motions.dispense(context, *at, parameters.volume, offset) if at else []


def _blowout(parameters: AtWell, context: Context) -> list[Step]:
    at = _at(parameters, context)
    offset = (parameters.offset_x, parameters.offset_y, parameters.offset_z)
    return [motions.blowout(*at, offset)] if at else []


def _fill(parameters: FillWell, context: Context) -> list[Step]:
    p = parameters
    source = context.spot("source_labware", p.source_labware, "source_well", p.source_well)
    target = context.spot("target_labware", p.target_labware, "target_well", p.target_well)
    pipette = context.pipette("pipette_name", p.pipette_name)
    if source is None or target is None or pipette is None:
        return []
    found: list[Step] = []
    # In equal parts: the guide's full loads and a remainder leave remainders that no pipette can measure.
    for part in motions.legal_parts(context, pipette, p.volume, "volume"):
        found += motions.move(context, source, motions.CENTRE)
        found += motions.aspirate(context, pipette, source, part, motions.CENTRE)
        found += motions.move(context, target, motions.CENTRE)
        found += motions.dispense(context, pipette, target, part, motions.CENTRE)
        found.append(motions.blowout(pipette, target, motions.CENTRE))
    return found


def _pick_up(parameters: PickUpTip, context: Context) -> list[Step]:
    p = parameters
    pipette = context.pipette("pipette_name", p.pipette_name)
    if pipette is None:
        return []
    if p.labware_name is None:
        if p.well_name is not None:
            context.refuse("well_name", "a well is named, and no labware", "name the rack as labware_name")
            return []
        return motions.pick_up_next_tip(context, pipette)
    rack = context.labware("labware_name", p.labware_name)
    if rack is None:
        return []
    return motions.take_from(context, rack, p.well_name, "labware_name", "well_name")


def _drop(parameters: DropTip, context: Context) -> list[Step]:
    p = parameters
    if p.labware_name is None:
        return motions.drop_in_trash(context)
    spot = context.spot("labware_name", p.labware_name, "well_name", p.well_name or "")
    return motions.drop_at(context, spot) if spot is not None else []


def _delay(parameters: Delay, context: Context) -> list[Step]:
    del context
    return [Step(Role.CLOCK, "wait", {"seconds": parameters.seconds}, physical=False)]


def _type(name: str, summary: str, parameters: type[NodeParameters], steps: Any) -> NodeType:
    category = Category.PIPETTING if parameters in (Liquid, FillWell, PickUpTip, DropTip) else Category.SYSTEM
    takes = {alias: own for alias, own in ALIASES.items() if own in parameters.model_fields}
    return NodeType(name, summary, parameters, steps, category, aliases=takes)


TYPES = (
    _type("initialize_robot", "Connects and opens a run", Nothing, _simple("initialize_robot", physical=False)),
    _type("home_robot", "Moves all axes home", Nothing, _simple("home_robot", physical=True)),
    _type("get_status", "Asks the robot how it is", Nothing, _simple("get_status", physical=False)),
    _type("get_labware_registry", "Lists the labware", Nothing, _simple("get_labware_registry", physical=False)),
    _type("set_lights", "Switches the lights", SetLights, _lights),
    _type("load_labware", "Puts standard labware on the deck", LoadLabware, _load),
    _type("load_custom_labware", "Puts labware of one's own on the deck", LoadCustomLabware, _load_custom),
    _type("load_pipette", "Says which pipette is mounted", LoadPipette, _load_pipette),
    _type("move_to_well", "Moves to a well", MoveToWell, _move),
    _type("aspirate", "Takes liquid up", Liquid, _aspirate),
    _type("dispense", "Lets liquid out", Liquid, _dispense),
    _type("blowout", "Blows the tip out", AtWell, _blowout),
    _type("fill_well", "Transfers liquid with the tip that is on", FillWell, _fill),
    _type("pickup_tip", "Picks up a tip", PickUpTip, _pick_up),
    _type("drop_tip", "Drops the tip", DropTip, _drop),
    _type("delay", "Waits", Delay, _delay),
)
