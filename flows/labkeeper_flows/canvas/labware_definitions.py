"""Opentrons labware definitions (schema 2) of the lab's own labware, made from its geometry in `labware`. Pure.

Wells stand evenly over the footprint of a slot. That is how a simulator or a lab without files of its own can work with
these; where a vessel really stands to the tenth of a millimetre only its maker's definition knows, and a canvas hands
that in with `load_custom_labware`. A well is as deep as the real vessel (`reach_mm`), not as the upstream definition
says: insertion depths of 26 mm and 57 mm must lie inside of it (facts 1.6).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from labkeeper_flows.canvas.labware import KNOWN, Kind, Labware

Definition = dict[str, Any]

NAMESPACE = "labkeeper"
FOOTPRINT_MM = (127.76, 85.48)
"""Width and depth of labware in a slot (ANSI/SLAS 1-2004)."""
USUAL_DEPTH_MM = 40.0
"""Depth of a well of which nobody has said it."""
FLOOR_MM = 3.0
"""Between the deck and the bottom of a well."""
TOOL_LENGTH_MM = 70.0
"""Length of an electrode or cleaning tool: it reaches 57 mm into a cell (facts 1.2)."""
TOOL_OVERLAP_MM = 7.0
"""How much of it is on the pipette."""
TOOL_BASE_MM = 20.0
"""Height of a tool's lower end in its rack."""
TOOL_WIDTH_MM = 6.0


def definition_of(labware: Labware) -> Definition | None:
    """The definition of labware of the lab's own; None for what the robot has a definition of."""
    if KNOWN.get(labware.load_name) != labware:
        return None
    rows = _rows(labware.wells)
    tools = labware.kind is Kind.TOOLS
    wells = {
        well: {**_well(labware, len(rows), len(row)), **_place(at, column, len(rows), len(row))}
        for at, row in enumerate(rows)
        for column, well in enumerate(row)
    }
    first = next(iter(wells.values()))
    return {
        "ordering": [list(column) for column in zip(*rows, strict=True)],
        "brand": {"brand": "Labkeeper, from the lab's geometry"},
        "metadata": {
            "displayName": labware.load_name.replace("_", " "),
            "displayCategory": "tipRack" if tools else "reservoir" if len(rows) == 1 else "wellPlate",
            "displayVolumeUnits": "µL",
        },
        "dimensions": {
            "xDimension": FOOTPRINT_MM[0],
            "yDimension": FOOTPRINT_MM[1],
            "zDimension": round(first["z"] + first["depth"], 2),
        },
        "wells": wells,
        "groups": [{"metadata": {}, "wells": list(wells)}],
        "parameters": _parameters(labware),
        "namespace": NAMESPACE,
        "version": 1,
        "schemaVersion": 2,
        "cornerOffsetFromSlot": {"x": 0, "y": 0, "z": 0},
    }


def _rows(wells: Iterable[str]) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for well in wells:
        found.setdefault(well[0], []).append(well)
    return list(found.values())


def _well(labware: Labware, rows: int, columns: int) -> Definition:
    if labware.kind is Kind.TOOLS:
        # One microlitre, as its name says: `labware.of_definition` knows tools by that.
        shape = {"shape": "circular", "diameter": TOOL_WIDTH_MM}
        return {"depth": TOOL_LENGTH_MM, "totalLiquidVolume": 1, "z": TOOL_BASE_MM, **shape}
    depth = labware.lowest_mm() or USUAL_DEPTH_MM
    capacity = labware.capacity_ul or 0.0
    common = {"depth": depth, "totalLiquidVolume": round(capacity, 1), "z": FLOOR_MM}
    area = capacity / depth
    if rows == 1:
        width = round(0.8 * FOOTPRINT_MM[0] / columns, 2)
        return {**common, "shape": "rectangular", "xDimension": width, "yDimension": round(area / width, 2)}
    return {**common, "shape": "circular", "diameter": round(2 * math.sqrt(area / math.pi), 2)}


def _place(row: int, column: int, rows: int, columns: int) -> dict[str, float]:
    """The middle of a well from the front left corner; row A is at the back."""
    width, depth = FOOTPRINT_MM
    return {"x": round(width * (column + 0.5) / columns, 2), "y": round(depth * (1 - (row + 0.5) / rows), 2)}


def _parameters(labware: Labware) -> Definition:
    common = {"format": "irregular", "quirks": [], "isMagneticModuleCompatible": False, "loadName": labware.load_name}
    if labware.kind is Kind.TOOLS:
        return {**common, "isTiprack": True, "tipLength": TOOL_LENGTH_MM, "tipOverlap": TOOL_OVERLAP_MM}
    return {**common, "isTiprack": False}
