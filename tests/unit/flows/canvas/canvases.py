"""Small canvases, written for these tests: valid with defaults, so that a test says only what it is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_flows.canvas import document
from labkeeper_flows.canvas.plan import plan
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Step

REAL = Path(__file__).parents[5] / "shared" / "data" / "canvas"

Node = dict[str, Any]


def node(identity: str, kind: str, **params: Any) -> Node:
    """A node of the nested and the catalyst shape."""
    return {"id": identity, "type": kind, "label": identity.title(), "params": params}


def edge(source: str, target: str, handle: str | None = None) -> dict[str, Any]:
    """An edge, from a handle if one is named."""
    return {"source": source, "target": target} | ({"sourceHandle": handle} if handle else {})


def nested(*nodes: Node, edges: list[dict[str, Any]] | None = None, name: str = "test") -> dict[str, Any]:
    """A canvas of the nested shape; `edges` None is a canvas in array order."""
    return {"metadata": {"id": "w-1", "name": name}, "workflow": {"nodes": list(nodes), "edges": edges or []}}


def top_level(*nodes: Node, edges: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The same nodes in the top-level shape."""
    drawn = [
        {
            "id": it["id"],
            "type": it["type"],
            "position": {"x": 0, "y": 0},
            "data": {"label": it["label"], "nodeType": it["type"], "parameters": it["params"]},
        }
        for it in nodes
    ]
    return {"workflow": {"id": "w-2", "name": "flat"}, "nodes": drawn, "edges": edges or [], "metadata": {"a": 1}}


CATALYST_CONFIG: dict[str, Any] = {
    "labware": {
        "plate": {"type": "nis_15_wellplate_3895ul", "slot": 9, "working_well": "B2"},
        "wash": {"type": "nis_2_wellplate_30000ul", "slot": 3},
        "tips": {"type": "opentrons_96_tiprack_1000ul", "slot": 1},
        "electrodes": {"type": "nistall_4_tiprack_1ul", "slot": 10},
    },
    "instruments": {"pipette": {"type": "p1000_single_gen2", "mount": "right"}},
    "arduino_control": {"pumps": {"water": 0, "acid": 1, "out": 2}},
    "hardware": {"ot2": {"ip": "10.0.0.2"}, "arduino": {"port": "COM7"}},
}
TECHNIQUES: dict[str, Any] = {
    "duration_s": 60,
    "sample_rate": 2,
    "current_mA": 1,
    "start_voltage_V": -0.2,
    "end_voltage_V": 1.0,
    "scan_rate_mV_s": 50,
    "cycles": 3,
    "start_freq_Hz": 100_000,
    "end_freq_Hz": 0.1,
    "amplitude_mV": 10,
}


def catalyst(*nodes: Node, edges: list[dict[str, Any]] | None = None, **config: Any) -> dict[str, Any]:
    """A canvas of the catalyst shape."""
    return {"name": "c", "global_config": {**CATALYST_CONFIG, **config}, "nodes": list(nodes), "edges": edges or []}


def planned(data: object, **lab: Any) -> CanvasPlan:
    """The plan of a canvas that came as data."""
    return plan(document.from_data(data), **lab)


def problems(data: object, **lab: Any) -> list[Problem]:
    """What is wrong with a canvas."""
    try:
        planned(data, **lab)
    except InvalidInput as error:
        return list(error.problems)
    return []


def told(data: object, **lab: Any) -> str:
    """The same as text."""
    return "\n".join(map(str, problems(data, **lab)))


def text_problems(text: str | bytes) -> list[Problem]:
    """What is wrong with the text of a canvas."""
    try:
        plan(document.read(text, "canvas.json"))
    except InvalidInput as error:
        return list(error.problems)
    return []


def steps_of(kind: str, **params: Any) -> tuple[Step, ...]:
    """The steps of one node alone."""
    return planned(nested(node("n", kind, **params))).nodes[0].steps()


def calls(steps: tuple[Step, ...] | list[Step]) -> list[str]:
    """`role.operation` of each step."""
    return [f"{step.role}.{step.operation}" for step in steps]


def spots(steps: tuple[Step, ...] | list[Step]) -> list[str]:
    """`operation labware well` of each step of the robot; the trash as such."""
    return [
        f"{step.operation} {step.parameters.get('labware', 'trash')} {step.parameters.get('well', '')}".strip()
        for step in steps
        if step.role == "ot2"
    ]


def as_text(data: object) -> str:
    """A canvas as it stands in a file, a part per line."""
    return json.dumps(data, indent=1)


SETUP = node("setup", "sdl1ExperimentSetup", experiment_id="Zn", validate_hardware_connection=False)
SOLUTION = node("solution", "sdl1SolutionPreparation", volume=1500)
ELECTRODE = node("electrode", "sdl1ElectrodeSetup")
MEASURE = node("measure", "sdl1ElectrochemicalMeasurement", measurement_type="CP", cp_duration=10)
WASH = node("wash", "sdl1WashCleaning")
EXPORT = node("export", "sdl1DataExport")
CONTROL = node("control", "sdl1SequenceControl", loop_count=3, data_collection_start=2, stabilization_cycles=1)
COUNTER = node("counter", "sdl1CycleCounter")
EIGHT = (SETUP, SOLUTION, ELECTRODE, MEASURE, WASH, EXPORT, CONTROL, COUNTER)
