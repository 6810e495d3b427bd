"""What stands on an OT-2's deck: wells, volumes and depths as data. No positions; those are the deck's.

Two depths are kept apart. The definition that the robot loads says how deep a well is for its own safety; a tool may go
deeper into the real vessel (facts 1.6: the reactor's definition ends at 10.54 mm, electrodes go in by 26 mm and the
flush tool by 57 mm), so `reach_mm` is explicit and checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What its places are."""

    WELLS = "wells"
    """Places for liquid."""
    TIPS = "tips"
    """Tips: each is used once."""
    TOOLS = "tools"
    """Electrodes and cleaning tools, picked up like tips, returned, and never used up (facts 1.2)."""


@dataclass(frozen=True)
class Labware:
    """One kind of labware.

    `wells` row by row (A1, A2, ..., B1, ...), as tips are counted (facts 1.6). Volumes in µL, lengths in mm; None where
    nobody has said. `capacity_ul` is what the real vessel holds, `tip_ul` what a tip of a rack holds.
    """

    load_name: str
    kind: Kind
    wells: tuple[str, ...]
    capacity_ul: float | None = None
    definition_depth_mm: float | None = None
    reach_mm: float | None = None
    tip_ul: float | None = None

    def lowest_mm(self) -> float | None:
        """How far below a well's top something may go."""
        return self.reach_mm if self.reach_mm is not None else self.definition_depth_mm


def grid(rows: int, columns: int) -> tuple[str, ...]:
    """Well names row by row: `grid(3, 5)` is A1..A5, B1..B5, C1..C5."""
    return tuple(f"{chr(ord('A') + row)}{column}" for row in range(rows) for column in range(1, columns + 1))


REACTOR_REACH_MM = 60.0
"""The largest insertion depth that the canvas allows (facts 1.2)."""

# The definition's 3895 µL over 10.54 mm are a cross-section of 369.5 mm2. The lab fills 5 mL into a cell and pumps 10
# mL through it, so the cell goes on below the definition with that cross-section; taking 3895 µL for the real volume
# would refuse the lab's own canvases. A lab with other cells says so in its deck.
REACTOR_CAPACITY_UL = 3895 / 10.54 * REACTOR_REACH_MM

_KNOWN = (
    Labware("nis_15_wellplate_3895ul", Kind.WELLS, grid(3, 5), REACTOR_CAPACITY_UL, 10.54, REACTOR_REACH_MM),
    Labware("nis_8_reservoir_25000ul", Kind.WELLS, grid(1, 8), 25_000),
    Labware("nis_2_wellplate_30000ul", Kind.WELLS, grid(2, 1), 30_000, reach_mm=60),
    Labware("nistall_4_tiprack_1ul", Kind.TOOLS, grid(2, 2)),
)
KNOWN: dict[str, Labware] = {labware.load_name: labware for labware in _KNOWN}
"""The custom labware of the battery and catalyst labs (facts 1.6, 1.7)."""

_COUNTS = {1: (1, 1), 6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)}
_NAME = re.compile(
    r"[a-z0-9]+(?:_[a-z0-9.]+)*?_(?P<count>[0-9]+)_"
    r"(?P<shape>(?:filter)?tiprack|wellplate|tuberack|reservoir)_(?P<volume>[0-9.]+)(?P<unit>ul|ml)(?:_[a-z0-9]+)*"
)


def by_load_name(load_name: str) -> Labware | None:
    """Labware of which the load name says enough: the custom ones above, else by Opentrons' naming convention.

    `corning_96_wellplate_360ul_flat` has 8 x 12 wells of 360 µL. None where the name says too little (mixed tube
    racks): such labware needs its definition.
    """
    if load_name in KNOWN:
        return KNOWN[load_name]
    match = _NAME.fullmatch(load_name)
    if match is None:
        return None
    count, shape = int(match["count"]), match["shape"]
    size = (1, count) if shape == "reservoir" and 1 <= count <= 12 else _COUNTS.get(count)
    try:
        volume = float(match["volume"]) * (1000 if match["unit"] == "ml" else 1)
    except ValueError:
        return None
    if size is None:
        return None
    if shape.endswith("tiprack"):
        return Labware(load_name, Kind.TIPS, grid(*size), tip_ul=volume)
    return Labware(load_name, Kind.WELLS, grid(*size), volume)


def of_definition(load_name: str, definition: object) -> Labware | None:
    """Labware of an Opentrons labware definition (schema 2: `wells{name{depth,totalLiquidVolume}}`), else None."""
    wells = definition.get("wells") if isinstance(definition, dict) else None
    if not isinstance(definition, dict) or not isinstance(wells, dict) or not wells:
        return None
    if not all(isinstance(name, str) and isinstance(well, dict) for name, well in wells.items()):
        return None
    names = tuple(sorted(wells, key=_place))
    volumes = [_number(well.get("totalLiquidVolume")) for well in wells.values()]
    depths = [_number(well.get("depth")) for well in wells.values()]
    volume = min((v for v in volumes if v is not None), default=None)
    depth = min((d for d in depths if d is not None), default=None)
    settings = definition.get("parameters")
    if isinstance(settings, dict) and settings.get("isTiprack") is True:
        # Tools are defined as tips of a microlitre or so, which no real tip is (facts 1.7: nistall_4_tiprack_1ul).
        kind = Kind.TOOLS if volume is not None and volume < 5 else Kind.TIPS
        return Labware(load_name, kind, names, tip_ul=volume)
    return Labware(load_name, Kind.WELLS, names, volume, depth)


def _place(well: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"([A-Z]+)([0-9]{1,3})", well)
    return (match[1], int(match[2]), "") if match else ("~", 0, well)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9 else None
