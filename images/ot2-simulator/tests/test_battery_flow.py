"""What the battery lab does: labware of its own, a p1000 on the right, setup commands one by one, tools put back into
their rack."""

from __future__ import annotations

import pytest
from lab import Bench, Run, Simulator, tool_rack


def test_custom_labware_is_pipetted_and_its_volumes_are_true(robot: Simulator) -> None:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 5000, "B1": 100}})
    run.pick_up("A1")
    run.done("aspirate", **run.at(run.rack, "A1", volume=900, flowRate=274.7, wellLocation={"origin": "bottom"}))
    held = robot.state()["pipettes"]["right"]
    assert held["volume"] == 900
    assert held["content"] == [{"water": 900}]
    assert held["tip"] == {"slot": "1", "wells": ["A1"], "uri": "opentrons/opentrons_96_tiprack_1000ul/1", "used": []}
    run.done(
        "moveToWell", **run.at(run.rack, "A2", wellLocation={"origin": "top", "offset": {"x": -1, "y": 0.5, "z": 5}})
    )
    run.done("dispense", **run.at(run.rack, "A2", volume=400, flowRate=274.7))
    run.done("dispense", **run.at(run.rack, "B1", volume=300, flowRate=274.7))
    run.done("blowout", **run.at(run.rack, "B3", flowRate=274.7))
    run.done("dropTip", **run.at(run.tips, "A1"))
    state = robot.state()
    wells = {well: content["volume"] for well, content in state["deck"]["2"]["wells"].items()}
    assert wells == {"A1": 4100, "A2": 400, "B1": 400, "B3": 200}
    assert state["deck"]["1"]["tips"] == {"taken": [], "returned": ["A1"], "fresh": 95}
    assert state["pipettes"]["right"] == {
        "name": "p1000_single_gen2",
        "tip": None,
        "volume": 0,
        "air": 0,
        "content": [],
    }
    assert state["anomalies"] == []


def test_position_follows_the_commands(robot: Simulator) -> None:
    run = Bench(robot)
    run.pick_up()
    location = {"origin": "top", "offset": {"x": 0, "y": 0, "z": 5}}
    result = run.done("moveToWell", **run.at(run.rack, "A1", wellLocation=location))
    # Slot 2 of the OT-2 begins at x 132.5; the vial's middle is at (24, 62), its top at 45 mm.
    assert result["position"] == pytest.approx({"x": 156.5, "y": 62, "z": 50})
    assert robot.state()["gantry"]["position"] == pytest.approx({"mount": "right", "x": 156.5, "y": 62, "z": 50})


def test_tools_are_tips_that_go_back_into_their_rack(robot: Simulator) -> None:
    run = Bench(robot)
    assert run.define(tool_rack()) == "tests/sample_tools/1"
    tools = run.labware(10, "sample_tools", "tests")
    offset = {"origin": "top", "offset": {"x": 0.6, "y": 0.5, "z": 3}}
    run.done("moveToWell", **run.at(tools, "A2", wellLocation=offset, speed=100))
    run.done("pickUpTip", **run.at(tools, "A2"))
    run.done(
        "moveToWell", **run.at(run.rack, "A1", wellLocation={"origin": "top", "offset": {"x": 0, "y": 0, "z": -26}})
    )
    run.done("dropTip", **run.at(tools, "A2", wellLocation={"origin": "top", "offset": {"x": 0, "y": 0, "z": 6}}))
    assert robot.state()["deck"]["10"]["tips"] == {"taken": [], "returned": ["A2"], "fresh": 3}


def test_trash_takes_the_tip_and_what_is_in_it(robot: Simulator) -> None:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "acid", "volumes": {"A1": 500}})
    run.pick_up("C5")
    run.done("aspirate", **run.at(run.rack, "A1", volume=120, flowRate=274.7))
    run.done(
        "moveToAddressableAreaForDropTip",
        pipetteId=run.p1000,
        addressableAreaName="fixedTrash",
        offset={"x": 0, "y": 0, "z": 10},
    )
    run.done("dropTipInPlace", pipetteId=run.p1000)
    state = robot.state()
    assert state["deck"]["1"]["tips"] == {"taken": ["C5"], "returned": [], "fresh": 95}
    assert state["discarded"] == {"acid": 120}
    assert state["pipettes"]["right"]["tip"] is None


def test_more_than_the_well_holds_is_air(robot: Simulator) -> None:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 150}})
    run.pick_up()
    run.done("aspirate", **run.at(run.rack, "A1", volume=200, flowRate=274.7))
    state = robot.state()
    assert state["deck"]["2"]["wells"]["A1"]["volume"] == 0
    assert state["airAspirated"] == 50
    assert state["pipettes"]["right"]["content"] == [{"water": 150}, {"air": 50}]
    assert [(item["kind"], item["well"], item["volume"]) for item in state["anomalies"]] == [
        ("air_aspirated", "A1", 50)
    ]
    run.done("dispense", **run.at(run.rack, "B2", volume=200, flowRate=274.7))
    assert robot.state()["deck"]["2"]["wells"]["B2"] == {"volume": 150, "liquids": {"water": 150}}


def test_mixtures_keep_their_parts(robot: Simulator) -> None:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "red", "volumes": {"A1": 1000}})
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "blue", "volumes": {"A2": 300}})
    run.pick_up()
    run.done("aspirate", **run.at(run.rack, "A1", volume=100, flowRate=274.7))
    run.done("dispense", **run.at(run.rack, "A2", volume=100, flowRate=274.7))
    run.done("aspirate", **run.at(run.rack, "A2", volume=200, flowRate=274.7))
    assert robot.state()["pipettes"]["right"]["content"] == [{"blue": 150, "red": 50}]


def test_a_tip_place_that_is_empty_is_noticed_by_the_world_alone(robot: Simulator) -> None:
    first = Bench(robot)
    first.pick_up("A1")
    first.done("dropTip", **first.at(first.tips, "A2"))
    robot.client.patch(f"/runs/{first.id}", json={"data": {"current": False}})
    second = Bench(robot)  # a new run believes in a full rack; the rack on the deck is the old one
    second.pick_up("A1")
    state = robot.state()
    assert [item["kind"] for item in state["anomalies"]] == ["no_tip_there"]
    assert state["pipettes"]["right"]["tip"] is None


def test_eight_channels_count_eight_times(robot: Simulator) -> None:
    run = Bench(robot)
    run.p1000 = run.pipette("p300_multi_gen2", "left")
    tips = run.labware(4, "opentrons_96_tiprack_300ul")
    plate = run.labware(5, "corning_96_wellplate_360ul_flat")
    trough = run.labware(6, "nest_1_reservoir_195ml")
    robot.post("/simulator/liquids", {"slot": "6", "liquid": "water", "volumes": {"A1": 10000}})
    run.done("pickUpTip", **run.at(tips, "A1"))
    run.done("aspirate", **run.at(trough, "A1", volume=50, flowRate=94))
    assert robot.state()["deck"]["6"]["wells"]["A1"]["volume"] == 9600
    run.done("dispense", **run.at(plate, "A3", volume=50, flowRate=94))
    state = robot.state()
    assert {well: content["volume"] for well, content in state["deck"]["5"]["wells"].items()} == {
        f"{row}3": 50 for row in "ABCDEFGH"
    }
    assert state["deck"]["4"]["tips"]["taken"] == [f"{row}1" for row in "ABCDEFGH"]
    assert state["pipettes"]["left"]["volume"] == 0


def test_labware_of_another_kind_is_new_and_clean(robot: Simulator) -> None:
    run = Bench(robot)
    robot.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 5}})
    robot.client.patch(f"/runs/{run.id}", json={"data": {"current": False}})
    other = Bench(robot)
    assert robot.state()["deck"]["2"]["wells"] == {"A1": {"volume": 5, "liquids": {"water": 5}}}
    robot.client.patch(f"/runs/{other.id}", json={"data": {"current": False}})
    Run(robot).labware(2, "corning_96_wellplate_360ul_flat")
    assert robot.state()["deck"]["2"]["wells"] == {}
