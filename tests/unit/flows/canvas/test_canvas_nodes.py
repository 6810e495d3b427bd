"""The battery lab's nodes: their steps in the order of the facts, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_flows.canvas import registry
from labkeeper_flows.canvas.ledgers import TipLedger
from labkeeper_flows.canvas.nodes.base import Unit
from tests.unit.flows.canvas.canvases import (
    ELECTRODE,
    SETUP,
    SOLUTION,
    calls,
    nested,
    node,
    planned,
    problems,
    spots,
    steps_of,
    told,
)


def test_a_solution_is_split_with_one_tip() -> None:
    steps = steps_of("sdl1SolutionPreparation", volume=2500, source_well="A3", target_well="C5")
    assert spots(steps) == [
        "move_to_well tip_rack_1 A1",
        "pickup_tip tip_rack_1 A1",
        *["aspirate vial_rack_2 A3", "dispense nis_reactor C5"] * 3,
        "drop_tip trash",
    ]
    assert steps[0].parameters["offset"] == {"x": 0, "y": 1, "z": 0}
    assert steps[0].parameters["speed"] == 100
    assert steps[2].parameters == {
        "pipette": "p1000_single_gen2",
        "labware": "vial_rack_2",
        "well": "A3",
        "volume": pytest.approx(2500 / 3),
        "origin": "bottom",
        "offset": {"x": 0, "y": 0, "z": 8},
    }
    assert (steps[3].parameters["origin"], steps[3].parameters["offset"]) == ("top", {"x": -1, "y": 0.5, "z": 0})
    assert all(step.physical for step in steps)


def test_a_sample_takes_a_new_tip_for_each_liquid() -> None:
    steps = steps_of(
        "sdl1SamplePreparation", additive_B=1, additive_G=True, additive_volume="0.2 mL", total_volume=1000
    )
    assert [(it.parameters["well"], it.parameters["volume"]) for it in steps if it.operation == "aspirate"] == [
        ("A1", 600),
        ("A3", 200),
        ("A8", 200),
    ]
    assert [it.parameters["well"] for it in steps if it.operation == "pickup_tip"] == ["A1", "A2", "A3"]
    assert [it.operation for it in steps].count("drop_tip") == 3


def test_an_electrode_is_set_up() -> None:
    steps = steps_of("sdl1ElectrodeSetup", electrode_position="B2", insertion_depth="2.6 cm", movement_speed=20)
    assert spots(steps) == [
        "move_to_well electrode_rack B2",
        "pickup_tip electrode_rack B2",
        "move_to_well nis_reactor A1",
        "move_to_well nis_reactor A1",
    ]
    assert steps[0].parameters["offset"] == {"x": 0.6, "y": 0.5, "z": 3}
    assert [(it.parameters["offset"]["z"], it.parameters["speed"]) for it in steps[2:]] == [(5, 20), (-26, 20)]


def test_electrodes_never_count_as_tips() -> None:
    plan = planned(nested(ELECTRODE, node("back", "sdl1ElectrodeManipulation", operation_type="return"), SOLUTION))
    assert plan.tips_used == {"tip_rack_1": ("A1",)}


def test_an_electrode_is_picked_up_inserted_removed_and_returned() -> None:
    kind = "sdl1ElectrodeManipulation"
    names = ("pickup", "insert", "remove", "return")
    plan = planned(nested(*(node(name, kind, operation_type=name, return_offset_z=7) for name in names)))
    heights = {it.id: [step.parameters["offset"]["z"] for step in it.steps()] for it in plan.nodes}
    assert heights == {"pickup": [3, 0], "insert": [5, -26], "remove": [5], "return": [3, 7]}
    speeds = [step.parameters.get("speed") for it in plan.nodes for step in it.steps()]
    assert speeds == [50, None, 50, 25, 25, 50, None]
    assert spots(plan.by_id["return"].steps()) == ["move_to_well electrode_rack A2", "drop_tip electrode_rack A2"]


def test_cleaning_returns_the_electrode_before_it_takes_the_tool() -> None:
    wash = node("wash", "sdl1WashCleaning", cleaning_cycles=1, pump2_volume=4, pump1_volume=10, final_wash_volume=9)
    setup = node("electrode", "sdl1ElectrodeSetup", electrode_position="A1")
    steps = planned(nested(setup, wash)).by_id["wash"].steps()
    assert spots(steps)[:2] == ["move_to_well electrode_rack A1", "drop_tip electrode_rack A1"]
    assert calls(steps)[2:] == [
        *["ot2.move_to_well", "ot2.pickup_tip", "ot2.move_to_well", "ot2.move_to_well"],
        *["arduino.pump", "arduino.pump", "arduino.ultrasonic", "arduino.pump"],
        *["ot2.move_to_well", "ot2.drop_tip"],
    ]
    pumped = [(it.parameters["pump"], it.parameters["volume_ml"]) for it in steps if it.operation == "pump"]
    assert pumped == [(2, 4), (1, 10), (2, 9)]


def test_washing_waits_after_each_pump() -> None:
    steps = steps_of("sdl1HardwareWashing", ultrasonic_duration="3 s")
    assert calls(steps) == [
        *["ot2.move_to_well", "ot2.pickup_tip", "ot2.move_to_well", "ot2.move_to_well"],
        *["arduino.pump", "clock.wait", "arduino.pump", "clock.wait"],
        *["arduino.ultrasonic", "clock.wait", "arduino.pump", "clock.wait"],
        *["ot2.move_to_well", "ot2.move_to_well", "ot2.drop_tip"],
    ]
    assert [it.parameters["pump"] for it in steps if it.operation == "pump"] == [2, 1, 2]
    assert [it.parameters["seconds"] for it in steps if it.operation == "wait"] == [1, 1, 3, 1]


def test_nothing_is_pumped_where_nothing_is_asked_for() -> None:
    steps = steps_of("sdl1WashCleaning", pump1_volume=0, pump2_volume=0, final_wash_volume=0, ultrasonic_time=0)
    assert {step.role for step in steps} == {"ot2"}


def test_a_setup_asks_the_devices_and_names_the_experiment() -> None:
    node_ = node("s", "sdl1ExperimentSetup", validate_hardware_connection=True, arduino_port="COM9", run_number=4)
    plan = planned(nested(node_, name="Zn/1"))
    assert calls(plan.nodes[0].steps()) == [
        *["ot2.get_status", "squidstat.get_status", "arduino.get_status"],
        "data.begin_experiment",
    ]
    assert not any(step.physical for step in plan.nodes[0].steps())
    assert plan.connections["arduino"] == {"com_port": "COM9"}  # type: ignore[index]


def test_tips_begin_where_the_setup_says_and_where_the_ledger_allows() -> None:
    setup = node("s", "sdl1ExperimentSetup", pipette_tip_start_id=17)
    gone = TipLedger({"tip_rack_1": ["B5", "B6"]})
    plan = planned(nested(setup, SOLUTION), tips=gone)
    assert spots(plan.by_id["solution"].steps())[1] == "pickup_tip tip_rack_1 B7"
    assert gone.used() == {"tip_rack_1": ("B5", "B6")}


@pytest.mark.parametrize(
    ("kind", "params", "field", "said"),
    [
        ("SolutionPreparation", {"volume": -5}, "volume", "1 to 10000 µL"),
        ("SolutionPreparation", {"volume": "20 mL"}, "volume", "out of range"),
        ("SolutionPreparation", {"volume": "5 min"}, "volume", "is a time"),
        ("SolutionPreparation", {"volume": True}, "volume", "not a number"),
        ("SolutionPreparation", {"volume": None}, "volume", "not a number"),
        ("SolutionPreparation", {"volume": 50}, "volume", "less than p1000_single_gen2 can measure"),
        ("SolutionPreparation", {"target_well": "Z99"}, "target_well", "it has A1 to C5"),
        ("SolutionPreparation", {"target_well": "D6"}, "target_well", "no well of nis_reactor"),
        ("SolutionPreparation", {"source_well": "B1"}, "source_well", "it has A1 to A8"),
        ("SolutionPreparation", {"source_labware": "vial_rack_7"}, "source_labware", "not on the deck"),
        ("SolutionPreparation", {"pipette_type": "p300_single_gen2"}, "pipette_type", "mounted: p1000_single_gen2"),
        ("SolutionPreparation", {"pipette_type": "p5"}, "pipette_type", "no choice"),
        ("SolutionPreparation", {"target_labware": "vial_rack_2"}, "target_well", "is also the source"),
        ("SolutionPreparation", {"volumen": 5}, "volumen", "did you mean 'volume'"),
        (
            "SamplePreparation",
            {"total_volume": 300, **{f"additive_{it}": 1 for it in "ABCD"}},
            "total_volume",
            "more than",
        ),
        ("SamplePreparation", {"additive_A": 2}, "additive_A", "neither true"),
        ("SamplePreparation", {"additive_A": 1, "additive_volume": 50}, "additive_A", "can measure"),
        ("SamplePreparation", {"target_cell": "D1"}, "target_cell", "no well"),
        ("ElectrodeSetup", {"electrode_position": "C1"}, "electrode_position", "no choice"),
        ("ElectrodeSetup", {"insertion_depth": 61}, "insertion_depth", "0 to 60 mm"),
        ("ElectrodeSetup", {"electrode_type": "spare"}, "electrode_type", "'reference', 'counter' or 'working'"),
        ("ElectrodeManipulation", {"operation_type": "return", "target_cell": "Q1"}, "target_cell", "no well"),
        ("WashCleaning", {"cleaning_tool_position": "C1"}, "cleaning_tool_position", "A1, A2, B1, B2"),
        ("WashCleaning", {"cleaning_cycles": 1.5}, "cleaning_cycles", "whole number"),
        ("WashCleaning", {"ultrasonic_time": "20 s"}, "ultrasonic_time", "0 to 10000 ms"),
        ("ExperimentSetup", {"test_well_address": "D6"}, "test_well_address", "it has A1 to C5"),
        ("ExperimentSetup", {"experiment_id": "../../etc"}, "experiment_id", "pattern"),
        ("ExperimentSetup", {"target_cell": "A1", "test_well_address": "A2"}, "target_cell", "differ"),
        ("ExperimentSetup", {"wait_before": 3601}, "wait_before", "0 to 3600 s"),
        ("ExperimentSetup", {"error_handling": "ignore"}, "error_handling", "no choice"),
        ("ExperimentSetup", {"log_level": "LOUD"}, "log_level", "no choice"),
    ],
)
def test_a_parameter_is_refused_before_anything_moves(kind: str, params: dict[str, Any], field: str, said: str) -> None:
    found = problems(nested(node("n", f"sdl1{kind}", **params)))
    assert [it for it in found if it.path == f"workflow.nodes[0].params.{field}" and said in str(it)], found


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ((ELECTRODE, SOLUTION), "the pipette still holds the tool from electrode_rack A2 when it should take a tip"),
        ((node("i", "sdl1ElectrodeManipulation", operation_type="insert"),), "no electrode to insert"),
        ((node("i", "sdl1ElectrodeManipulation", operation_type="remove"),), "no electrode to remove"),
        ((ELECTRODE, node("e", "sdl1ElectrodeSetup")), "still holds"),
        ((*(node(f"f{n}", "sdl1SolutionPreparation", volume=9000) for n in range(3)),), "would overflow"),
        (
            (*(node(f"f{n}", "sdl1SolutionPreparation", target_well=f"A{n + 1}", volume=9000) for n in range(3)),),
            "cannot give",
        ),
        ((*(node(f"s{n}", "sdl1SamplePreparation", additive_A=1, total_volume=200) for n in range(49)),), "is empty"),
    ],
)
def test_what_follows_from_earlier_nodes_is_refused_too(nodes: tuple[dict[str, Any], ...], said: str) -> None:
    assert said in told(nested(*nodes))


def test_consequences_are_not_told_while_something_is_wrong_in_itself() -> None:
    data = nested(node("p", "sdl1ElectrodeManipulation", operation_type="pikcup"), ELECTRODE, SOLUTION)
    assert [it.path for it in problems(data)] == ["workflow.nodes[0].params.operation_type"]


def test_a_well_that_is_known_to_be_filled_is_not_available() -> None:
    assert "already holds 200" in told(nested(SETUP), contents={"nis_reactor": {"A1": 200}})
    assert told(nested(SETUP), contents={"nis_reactor": {"A2": 200}}) == ""


def test_what_is_known_of_the_wells_counts() -> None:
    assert "at most 250" in told(nested(SOLUTION), contents={"vial_rack_2": {"A1": 1000}})


def test_two_ports_for_one_device_are_refused() -> None:
    measure = node("m", "sdl1ElectrochemicalMeasurement", com_port="COM5", ocv_duration=5)
    assert "differs from the 'COM4'" in told(nested(node("s", "sdl1ExperimentSetup", squidstat_port="COM4"), measure))
    assert told(nested(node("s", "sdl1ExperimentSetup"), measure)) == ""


def test_every_type_documents_its_parameters_and_has_sound_defaults() -> None:
    assert len(registry.TYPES) == 11 + 16 + 9
    for kind in registry.TYPES.values():
        required = [name for name, field in kind.parameters.model_fields.items() if field.is_required()]
        if not required:
            _, findings = registry.check(kind, kind.parameters().model_dump(mode="json", exclude_none=True))
            assert findings == [], kind.name
        assert kind.parameters.__doc__, kind.name
        assert kind.summary, kind.name
    marks = registry.TYPES["sdl1SolutionPreparation"].parameters.model_fields["volume"].metadata
    assert Unit("µL") in marks
