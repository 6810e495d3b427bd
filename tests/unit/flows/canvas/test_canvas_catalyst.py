"""Catalyst canvases: several roots, motions, and one technique per node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.flows.canvas.canvases import TECHNIQUES, calls, catalyst, edge, node, planned, spots, told

PICK = {"action": "pick_up_tip", "labware": "electrodes", "well": "A1"}
DROP = {"action": "drop_tip", "labware": "electrodes", "well": "A1"}


def steps(kind: str = "", config: dict[str, Any] | None = None, **params: Any) -> Any:
    """The steps of one node."""
    return planned(catalyst(node("n", kind, **params), **(config or {}))).nodes[0].steps()


def test_two_roots_meet_in_a_join_that_runs_once() -> None:
    nodes = [node(name, "OCV", **TECHNIQUES) for name in ("ocv1", "left", "join", "cva1", "right")]
    edges = [edge("ocv1", "left"), edge("cva1", "right"), edge("left", "join"), edge("right", "join")]
    plan = planned(catalyst(*nodes, edges=edges))
    assert [it.id for it in plan.nodes] == ["ocv1", "left", "cva1", "right", "join"]
    assert plan.by_id["join"].depends_on == ("left", "right")
    assert plan.by_id["cva1"].depends_on == ()
    assert plan.connections == {"ot2": {"robot_ip": "10.0.0.2"}, "arduino": {"com_port": "COM7"}}


def test_motions_heater_pump_ultrasound_and_technique_come_in_this_order() -> None:
    found = steps(
        "CVA",
        **TECHNIQUES,
        ot2_actions=[PICK, {"action": "move_to", "labware": "plate", "offset": {"z": -20}}],
        arduino_control={"base0_temp": 40, "pump0_ml": 2, "ultrasonic0_ms": 500},
    )
    assert calls(found) == [
        *["ot2.move_to_well", "ot2.pickup_tip", "ot2.move_to_well"],
        *["arduino.set_temperature", "arduino.pump", "arduino.ultrasonic"],
        *["squidstat.connect", "squidstat.register_callbacks", "squidstat.build_experiment"],
        *["squidstat.upload_experiment", "squidstat.start_experiment", "squidstat.wait_until_idle"],
        *["squidstat.disconnect", "data.collect"],
    ]
    assert (found[2].parameters["well"], found[2].parameters["offset"]["z"]) == ("B2", -20)
    assert found[8].parameters["elements"] == [
        {
            "technique": "CVA",
            "variant": "CVA",
            "start_v": -0.2,
            "end_v": 1.0,
            "scan_rate_v_s": 0.05,
            "cycles": 3,
            "sample_interval_s": 0.5,
        }
    ]


@pytest.mark.parametrize("kind", ["OCV", "CP", "CV", "CVA", "CV_activation", "CV_stability", "PEIS", "LSV"])
def test_each_technique_measures(kind: str) -> None:
    assert "squidstat.start_experiment" in calls(steps(kind, **TECHNIQUES))


@pytest.mark.parametrize("without_type", [node("n", ""), {"id": "n", "label": "x", "params": {}}])
def test_a_node_without_a_type_only_moves(without_type: dict[str, Any]) -> None:
    without_type["params"] = TECHNIQUES | {"ot2_actions": [{"action": "home", "labware": "robot", "well": "home"}]}
    assert calls(planned(catalyst(without_type)).nodes[0].steps()) == ["ot2.home_robot"]


def test_parameters_of_other_techniques_may_be_zero() -> None:
    zeros = dict.fromkeys(TECHNIQUES, 0)
    assert told(catalyst(node("n", "OCV", **(zeros | {"duration_s": 5, "sample_rate": 1})))) == ""


def test_a_wash_fills_shakes_and_drains_through_the_pump_that_is_out() -> None:
    does = {"pump0_ml": 1, "pump1_ml": 2, "pump2_ml": 3, "ultrasonic0_ms": 4}
    action = {"action": "wash", "labware": "wash", "well": "A1", "arduino_actions": does}
    found = [list(it.parameters.values()) for it in steps(ot2_actions=[action])]
    assert found == [[0, 1], [1, 2], [0, 4], [2, 3]]
    other = {"arduino_control": {"pumps": {"water": 2, "acid": 1, "out": 0}}}
    assert [it.parameters.get("pump") for it in steps(config=other, ot2_actions=[action])] == [1, 2, None, 0]


def test_flat_offsets_and_missing_wells() -> None:
    moves = [
        {"action": "move_to", "labware": "plate", "offset_x": 1, "offset_z": "-2 mm"},
        {"action": "pick_up_tip", "labware": "tips"},
        {"action": "drop_tip"},
        {"action": "pick_up_tip", "labware": "tips", "well": "H12"},
        {"action": "drop_tip", "labware": "tips", "well": "H12"},
    ]
    found = steps(ot2_actions=moves)
    assert found[0].parameters["offset"] == {"x": 1, "y": 0, "z": -2}
    assert [it for it in spots(found) if not it.startswith("move")] == [
        "pickup_tip tips A1",
        "drop_tip trash",
        "pickup_tip tips H12",
        "drop_tip tips H12",
    ]


def test_an_electrode_goes_home_and_costs_no_tip() -> None:
    plan = planned(catalyst(node("n", "", ot2_actions=[PICK, DROP])))
    assert plan.tips_used == {}
    assert spots(plan.nodes[0].steps())[-1] == "drop_tip electrodes A1"


def test_the_arm_needs_a_driver() -> None:
    arm = node("n", "", xarm_actions=[{"action": "set_position", "pose": [1, 2, 3, 4, 5, 6]}])
    assert "no driver for a robot arm" in told(catalyst(arm))
    (step,) = planned(catalyst(arm), drivers=frozenset({"xarm"})).nodes[0].steps()
    assert (step.role, step.operation, step.parameters) == ("xarm", "set_position", {"pose": [1, 2, 3, 4, 5, 6]})
    assert told(catalyst(node("n", "", xarm_actions=[]))) == ""


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    [
        (
            "OCV",
            {"duration_s": 0, "sample_rate": 1},
            "duration_s: 0 is not more than 0 (OCV needs duration_s, sample_rate)",
        ),
        ("CP", {"duration_s": 5}, "current_mA: is missing"),
        ("LSV", TECHNIQUES | {"end_voltage_V": -0.2}, "nothing to sweep"),
        ("CV", TECHNIQUES | {"cycles": 1.5}, "not a whole number"),
        ("CV", TECHNIQUES | {"start_voltage_V": 50}, "out of range"),
        ("PEIS", {"start_freq_Hz": 1}, "amplitude_mV: is missing"),
        ("", {"arduino_control": {"base0_temp": 101}}, "arduino_control.base0_temp: 101 is out of range (at most 100)"),
        ("", {"arduino_control": {"pump9_ml": 1}}, "pump9_ml: is no parameter"),
        ("", {"ot2_actions": [{"action": "fly"}]}, "ot2_actions[0].action: 'fly' is no choice"),
        ("", {"ot2_actions": [{"action": "move_to", "labware": "shelf", "well": "A1"}]}, "'shelf' is not on the deck"),
        ("", {"ot2_actions": [{"action": "move_to", "labware": "plate", "well": "D6"}]}, "ot2_actions[0].well"),
        ("", {"ot2_actions": [{"action": "move_to", "labware": "wash"}]}, "has no working_well"),
        ("", {"ot2_actions": [{"action": "move_to"}]}, "names no labware"),
        ("", {"ot2_actions": [{"action": "move_to", "labware": "plate", "offset": {"z": -61}}]}, "61 mm is deeper"),
        ("", {"ot2_actions": [{"action": "wash", "labware": "wash"}]}, "wash says neither"),
        ("", {"ot2_actions": [{"action": "pick_up_tip", "labware": "plate", "well": "A1"}]}, "holds liquid"),
        ("", {"ot2_actions": [{"action": "pick_up_tip", "labware": "electrodes"}]}, "name the well"),
        ("", {"ot2_actions": [PICK, {"action": "drop_tip"}]}, "would go into the trash"),
        ("", {"ot2_actions": [PICK, DROP | {"well": "B1"}]}, "return it to electrodes A1"),
        ("", {"ot2_actions": [DROP]}, "nothing is on the pipette"),
        ("", {"ot2_actions": [PICK, PICK]}, "still holds"),
        (
            "",
            {"ot2_actions": [{"action": "move_to", "labware": "plate", "offset": {"z": 1}, "offset_z": 1}]},
            "stands here and also flat",
        ),
        ("XRD", {}, "no type of node"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, params: dict[str, Any], said: str) -> None:
    assert said in told(catalyst(node("n", kind, **params)))


def test_a_deck_that_cannot_be_is_refused() -> None:
    data = catalyst(node("n", ""), labware={"plate": {"type": "nis_15_wellplate_3895ul", "slot": 15}})
    assert "global_config.labware.plate.slot: 15 is no slot of an OT-2" in told(data)
    assert "global_config: is a list" in told(catalyst(node("n", "")) | {"global_config": []})


def test_motions_need_a_pipette() -> None:
    assert "no pipette" in told(catalyst(node("n", "", ot2_actions=[PICK]), instruments={}))
