"""Operations as the robot's commands, and the equipment that they name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labkeeper_api.errors import InvalidInput
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.ot2 import DropTip, LoadCustomLabware, LoadLabware, Protocol
from labkeeper_devices.drivers.ot2.answers import CommandState, RunState
from labkeeper_devices.drivers.ot2.equipment import Equipment, LoadedLabware, LoadedPipette, labware_of, restored
from labkeeper_devices.drivers.ot2.loading import labware_problems
from labkeeper_devices.drivers.ot2.orders import definition_problems, load_order, orders_for

P1000 = "p1000_single_gen2"
RACK = frozenset(f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13))


def labware(name: str, slot: int, wells: frozenset[str]) -> LoadedLabware:
    order = {"loadName": f"{name}_definition", "namespace": "lab", "version": 1}
    return LoadedLabware(name, f"id-{name}", slot, order, wells)


EQUIPMENT = (
    Equipment()
    .with_pipette(LoadedPipette(P1000, "id-p1000", "right"))
    .with_labware(labware("tips", 1, RACK))
    .with_labware(labware("vials", 2, frozenset({"A1", "A2", "B1"})))
    .with_labware(labware("tools", 10, frozenset({"A1", "A2", "B1", "B2"})))
)


def orders(operation: str, **parameters: Any) -> list[tuple[str, dict[str, Any]]]:
    spec = OPERATIONS[f"ot2.{operation}"]
    found = orders_for(spec.key, spec.parameters.model_validate(parameters), EQUIPMENT)
    return [(order.kind, order.params) for order in found]


def at(labware: str, well: str, **more: Any) -> dict[str, Any]:
    return {"pipette": P1000, "labware": labware, "well": well, **more}


def place(labware: str, well: str, origin: str, x: float, y: float, z: float) -> dict[str, Any]:
    location = {"origin": origin, "offset": {"x": x, "y": y, "z": z}}
    return {"pipetteId": "id-p1000", "labwareId": f"id-{labware}", "wellName": well, "wellLocation": location}


def test_each_primitive_as_the_robot_is_told_of_it() -> None:
    offset = {"x": -1.0, "y": 0.5, "z": 0.0}
    assert orders("home_robot") == [("home", {})]
    moved = orders("move_to_well", **at("vials", "A1", offset=offset, speed=50.0))
    assert moved == [("moveToWell", {**place("vials", "A1", "top", -1, 0.5, 0), "speed": 50.0})]
    assert orders("move_to_well", **at("vials", "A1")) == [("moveToWell", place("vials", "A1", "top", 0, 0, 0))]
    assert orders("pickup_tip", **at("tips", "A1")) == [("pickUpTip", place("tips", "A1", "top", 0, 0, 0))]
    aspirated = orders("aspirate", **at("vials", "A1", volume=900, offset={"z": 8.0}))
    assert aspirated == [("aspirate", {**place("vials", "A1", "bottom", 0, 0, 8), "volume": 900, "flowRate": 274.7})]
    dispensed = orders("dispense", **at("vials", "A2", volume=900, offset=offset, flow_rate=50))
    assert dispensed == [("dispense", {**place("vials", "A2", "top", -1, 0.5, 0), "volume": 900, "flowRate": 50})]
    assert orders("blowout", **at("vials", "A2")) == [
        ("blowout", {**place("vials", "A2", "top", 0, 0, 0), "flowRate": 274.7})
    ]
    returned = orders("drop_tip", **at("tools", "A2", offset={"x": 0.6, "y": 0.5, "z": 6}))
    assert returned == [("dropTip", place("tools", "A2", "bottom", 0.6, 0.5, 6))]
    assert [kind for kind, _ in orders("drop_tip", pipette=P1000, trash=True)] == [
        "moveToAddressableAreaForDropTip",
        "dropTipInPlace",
    ]


def test_what_is_not_there_is_listed_all_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        orders("aspirate", pipette="p20", labware="plate", well="A1", volume=1)
    assert [problem.path for problem in refused.value.problems] == ["pipette", "labware"]
    with pytest.raises(InvalidInput, match=r"well: vials_definition has no well 'C9' \(it has A1 to B1\)"):
        orders("aspirate", **at("vials", "C9", volume=1))
    empty = orders_for("ot2.home_robot", OPERATIONS["ot2.home_robot"].parameters(), Equipment())
    assert [order.kind for order in empty] == ["home"]


@pytest.mark.parametrize(
    "given",
    [
        {"pipette": P1000},
        {"pipette": P1000, "labware": "tips"},
        {"pipette": P1000, "labware": "tips", "well": "A1", "trash": True},
        {"pipette": P1000, "trash": True, "well": "A1"},
    ],
)
def test_a_tip_is_dropped_in_exactly_one_place(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either trash true, or labware and well"):
        DropTip.model_validate(given)


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        ("aspirate", at("vials", "A1", volume=-5)),
        ("aspirate", at("vials", "A1", volume=1001)),
        ("aspirate", at("vials", "A1", volume=float("nan"))),
        ("aspirate", at("vials", "A1", volume=5, flow_rate=0)),
        ("move_to_well", at("vials", "A1", speed=401)),
        ("move_to_well", at("vials", "A1", offset={"z": 300})),
        ("move_to_well", at("vials", "A1", offset={"up": 3})),
        ("load_labware", {"labware": "x", "load_name": "y", "slot": 12}),
        ("load_pipette", {"pipette": P1000, "mount": "middle"}),
        ("run_protocol", {"name": "x.exe", "content": "y"}),
        ("run_protocol", {"name": "../x.py", "content": "y"}),
    ],
)
def test_what_no_robot_could_do_is_refused_by_the_form(operation: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OPERATIONS[f"ot2.{operation}"].parameters.model_validate(wrong)


def test_safety_of_the_operations_is_declared() -> None:
    specs = {spec.name: spec for spec in OPERATIONS.values() if spec.driver == "ot2"}
    unmoving = {name for name, spec in specs.items() if not spec.physical}
    assert unmoving == {
        "load_labware",
        "load_custom_labware",
        "load_pipette",
        "get_status",
        "get_labware_registry",
        "analyze_protocol",
    }
    repeatable = {name for name, spec in specs.items() if spec.physical and spec.idempotent}
    assert repeatable == {"initialize_robot", "home_robot", "set_lights"}
    assert [name for name, spec in specs.items() if spec.emergency] == ["emergency_stop"]
    assert Protocol(name="a.json", content="{}").name == "a.json"


def test_custom_labware_must_match_its_definition() -> None:
    given = {"labware": "reactor", "load_name": "nis", "slot": 9}
    sound = {"namespace": "lab", "version": 2, "parameters": {"loadName": "nis"}}
    assert definition_problems(LoadCustomLabware.model_validate({**given, "definition": sound})) == []
    broken = {"version": True, "parameters": {"loadName": "other"}}
    found = definition_problems(LoadCustomLabware.model_validate({**given, "definition": broken}))
    assert [problem.path for problem in found] == [
        "definition.parameters.loadName",
        "definition.namespace",
        "definition.version",
    ]
    order = load_order(LoadCustomLabware.model_validate({**given, "definition": sound}))
    assert order.params == {
        "location": {"slotName": "9"},
        "loadName": "nis",
        "namespace": "lab",
        "version": 2,
        "displayName": "reactor",
    }


def test_slots_and_names_are_taken_once() -> None:
    assert labware_problems(EQUIPMENT, "plate", 3, begun=True) == []
    assert [problem.path for problem in labware_problems(EQUIPMENT, "vials", 3, begun=False)] == ["labware"]
    assert labware_problems(EQUIPMENT, "plate", 2, begun=False) == [], "the robot says it better"
    assert [problem.path for problem in labware_problems(EQUIPMENT, "plate", 2, begun=True)] == ["slot"]


def _loaded(name: str, slot: int, wells: frozenset[str]) -> CommandState:
    order = load_order(LoadLabware(labware=name, load_name=f"{name}_definition", slot=slot, namespace="lab"))
    result = {"labwareId": f"id-{name}", "definition": {"wells": {well: {} for well in wells}}}
    data = {"commandType": "loadLabware", "status": "succeeded", "params": order.params, "result": result}
    return CommandState.of(data)


def test_what_is_loaded_is_read_back_from_a_run() -> None:
    loads = [_loaded("tips", 1, RACK), _loaded("tools", 10, frozenset({"A1", "A2"}))]
    assert labware_of(loads[0]).definition == {"wells": {well: {} for well in RACK}}
    run = RunState.of(
        {
            "id": "r",
            "status": "paused",
            "current": True,
            "labware": [{"id": "id-tips"}, {"id": "id-tools"}, {"id": "fixedTrash"}],
            "pipettes": [{"id": "id-p1000", "pipetteName": P1000, "mount": "right"}],
        }
    )

    def step(kind: str, status: str = "succeeded", **params: str) -> CommandState:
        return CommandState.of({"commandType": kind, "status": status, "params": {"pipetteId": "id-p1000", **params}})

    tip = step("pickUpTip", labwareId="id-tips", wellName="A1")
    found = restored(run, loads, [tip])
    assert (set(found.labware), found.pipettes[P1000].mount) == ({"tips", "tools"}, "right")
    assert (found.holding(), found.tool()) == (f"{P1000} holds the tip from tips A1", None)
    tool = step("pickUpTip", labwareId="id-tools", wellName="A2")
    assert restored(run, loads, [tip, step("dropTipInPlace"), tool]).tool() == f"{P1000} holds the tool from tools A2"
    assert restored(run, loads, [tip, step("dropTip", "failed")]).holding() is not None
    assert restored(run, loads, [tool, step("dropTip")]).holding() is None


REAL = Path(__file__).parents[5] / "shared" / "data" / "canvas"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared")
def test_every_step_of_the_real_canvases_is_an_operation_with_these_very_parameters() -> None:
    from labkeeper_flows.canvas.plan import plan_text

    counted = 0
    for path in [*sorted(REAL.glob("battery*.json")), REAL / "catalyst_electrochemical_workflow.json"]:
        plan = plan_text(path.read_bytes(), path.name)
        for step in (step for node in plan.nodes for step in node.steps() if step.role.value == "ot2"):
            taken = OPERATIONS[f"ot2.{step.operation}"].parameters.model_validate(dict(step.parameters))
            assert json.loads(taken.model_dump_json()).items() >= dict(step.parameters).items()
            counted += 1
    assert counted > 40
