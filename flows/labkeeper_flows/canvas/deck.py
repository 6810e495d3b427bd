"""Which labware stands in which slot of which OT-2, and which pipettes it has. Data; nothing moves here.

`battery_deck()` is the deck of facts 1.2; `deck_of(global_config)` that of a catalyst canvas (facts 1.7). A lab that
has another deck passes its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas import labware as kinds
from labkeeper_flows.canvas.labware import Kind, Labware

SLOTS = range(1, 12)
"""Slot 12 is the fixed trash."""


@dataclass(frozen=True)
class Pipette:
    """A pipette that is mounted. Volumes in µL."""

    name: str
    mount: str
    smallest_ul: float
    largest_ul: float

    def parts(self, volume: float) -> tuple[float, ...]:
        """Equal transfers that this pipette can make and that add up to `volume`; one where it fits at once.

        Below `smallest_ul` there is no legal transfer; that is for the caller to refuse.
        """
        count = max(1, math.ceil(volume / self.largest_ul))
        return (volume / count,) * count


PIPETTES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "p1000_single_gen2": (100, 1000),
        "p300_single_gen2": (20, 300),
        "p20_single_gen2": (1, 20),
    }
)
"""Smallest and largest volume in µL that the manufacturer states."""


@dataclass(frozen=True)
class Placed:
    """Labware in a slot. `working_well` is used where a move names no well (facts 1.7)."""

    name: str
    labware: Labware
    slot: int
    working_well: str | None = None


@dataclass(frozen=True)
class Deck:
    """A deck. Names are those that canvases use.

    `base_well` and `additive_wells`: where the solution rack keeps the base solution and the additives A to G.
    """

    labware: Mapping[str, Placed]
    pipettes: Mapping[str, Pipette]
    reactor: str = "nis_reactor"
    solutions: str = "vial_rack_2"
    tools: str = "electrode_rack"
    electrode_well: str = "A2"
    flush_well: str = "B1"
    base_well: str = "A1"
    additive_wells: Mapping[str, str] = field(default_factory=dict)

    def with_labware(self, placed: Placed) -> Deck:
        """The deck with one thing more on it."""
        return replace(self, labware={**self.labware, placed.name: placed})

    def with_pipette(self, pipette: Pipette) -> Deck:
        """The deck with that pipette on its mount, in place of what was there."""
        others = {name: other for name, other in self.pipettes.items() if other.mount != pipette.mount}
        return replace(self, pipettes={**others, pipette.name: pipette})

    def in_slot(self, slot: int) -> Placed | None:
        """What stands in a slot."""
        return next((placed for placed in self.labware.values() if placed.slot == slot), None)

    def tip_rack(self, pipette: Pipette) -> Placed | None:
        """The rack with tips for a pipette: the first whose tips hold what the pipette can take up."""
        racks = (placed for placed in self.labware.values() if placed.labware.kind is Kind.TIPS)
        return next((rack for rack in racks if (rack.labware.tip_ul or 0) == pipette.largest_ul), None)


def battery_deck() -> Deck:
    """Slot 1 tips, 2 solutions, 9 reactor, 10 electrodes and tools; one p1000 on the right (facts 1.2).

    The guide keeps additives A-G in A2..A6, B1, B2 of a rack that has A1..A8 only (facts 1.2, marked as a defect).
    Eight places for one base and seven additives are one row: here they stand in A2..A8.
    """
    placed = (
        Placed("tip_rack_1", _labware("opentrons_96_tiprack_1000ul"), 1),
        Placed("vial_rack_2", _labware("nis_8_reservoir_25000ul"), 2),
        Placed("nis_reactor", _labware("nis_15_wellplate_3895ul"), 9),
        Placed("electrode_rack", _labware("nistall_4_tiprack_1ul"), 10),
    )
    pipette = Pipette("p1000_single_gen2", "right", *PIPETTES["p1000_single_gen2"])
    additives = {letter: f"A{number}" for number, letter in enumerate("ABCDEFG", start=2)}
    return Deck({item.name: item for item in placed}, {pipette.name: pipette}, additive_wells=additives)


@dataclass(frozen=True)
class DeckObjection:
    """What is wrong with a configured deck; `path` below `global_config`."""

    path: NodePath
    message: str
    hint: str = ""


def deck_of(config: Mapping[str, Any]) -> tuple[Deck, list[DeckObjection]]:
    """The deck that `global_config` of a catalyst canvas describes, and everything that is wrong with it."""
    found: list[DeckObjection] = []
    deck = Deck({}, {})
    entries = config.get("labware", {})
    if not isinstance(entries, dict):
        return deck, [DeckObjection(("labware",), "must be an object of labware by name")]
    for name, entry in entries.items():
        path: NodePath = ("labware", name)
        placed = _placed(name, entry, path, deck, found)
        if placed is not None:
            deck = deck.with_labware(placed)
    found.extend(_solution_objections(config.get("solutions", {}), deck))
    return _with_pipette(config.get("instruments", {}), deck, found), found


def _placed(name: str, entry: object, path: NodePath, deck: Deck, found: list[DeckObjection]) -> Placed | None:
    if not isinstance(entry, dict):
        found.append(DeckObjection(path, "must be an object with type and slot"))
        return None
    load_name, slot, well = entry.get("type"), slot_number(entry.get("slot")), entry.get("working_well")
    labware = kinds.by_load_name(load_name) if isinstance(load_name, str) else None
    if labware is None:
        hint = did_you_mean(load_name, kinds.KNOWN) if isinstance(load_name, str) else ""
        found.append(DeckObjection((*path, "type"), f"{load_name!r} is no labware that is known here", hint))
    if slot is None:
        found.append(DeckObjection((*path, "slot"), f"{entry.get('slot')!r} is no slot of an OT-2", "1 to 11"))
    elif (other := deck.in_slot(slot)) is not None:
        found.append(DeckObjection((*path, "slot"), f"slot {slot} is already taken by {other.name!r}"))
        slot = None
    if labware is not None and well is not None and well not in labware.wells:
        hint = f"{labware.wells[0]} to {labware.wells[-1]}"
        found.append(DeckObjection((*path, "working_well"), f"{well!r} is no well of {labware.load_name}", hint))
        well = None
    return None if labware is None or slot is None else Placed(name, labware, slot, well)


def slot_number(value: object) -> int | None:
    """A slot as a number, from `9` or `"9"`; None if there is no such slot."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in SLOTS else None


def _with_pipette(instruments: object, deck: Deck, found: list[DeckObjection]) -> Deck:
    entry = instruments.get("pipette") if isinstance(instruments, dict) else None
    if entry is None:
        return deck
    path: NodePath = ("instruments", "pipette")
    name = entry.get("type") if isinstance(entry, dict) else None
    mount = entry.get("mount", "right") if isinstance(entry, dict) else None
    if not isinstance(name, str) or name not in PIPETTES:
        hint = did_you_mean(name, PIPETTES) if isinstance(name, str) else ""
        found.append(DeckObjection((*path, "type"), f"{name!r} is no pipette that is known here", hint))
        return deck
    if mount not in ("left", "right"):
        found.append(DeckObjection((*path, "mount"), f"{mount!r} is no mount", "left or right"))
        return deck
    return deck.with_pipette(Pipette(name, mount, *PIPETTES[name]))


def _solution_objections(solutions: object, deck: Deck) -> Iterator[DeckObjection]:
    if not isinstance(solutions, dict):
        yield DeckObjection(("solutions",), "must be an object of solutions by name")
        return
    for name, entry in solutions.items():
        path: NodePath = ("solutions", name)
        where = entry.get("labware") if isinstance(entry, dict) else None
        placed = deck.labware.get(where) if isinstance(where, str) else None
        if not isinstance(entry, dict) or placed is None:
            yield DeckObjection(
                (*path, "labware"), f"{where!r} is not on the deck", did_you_mean(str(where), deck.labware)
            )
        elif entry.get("position") not in placed.labware.wells:
            yield DeckObjection((*path, "position"), f"{entry.get('position')!r} is no well of {where}")


def _labware(load_name: str) -> Labware:
    found = kinds.by_load_name(load_name)
    assert found is not None, load_name  # noqa: S101 - the names above are in the table
    return found
