"""From an operation's parameters to the commands that a run is given. Pure. Units are the robot's own: mm, mm/s, µL,
µL/s, as in the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.operations import ot2
from labkeeper_api.operations.ot2 import (
    Aspirate,
    AtWell,
    Blowout,
    Dispense,
    DropTip,
    LoadCustomLabware,
    LoadLabware,
    MoveToWell,
    Offset,
    PickUpTip,
)
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.ot2.equipment import Equipment

TRASH: Final = "fixedTrash"


@dataclass(frozen=True)
class Order:
    """One command for a run. `doing` is for people."""

    kind: str
    params: dict[str, Any]
    doing: str


def orders_for(operation: str, parameters: Parameters, equipment: Equipment) -> list[Order]:
    """The commands of a physical operation, in order. Raises `InvalidInput` for what is not loaded."""
    if operation == ot2.HOME_ROBOT.key:
        return [Order("home", {}, "home")]
    problems = name_problems(parameters, equipment)
    if problems:
        raise InvalidInput(problems)
    return _MAKERS[type(parameters)](parameters, equipment)


def name_problems(parameters: Parameters, equipment: Equipment) -> list[Problem]:
    """Pipettes, labware and wells that a command names and the run does not know."""
    if not isinstance(parameters, AtWell | DropTip):
        return []
    found = []
    if parameters.pipette not in equipment.pipettes:
        known = ", ".join(equipment.pipettes) or "none yet: load_pipette does that"
        found.append(Problem("pipette", f"{parameters.pipette!r} is not loaded", f"loaded: {known}"))
    if parameters.labware is None:
        return found
    labware = equipment.labware.get(parameters.labware)
    if labware is None:
        known = ", ".join(equipment.labware) or "none yet: load_labware does that"
        found.append(Problem("labware", f"{parameters.labware!r} is not loaded", f"loaded: {known}"))
    elif labware.wells and parameters.well not in labware.wells:
        wells = sorted(labware.wells, key=lambda well: (well[:1], len(well), well))
        hint = f"it has {wells[0]} to {wells[-1]}"
        found.append(Problem("well", f"{labware.load_name} has no well {parameters.well!r}", hint))
    return found


def load_order(parameters: LoadLabware | LoadCustomLabware) -> Order:
    """The command that loads labware, with its name as display name: so the run itself remembers what it is called."""
    if isinstance(parameters, LoadLabware):
        namespace, version = parameters.namespace, parameters.version
    else:
        definition = parameters.definition or {}
        namespace, version = str(definition.get("namespace")), int(definition.get("version", 1))
    params = {
        "location": {"slotName": str(parameters.slot)},
        "loadName": parameters.load_name,
        "namespace": namespace,
        "version": version,
        "displayName": parameters.labware,
    }
    return Order("loadLabware", params, f"load {parameters.load_name} into slot {parameters.slot}")


def definition_problems(parameters: LoadCustomLabware) -> list[Problem]:
    """What of a definition is missing so that the robot could be told of it at all."""
    definition = parameters.definition
    if definition is None:
        hint = "give the labware's definition (Opentrons labware schema 2)"
        return [Problem("definition", f"the robot knows no custom labware {parameters.load_name!r} by name", hint)]
    said = definition.get("parameters")
    name = said.get("loadName") if isinstance(said, dict) else None
    found = []
    if name != parameters.load_name:
        found.append(Problem("definition.parameters.loadName", f"is {name!r}, not {parameters.load_name!r}"))
    if not isinstance(definition.get("namespace"), str):
        found.append(Problem("definition.namespace", "must be a text", "such as custom_beta"))
    version = definition.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        found.append(Problem("definition.version", "must be a whole number"))
    return found


def _vector(offset: Offset) -> dict[str, float]:
    return {"x": offset.x, "y": offset.y, "z": offset.z}


def _at(p: AtWell | DropTip, equipment: Equipment, origin: str | None, **more: Any) -> dict[str, Any]:
    location = {"offset": _vector(p.offset), **({"origin": origin} if origin is not None else {})}
    labware = equipment.labware[str(p.labware)]
    return {
        "pipetteId": equipment.pipettes[p.pipette].id,
        "labwareId": labware.id,
        "wellName": p.well,
        "wellLocation": location,
        **more,
    }


def _move(p: MoveToWell, equipment: Equipment) -> list[Order]:
    speed = {} if p.speed is None else {"speed": p.speed}
    return [Order("moveToWell", _at(p, equipment, p.origin, **speed), f"move to {p.labware} {p.well}")]


def _pick_up(p: PickUpTip, equipment: Equipment) -> list[Order]:
    return [Order("pickUpTip", _at(p, equipment, "top"), f"pick up from {p.labware} {p.well}")]


def _drop(p: DropTip, equipment: Equipment) -> list[Order]:
    if not p.trash:
        return [Order("dropTip", _at(p, equipment, p.origin), f"drop into {p.labware} {p.well}")]
    pipette = {"pipetteId": equipment.pipettes[p.pipette].id}
    area = {"addressableAreaName": TRASH, "offset": _vector(p.offset)}
    return [
        Order("moveToAddressableAreaForDropTip", {**pipette, **area}, "move to the trash"),
        Order("dropTipInPlace", pipette, "drop into the trash"),
    ]


def _aspirate(p: Aspirate, equipment: Equipment) -> list[Order]:
    params = _at(p, equipment, p.origin, volume=p.volume, flowRate=p.flow_rate)
    return [Order("aspirate", params, f"aspirate {p.volume:g} µL from {p.labware} {p.well}")]


def _dispense(p: Dispense, equipment: Equipment) -> list[Order]:
    params = _at(p, equipment, p.origin, volume=p.volume, flowRate=p.flow_rate)
    return [Order("dispense", params, f"dispense {p.volume:g} µL into {p.labware} {p.well}")]


def _blowout(p: Blowout, equipment: Equipment) -> list[Order]:
    return [Order("blowout", _at(p, equipment, p.origin, flowRate=p.flow_rate), f"blow out at {p.labware} {p.well}")]


_MAKERS: Final[dict[type[Parameters], Callable[[Any, Equipment], list[Order]]]] = {
    MoveToWell: _move,
    PickUpTip: _pick_up,
    DropTip: _drop,
    Aspirate: _aspirate,
    Dispense: _dispense,
    Blowout: _blowout,
}
