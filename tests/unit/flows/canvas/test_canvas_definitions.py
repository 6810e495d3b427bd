"""Labware definitions made from the lab's geometry, and the steps that lay the deck out."""

from __future__ import annotations

import pytest

from labkeeper_flows.canvas.labware import KNOWN, Kind, by_load_name, of_definition
from labkeeper_flows.canvas.labware_definitions import FOOTPRINT_MM, definition_of
from labkeeper_flows.canvas_run.deck_steps import deck_steps
from tests.unit.flows.canvas.canvases import catalyst, nested, node, planned


@pytest.mark.parametrize("load_name", KNOWN)
def test_each_definition_says_what_the_geometry_says(load_name: str) -> None:
    labware = KNOWN[load_name]
    definition = definition_of(labware)
    assert definition is not None
    again = of_definition(load_name, definition)
    assert again is not None
    assert (again.kind, again.wells) == (labware.kind, labware.wells)
    if labware.kind is Kind.WELLS:
        assert again.capacity_ul == pytest.approx(labware.capacity_ul, rel=1e-3)
    if labware.reach_mm is not None:
        assert again.definition_depth_mm == labware.reach_mm
    assert sorted(well for column in definition["ordering"] for well in column) == sorted(labware.wells)


@pytest.mark.parametrize("load_name", KNOWN)
def test_wells_lie_inside_of_the_labware_and_do_not_touch(load_name: str) -> None:
    definition = definition_of(KNOWN[load_name])
    assert definition is not None
    wells = list(definition["wells"].values())
    for well in wells:
        half = (well.get("diameter", well.get("xDimension")) / 2, well.get("diameter", well.get("yDimension")) / 2)
        for at, size, room in zip((well["x"], well["y"]), half, FOOTPRINT_MM, strict=True):
            assert size <= at <= room - size
        for other in wells:
            apart = abs(well["x"] - other["x"]) >= 2 * half[0] or abs(well["y"] - other["y"]) >= 2 * half[1]
            assert other is well or apart
        assert well["z"] + well["depth"] <= definition["dimensions"]["zDimension"]


def test_what_the_robot_knows_needs_no_definition() -> None:
    rack = by_load_name("opentrons_96_tiprack_1000ul")
    assert rack is not None
    assert definition_of(rack) is None


def test_the_deck_is_laid_out_in_one_order_before_anything_moves() -> None:
    steps = deck_steps(planned(nested(node("one", "home_robot"))))
    assert [step.operation for step in steps] == [
        "initialize_robot",
        "load_labware",
        "load_custom_labware",
        "load_custom_labware",
        "load_custom_labware",
        "load_pipette",
    ]
    assert [step.parameters["slot"] for step in steps[1:5]] == [1, 2, 9, 10]
    assert not any(step.physical for step in steps)
    assert deck_steps(planned(nested(node("one", "delay")))) == ()
    own = deck_steps(planned(catalyst(node("a", "", ot2_actions=[{"action": "home"}]))))
    assert [step.parameters["slot"] for step in own[1:5]] == [1, 3, 9, 10]


def test_custom_labware_named_by_a_node_comes_with_its_definition() -> None:
    plan = planned(nested(node("one", "load_custom_labware", load_name="nis_2_wellplate_30000ul", slot=3)))
    (step,) = plan.nodes[0].steps()
    assert step.parameters["definition"]["parameters"]["loadName"] == "nis_2_wellplate_30000ul"
