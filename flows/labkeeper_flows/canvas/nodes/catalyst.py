"""The node types of catalyst canvases (facts 1.7): motions, heater, pumps, ultrasound, then one technique.

A node usually carries the parameters of all techniques, zeros among them; only those of its own type are checked. The
order within a node is the public executor's: ot2_actions, temperature, pump, ultrasonic; the technique, which that
executor leaves out, comes last, when everything is in place.
"""

from __future__ import annotations

from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_flows.canvas import motions, techniques
from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.motions import ot2
from labkeeper_flows.canvas.nodes.base import Category, NodeType, RetryPolicy
from labkeeper_flows.canvas.nodes.catalyst_parameters import CatalystNode, Ot2Action
from labkeeper_flows.canvas.nodes.washing import pump, ultrasonic
from labkeeper_flows.canvas.steps import Role, Step
from labkeeper_flows.canvas.techniques import Element

HIGHEST_V = 10.0
"""V; the facts give no range for these nodes. No potentiostat of this kind goes further."""


_VOLTAGE = ("start_voltage_V", "end_voltage_V", "scan_rate_mV_s")
_NEEDS: dict[str, tuple[str, ...]] = {
    "OCV": ("duration_s", "sample_rate"),
    "CP": ("current_mA", "duration_s"),
    **dict.fromkeys(("CV", "CVA", "CV_activation", "CV_stability"), (*_VOLTAGE, "cycles")),
    "LSV": _VOLTAGE,
    "PEIS": ("start_freq_Hz", "end_freq_Hz", "amplitude_mV"),
}
"""Required parameters by type (facts 1.7)."""
_POSITIVE = frozenset(
    {"duration_s", "sample_rate", "scan_rate_mV_s", "cycles", "start_freq_Hz", "end_freq_Hz", "amplitude_mV"}
)


def _steps_for(technique: str) -> Any:
    def steps(parameters: CatalystNode, context: Context) -> list[Step]:
        found = _motions(parameters, context) + _arm(parameters, context) + _surroundings(parameters)
        return found + (_measurement(technique, parameters, context) if technique else [])

    return steps


def _motions(p: CatalystNode, context: Context) -> list[Step]:
    found: list[Step] = []
    for number, action in enumerate(p.ot2_actions):
        found += _action(action, ("ot2_actions", number), context)
    return found


def _action(action: Ot2Action, path: NodePath, context: Context) -> list[Step]:
    flat = (action.offset_x, action.offset_y, action.offset_z)
    if action.offset is not None and any(value is not None for value in flat):
        context.refuse((*path, "offset"), "the offset stands here and also flat, as offset_x, offset_y, offset_z")
    if action.action == "home":
        return [ot2("home_robot")]
    if action.action == "wash":
        return _wash(action, path, context)
    if action.labware is None and action.action == "drop_tip":
        return motions.drop_in_trash(context)
    if action.labware is None:
        context.refuse((*path, "labware"), f"{action.action} names no labware")
        return []
    return _at_labware(action, action.labware, path, context)


def _at_labware(action: Ot2Action, labware: str, path: NodePath, context: Context) -> list[Step]:
    placed = context.labware((*path, "labware"), labware)
    if placed is None:
        return []
    if action.action == "pick_up_tip":
        return motions.take_from(context, placed, action.well, (*path, "labware"), (*path, "well"))
    well = action.well if action.well is not None else placed.working_well
    if well is None:
        context.refuse((*path, "well"), f"{action.action} names no well, and {action.labware} has no working_well")
        return []
    spot = context.spot((*path, "labware"), labware, (*path, "well"), well)
    if spot is None:
        return []
    if action.action == "drop_tip":
        return motions.drop_at(context, spot)
    return motions.move(context, spot, action.place(), parameter=(*path, "offset"))


def _wash(action: Ot2Action, path: NodePath, context: Context) -> list[Step]:
    """Fill, shake, and drain: what `out` is comes last, whatever its number."""
    does = action.arduino_actions
    if does is None or not (does.pumped() or does.ultrasonic0_ms):
        context.refuse((*path, "arduino_actions"), "wash says neither what to pump nor how long to shake")
        return []
    out = _out_pump(context)
    found = [step for number, volume in does.pumped() if number != out for step in pump(number, volume)]
    found += ultrasonic(does.ultrasonic0_ms)
    return found + [step for number, volume in does.pumped() if number == out for step in pump(number, volume)]


def _out_pump(context: Context) -> int:
    arduino = context.global_config.get("arduino_control")
    pumps = arduino.get("pumps") if isinstance(arduino, dict) else None
    number = pumps.get("out", 2) if isinstance(pumps, dict) else 2
    return number if isinstance(number, int) else 2


def _arm(p: CatalystNode, context: Context) -> list[Step]:
    if p.xarm_actions and Role.XARM.value not in context.drivers:
        hint = "take xarm_actions away, or run the canvas where a driver for it is installed"
        context.refuse("xarm_actions", "this lab has no driver for a robot arm (xArm)", hint)
        return []
    return [
        Step(Role.XARM, str(action.get("action", "move")), _rest(action), physical=True) for action in p.xarm_actions
    ]


def _rest(action: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in action.items() if name != "action"}


def _surroundings(p: CatalystNode) -> list[Step]:
    does = p.arduino_control
    found: list[Step] = []
    if does.base0_temp is not None:
        found.append(Step(Role.ARDUINO, "set_temperature", {"base": 0, "celsius": does.base0_temp}, physical=True))
    found += [step for number, volume in does.pumped() for step in pump(number, volume)]
    return found + ultrasonic(does.ultrasonic0_ms)


def _measurement(technique: str, p: CatalystNode, context: Context) -> list[Step]:
    sound = True
    for name in _NEEDS[technique]:
        message = _objection(name, getattr(p, name))
        if message:
            sound = False
            context.refuse(name, message, f"{technique} needs {', '.join(_NEEDS[technique])}")
    if not sound:
        return []
    element = _element(technique, p)
    if "start_v" in element and element["start_v"] == element["end_v"]:
        context.refuse("end_voltage_V", f"{element['end_v']:g} V is also the start voltage: nothing to sweep")
        return []
    return techniques.measure(context, [element], channel=0, tag=technique, extra=_electrode(context))


def _objection(name: str, value: float | None) -> str:
    if value is None:
        return "is missing"
    if name in _POSITIVE and value <= 0:
        return f"{value:g} is not more than 0"
    if name == "cycles" and value != int(value):
        return f"{value:g} is not a whole number"
    if name.endswith("voltage_V") and abs(value) > HIGHEST_V:
        return f"{value:g} V is out of range (-{HIGHEST_V:g} to {HIGHEST_V:g})"
    return ""


def _element(technique: str, p: CatalystNode) -> Element:
    interval = 1 / p.sample_rate if p.sample_rate and p.sample_rate > 0 else 1.0
    match technique:
        case "OCV":
            return techniques.ocv(_si(p.duration_s), interval)
        case "CP":
            return techniques.cp(_si(p.current_mA, 1000), _si(p.duration_s), interval, None, None)
        case "PEIS":
            # The form has no density of points; five per decade is the battery lab's (facts 1.2).
            return techniques.peis(_si(p.start_freq_Hz), _si(p.end_freq_Hz), 5, _si(p.amplitude_mV, 1000))
    sweep = _si(p.start_voltage_V), _si(p.end_voltage_V), _si(p.scan_rate_mV_s, 1000)
    if technique == "LSV":
        return techniques.lsv(*sweep, interval)
    return {**techniques.cva(*sweep, int(_si(p.cycles)), interval), "variant": technique}


def _si(value: float | None, per_unit: float = 1) -> float:
    return (value or 0.0) / per_unit


def _electrode(context: Context) -> dict[str, Any] | None:
    biologic = context.global_config.get("biologic_control")
    electrode = biologic.get("reference_electrode") if isinstance(biologic, dict) else None
    return {"reference_electrode": electrode} if isinstance(electrode, dict) else None


MOTION = "motion"
"""Name in the registry of a node without a type."""

TYPES = (
    NodeType(
        MOTION, "Moves, heats, pumps and shakes", CatalystNode, _steps_for(""), Category.SYSTEM, RetryPolicy(1, 60)
    ),
    *(
        NodeType(
            name,
            f"Motions, then {name}",
            CatalystNode,
            _steps_for(name),
            Category.ELECTROCHEMICAL,
            RetryPolicy(1, 60),
        )
        for name in _NEEDS
    ),
)
