"""The robot's primitives as nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.flows.canvas.canvases import calls, nested, node, planned, spots, told

PICK = node("pick", "pickup_tip")
AT: dict[str, Any] = {"labware": "vial_rack_2", "well": "A2"}


def test_a_transfer_out_of_primitives() -> None:
    plan = planned(
        nested(
            node("init", "initialize_robot"),
            node("home", "home_robot"),
            node("light", "set_lights", on=False),
            PICK,
            node("move", "move_to_well", **AT, offset_z=3),
            node("up", "aspirate", **AT, volume="0.3 mL"),
            node(
                "out", "dispense", labware_name="nis_reactor", well_name="B2", volume=300, pipette="p1000_single_gen2"
            ),
            node("blow", "blowout", labware="nis_reactor", well="B2"),
            node("drop", "drop_tip"),
            node("wait", "delay", seconds="2 min"),
            node("status", "get_status"),
            node("list", "get_labware_registry"),
        )
    )
    steps = [step for it in plan.nodes for step in it.steps()]
    assert calls(steps) == [
        *["ot2.initialize_robot", "ot2.home_robot", "ot2.set_lights", "ot2.move_to_well", "ot2.pickup_tip"],
        *["ot2.move_to_well", "ot2.aspirate", "ot2.dispense", "ot2.blowout", "ot2.drop_tip"],
        *["clock.wait", "ot2.get_status", "ot2.get_labware_registry"],
    ]
    by_name = {step.operation: step for step in steps}
    assert (by_name["aspirate"].parameters["origin"], by_name["aspirate"].parameters["volume"]) == ("bottom", 300)
    assert by_name["dispense"].parameters["origin"] == "top"
    assert by_name["wait"].parameters == {"seconds": 120}
    assert not by_name["get_status"].physical
    assert by_name["home_robot"].physical


def test_filling_repeats_move_aspirate_move_dispense_blowout() -> None:
    fill = node(
        "fill",
        "fill_well",
        source_labware="vial_rack_2",
        source_well="A1",
        target_labware="nis_reactor",
        target_well="A1",
        volume=3000,
    )
    steps = planned(nested(PICK, fill)).by_id["fill"].steps()
    names = ["move_to_well", "aspirate", "move_to_well", "dispense", "blowout"]
    assert [step.operation for step in steps] == names * 3
    assert "liquid needs a tip" in told(nested(fill))


def test_labware_is_put_on_the_deck_for_the_nodes_after_it() -> None:
    load = node("load", "load_labware", load_name="corning_96_wellplate_360ul_flat", slot="3", labware="plate")
    up = node("move", "move_to_well", labware="plate", well="H12")
    steps = [step for it in planned(nested(load, up)).nodes for step in it.steps()]
    assert steps[0].parameters == {
        "labware": "plate",
        "load_name": "corning_96_wellplate_360ul_flat",
        "slot": 3,
        "namespace": "opentrons",
        "version": 1,
    }
    assert spots(steps)[1] == "move_to_well plate H12"
    assert "'plate' is not on the deck" in told(nested(up, load))


def test_the_same_labware_may_be_loaded_where_it_stands() -> None:
    again = node("again", "load_custom_labware", load_name="nis_15_wellplate_3895ul", slot=9, labware="nis_reactor")
    assert told(nested(again)) == ""


def test_custom_labware_of_a_definition() -> None:
    definition = {"parameters": {"loadName": "mine"}, "wells": {"A1": {"depth": 5, "totalLiquidVolume": 50}}}
    load = node("load", "load_custom_labware", definition=definition, slot=5)
    deep = node("move", "move_to_well", labware="mine", well="A1", offset_z=-6)
    assert "6 mm is deeper than mine A1 is" in told(nested(load, deep))


def test_another_pipette_takes_other_tips() -> None:
    pipette = node("pipette", "load_pipette", pipette="p300_single_gen2", mount="right")
    rack = node("rack", "load_labware", load_name="opentrons_96_tiprack_300ul", slot=6)
    steps = planned(nested(pipette, rack, PICK)).by_id["pick"].steps()
    assert spots(steps)[1] == "pickup_tip opentrons_96_tiprack_300ul A1"
    assert "no rack with tips for p300_single_gen2" in told(nested(pipette, PICK))


def test_a_named_tip_is_gone_afterwards() -> None:
    pick = node("one", "pickup_tip", labware="tip_rack_1", well="A1")
    plan = planned(nested(pick, node("drop", "drop_tip"), PICK))
    assert plan.tips_used == {"tip_rack_1": ("A1", "A2")}
    again = node("two", "pickup_tip", labware="tip_rack_1", well="A1")
    assert "is gone already" in told(nested(pick, node("drop", "drop_tip"), again))


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    [
        ("load_labware", {"load_name": "chair", "slot": 3}, "nothing is known of the wells"),
        ("load_labware", {"load_name": "corning_96_wellplate_360ul_flat", "slot": 12}, "12 is no slot"),
        ("load_labware", {"load_name": "corning_96_wellplate_360ul_flat", "slot": 9}, "already holds 'nis_reactor'"),
        ("load_labware", {"slot": 3}, "load_name: is missing"),
        ("load_custom_labware", {"slot": 3}, "neither load_name nor the definition"),
        ("load_custom_labware", {"slot": 3, "load_name": "x", "definition": {}}, "nothing is known of the wells"),
        ("load_pipette", {"pipette": "p5"}, "no pipette that is known"),
        ("move_to_well", {"labware": "vial_rack_2", "well": "B1"}, "'B1' is no well"),
        ("move_to_well", AT | {"labware_name": "vial_rack_2"}, "says the same as labware_name"),
        ("move_to_well", AT | {"origin": "bottom", "offset_z": -1}, "below the bottom"),
        ("aspirate", AT | {"volume": 100}, "liquid needs a tip"),
        ("aspirate", AT | {"volume": 0}, "out of range"),
        ("drop_tip", {}, "nothing is on the pipette"),
        ("pickup_tip", {"well": "A1"}, "a well is named, and no labware"),
        ("pickup_tip", {"labware": "tip_rack_1", "well": "Z1"}, "no well of tip_rack_1"),
        ("delay", {"seconds": -1}, "out of range"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, params: dict[str, Any], said: str) -> None:
    assert said in told(nested(node("n", kind, **params)))


def test_a_tip_holds_what_it_holds() -> None:
    up = [node(f"up{number}", "aspirate", **AT, volume=600) for number in range(2)]
    assert "more than the tip has room for" in told(nested(PICK, *up))
    out = node("out", "dispense", labware="nis_reactor", well="A1", volume=700)
    assert "only 600 µL are in the tip" in told(nested(PICK, up[0], out))
