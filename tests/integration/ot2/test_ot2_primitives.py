"""Each primitive of the OT-2, and how it fails: in the robot's words."""

from __future__ import annotations

import pytest

from labkeeper_api.errors import DeviceError, Interlocked, InvalidInput
from tests.integration.ot2.bench import P1000, Bench


def _volumes(bench: Bench, slot: str = "2") -> dict[str, float]:
    wells = bench.robot.state()["deck"][slot]["wells"]
    return {well: content["volume"] for well, content in wells.items()}


def test_a_transfer_moves_what_was_asked_for(bench: Bench) -> None:
    bench.set_up()
    above = bench.at("tips", "A1", offset={"x": 0, "y": 1, "z": 0}, origin="top", speed=100)
    assert bench.do("move_to_well", **above)["simulated"] is True
    bench.do("pickup_tip", **bench.at("tips", "A1"))
    taken = bench.do("aspirate", **bench.at("vials", "A1", volume=900, offset={"x": 0, "y": 0, "z": 8}))
    assert taken["volume_ul"] == 900
    assert taken["time_factor"] == bench.robot.time_factor
    bench.do("dispense", **bench.at("vials", "B2", volume=700, offset={"x": -1, "y": 0.5, "z": 0}))
    bench.do("blowout", **bench.at("vials", "B3"))
    assert bench.do("get_status")["holding"] == {P1000: "the tip from tips A1"}
    bench.do("drop_tip", pipette=P1000, trash=True)
    assert _volumes(bench) == {"A1": 4100, "B2": 700, "B3": 200}
    state = bench.robot.state()
    assert state["pipettes"]["right"]["tip"] is None
    assert state["deck"]["1"]["tips"]["taken"] == ["A1"]
    assert state["anomalies"] == []
    assert bench.do("get_status")["holding"] == {}


def test_defaults_are_those_of_the_guide(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.do("aspirate", **bench.at("vials", "A1", volume=100))
    bench.do("dispense", **bench.at("vials", "A2", volume=100))
    aspirated, dispensed = bench.robot.log()[-2:]
    assert (aspirated["params"]["wellLocation"]["origin"], aspirated["params"]["flowRate"]) == ("bottom", 274.7)
    assert (dispensed["params"]["wellLocation"]["origin"], dispensed["params"]["flowRate"]) == ("top", 274.7)


def test_a_tool_is_taken_inserted_and_brought_home(bench: Bench) -> None:
    bench.set_up(tools=True)
    bench.do("pickup_tip", **bench.at("tools", "A2", offset={"x": 0.6, "y": 0.5, "z": 0}))
    inserted = bench.do("move_to_well", **bench.at("vials", "A1", offset={"x": 0.5, "y": 0.5, "z": -26}, speed=50))
    assert inserted["position_mm"]["z"] == pytest.approx(46 - 26)
    assert bench.do("get_status")["holding"] == {P1000: "the tool from tools A2"}
    bench.do("drop_tip", **bench.at("tools", "A2", offset={"x": 0.6, "y": 0.5, "z": 6}, origin="bottom"))
    assert bench.robot.state()["deck"]["10"]["tips"]["returned"] == ["A2"]


def test_home_lights_status_and_registry(bench: Bench) -> None:
    bench.set_up()
    bench.do("home_robot")
    assert bench.do("set_lights", on=True)["on"] is True
    status = bench.do("get_status")
    assert (status["robot"], status["door"], status["lights"]) == ("simulated-ot2", "closed", True)
    assert status["pipettes"] == {P1000: "right"}
    registry = bench.do("get_labware_registry")
    assert registry["count"] == 2
    assert registry["labware"]["vials"] == {
        "load_name": "test_vials",
        "slot": 2,
        "definition": "labkeeper_tests/test_vials/1",
    }
    bench.do("set_lights", on=False)


def test_initialising_begins_with_an_empty_deck(bench: Bench) -> None:
    bench.set_up().with_tip()
    first = bench.robot.state()["currentRun"]
    assert "waits at its guard" in bench.do("initialize_robot")["found"]
    assert bench.robot.state()["currentRun"] != first
    assert bench.do("get_labware_registry")["count"] == 0
    assert bench.robot.state()["pipettes"]["right"]["tip"] is None, "the robot drops a tip at the end of a run"
    with pytest.raises(InvalidInput, match="'vials' is not loaded"):
        bench.check("move_to_well", **bench.at("vials", "A1"))


def test_a_tool_is_not_thrown_away_by_initialising(bench: Bench) -> None:
    bench.set_up(tools=True)
    bench.do("pickup_tip", **bench.at("tools", "A1"))
    with pytest.raises(Interlocked, match="holds the tool from tools A1, and the end of the run would throw it"):
        bench.check("initialize_robot")
    with pytest.raises(Interlocked, match="drop_tip it home first"):
        bench.perform("initialize_robot")
    bench.do("drop_tip", **bench.at("tools", "A1"))
    bench.do("initialize_robot")


def test_loading_again_what_is_loaded_changes_nothing(bench: Bench) -> None:
    bench.set_up()
    last = bench.robot.last()
    assert bench.custom("vials", "test_vials", 2)["already_loaded"] is True
    assert bench.do("load_pipette", pipette=P1000, mount="right")["already_loaded"] is True
    assert bench.robot.log(last) == []


def test_what_is_not_loaded_is_said_to_be_missing(bench: Bench) -> None:
    bench.set_up()
    with pytest.raises(InvalidInput) as refused:
        bench.check("aspirate", pipette="p20_single_gen2", labware="rack", well="A1", volume=5)
    assert [str(problem) for problem in refused.value.problems] == [
        "pipette: 'p20_single_gen2' is not loaded (loaded: p1000_single_gen2)",
        "labware: 'rack' is not loaded (loaded: tips, vials)",
    ]
    with pytest.raises(InvalidInput, match=r"test_vials has no well 'Z99' \(it has A1 to B3\)"):
        bench.check("move_to_well", **bench.at("vials", "Z99"))


def test_custom_labware_needs_its_definition(bench: Bench) -> None:
    bench.do("initialize_robot")
    with pytest.raises(InvalidInput, match="the robot knows no custom labware 'nis_reactor' by name"):
        bench.check("load_custom_labware", labware="reactor", load_name="nis_reactor", slot=9)
    broken = {"namespace": "x", "version": 1, "parameters": {"loadName": "reactor"}, "schemaVersion": 2}
    with pytest.raises(InvalidInput, match="the robot refuses it"):
        bench.do("load_custom_labware", labware="reactor", load_name="reactor", slot=9, definition=broken)


def test_the_robots_own_words_for_a_deck_conflict_and_unknown_labware(bench: Bench) -> None:
    bench.set_up()
    with pytest.raises(DeviceError, match="Labware test_vials is already present"):
        bench.do("load_labware", labware="plate", load_name="corning_96_wellplate_360ul_flat", slot=2)
    with pytest.raises(DeviceError, match="no_such_rack"):
        bench.do("load_labware", labware="plate", load_name="no_such_rack", slot=5)
    bench.with_tip()
    with pytest.raises(InvalidInput, match="slot 2 already holds 'vials'"):
        bench.do("load_labware", labware="plate", load_name="corning_96_wellplate_360ul_flat", slot=2)
    assert bench.do("load_labware", labware="plate", load_name="corning_96_wellplate_360ul_flat", slot=5)["wells"] == 96
    assert bench.robot.state()["pipettes"]["right"]["tip"] is not None


def test_a_missing_tip_fails_in_the_robots_words_and_the_next_command_works(bench: Bench) -> None:
    bench.set_up()
    with pytest.raises(DeviceError, match=r"(?i)tip") as failed:
        bench.do("aspirate", **bench.at("vials", "A1", volume=100))
    assert "aspirate 100 µL from vials A1 failed" in str(failed.value)
    bench.with_tip()
    bench.do("aspirate", **bench.at("vials", "A1", volume=100))
    assert _volumes(bench)["A1"] == 4900


def test_an_impossible_volume_fails_in_the_robots_words(bench: Bench) -> None:
    bench.set_up().with_tip()
    bench.do("aspirate", **bench.at("vials", "A1", volume=900))
    with pytest.raises(DeviceError, match=r"volume|µL|uL"):
        bench.do("aspirate", **bench.at("vials", "A1", volume=900))
    assert bench.robot.state()["pipettes"]["right"]["tip"] is None
    assert bench.do("get_status")["holding"] == {}


def test_a_bad_well_fails_in_the_robots_words_where_the_driver_is_not_asked_first(bench: Bench) -> None:
    bench.set_up().with_tip()
    with pytest.raises(InvalidInput, match="has no well 'D9'"):
        bench.perform("aspirate", **bench.at("vials", "D9", volume=100))
