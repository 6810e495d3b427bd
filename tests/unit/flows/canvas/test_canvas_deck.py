"""Labware, deck, and the ledgers of tips and liquids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import deck as decks
from labkeeper_flows.canvas import labware
from labkeeper_flows.canvas.labware import Kind
from labkeeper_flows.canvas.ledgers import LiquidLedger, TipLedger

RACK = labware.grid(8, 12)


@pytest.mark.parametrize(
    ("name", "first", "last", "count", "kind", "volume"),
    [
        ("nis_15_wellplate_3895ul", "A1", "C5", 15, Kind.WELLS, 22_172),
        ("nis_8_reservoir_25000ul", "A1", "A8", 8, Kind.WELLS, 25_000),
        ("nistall_4_tiprack_1ul", "A1", "B2", 4, Kind.TOOLS, None),
        ("nis_2_wellplate_30000ul", "A1", "B1", 2, Kind.WELLS, 30_000),
        ("opentrons_96_tiprack_1000ul", "A1", "H12", 96, Kind.TIPS, None),
        ("opentrons_96_filtertiprack_20ul", "A1", "H12", 96, Kind.TIPS, None),
        ("corning_96_wellplate_360ul_flat", "A1", "H12", 96, Kind.WELLS, 360),
        ("nest_12_reservoir_15ml", "A1", "A12", 12, Kind.WELLS, 15_000),
    ],
)
def test_labware_is_known_by_its_load_name(
    name: str, first: str, last: str, count: int, kind: Kind, volume: float | None
) -> None:
    found = labware.by_load_name(name)
    assert found is not None
    assert (found.wells[0], found.wells[-1], len(found.wells), found.kind) == (first, last, count, kind)
    assert found.capacity_ul == (None if volume is None else pytest.approx(volume, abs=1))


@pytest.mark.parametrize(
    "name", ["", "chair", "opentrons_10_tuberack_falcon_4x50ml_6x15ml_conical", "x_97_wellplate_1ul"]
)
def test_labware_of_which_the_name_says_too_little_is_unknown(name: str) -> None:
    assert labware.by_load_name(name) is None


def test_the_reactor_is_deeper_than_its_definition() -> None:
    reactor = labware.KNOWN["nis_15_wellplate_3895ul"]
    assert (reactor.definition_depth_mm, reactor.lowest_mm()) == (10.54, 60)


def test_labware_of_a_definition() -> None:
    wells = {"B1": {"depth": 9, "totalLiquidVolume": 100}, "A2": {"depth": 10, "totalLiquidVolume": 90}, "A1": {}}
    found = labware.of_definition("mine", {"wells": wells})
    assert found == labware.Labware("mine", Kind.WELLS, ("A1", "A2", "B1"), 90, 9)
    tools = labware.of_definition(
        "tools", {"wells": {"A1": {"totalLiquidVolume": 1}}, "parameters": {"isTiprack": True}}
    )
    assert tools is not None
    assert tools.kind is Kind.TOOLS
    wrongs: tuple[object, ...] = (None, {}, {"wells": []}, {"wells": {"A1": 5}}, {"wells": {}})
    for wrong in wrongs:
        assert labware.of_definition("mine", wrong) is None


def test_the_deck_of_the_battery_lab() -> None:
    deck = decks.battery_deck()
    assert {placed.name: placed.slot for placed in deck.labware.values()} == {
        "tip_rack_1": 1,
        "vial_rack_2": 2,
        "nis_reactor": 9,
        "electrode_rack": 10,
    }
    assert [(it.name, it.mount) for it in deck.pipettes.values()] == [("p1000_single_gen2", "right")]
    assert all(well in deck.labware["vial_rack_2"].labware.wells for well in deck.additive_wells.values())


def test_a_configured_deck_tells_all_that_is_wrong() -> None:
    config = {
        "labware": {
            "plate": {"type": "nis_15_wellplate_3895ul", "slot": 9, "working_well": "D6"},
            "twice": {"type": "nis_8_reservoir_25000ul", "slot": "9"},
            "far": {"type": "nis_8_reservoir_25000ul", "slot": 12},
            "odd": {"type": "nis_15_wellplate", "slot": 4},
            "no": 5,
        },
        "instruments": {"pipette": {"type": "p1000_single", "mount": "right"}},
        "solutions": {"salt": {"labware": "plate", "position": "Z1"}, "acid": {"labware": "shelf"}},
    }
    _, found = decks.deck_of(config)
    assert {it.path for it in found} == {
        ("labware", "plate", "working_well"),
        ("labware", "twice", "slot"),
        ("labware", "far", "slot"),
        ("labware", "odd", "type"),
        ("labware", "no"),
        ("instruments", "pipette", "type"),
        ("solutions", "salt", "position"),
        ("solutions", "acid", "labware"),
    }


@given(st.floats(100, 50_000))
def test_a_transfer_is_split_into_equal_legal_parts(volume: float) -> None:
    pipette = decks.Pipette("p1000_single_gen2", "right", 100, 1000)
    parts = pipette.parts(volume)
    assert len(set(parts)) == 1
    assert sum(parts) == pytest.approx(volume)
    assert all(100 <= part <= 1000 for part in parts)


def test_tips_go_row_by_row_and_never_twice() -> None:
    tips = TipLedger({"rack": ["A1", "A3"]})
    assert [tips.take("rack", RACK) for _ in range(3)] == ["A2", "A4", "A5"]
    assert tips.take("rack", RACK, first=13) == "B1"
    assert not tips.take_at("rack", "B1")
    assert tips.take_at("rack", "H12")
    assert tips.used() == {"rack": ("A1", "A3", "A2", "A4", "A5", "B1", "H12")}
    copy = tips.copy()
    copy.take("rack", RACK)
    assert tips.left("rack", RACK) == 89 == copy.left("rack", RACK) + 1


def test_an_empty_rack_has_no_next_tip() -> None:
    tips = TipLedger()
    assert len({tips.take("rack", RACK) for _ in range(96)}) == 96
    assert tips.take("rack", RACK) is None
    assert tips.take("other", RACK, first=96) == "H12"
    assert tips.take("other", RACK, first=96) is None


def test_liquids_are_refused_only_when_nothing_could_make_them_fit() -> None:
    liquids = LiquidLedger.of({"known": {"A1": 500}})
    assert liquids.take("known", "A1", 600, 1000) == 500
    assert liquids.take("known", "A1", 500, 1000) is None
    assert liquids.take("unknown", "A1", 1000, 1000) is None
    assert liquids.take("unknown", "A1", 1, 1000) == 0
    assert liquids.put("other", "A1", 900, 1000) is None
    assert liquids.at_least("other", "A1") == 900
    assert liquids.put("other", "A1", 200, 1000) == 1100
    liquids.drain("other", "A1", 5000, 1000)
    assert liquids.at_least("other", "A1") == 0
    assert liquids.put("other", "A1", 1000, 1000) is None


@given(st.lists(st.tuples(st.sampled_from(["take", "put", "drain"]), st.floats(0, 1500)), max_size=20))
def test_bounds_stay_in_order_and_within_the_well(steps: list[tuple[str, float]]) -> None:
    liquids = LiquidLedger()
    for name, volume in steps:
        getattr(liquids, name)("plate", "A1", volume, 1000)
        low, high = liquids.bounds.get(("plate", "A1"), (0, 1000))
        assert -1e-6 <= low <= high + 1e-6 <= 1000 + 2e-6
