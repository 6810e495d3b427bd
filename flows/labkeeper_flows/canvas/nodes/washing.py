"""WashCleaning and HardwareWashing: pumps and ultrasound through a flush tool in a cell (facts 1.2).

Pump 1 fills, pump 2 drains, and ultrasonic bath 0 shakes: HardwareWashing drains with pump 2 and rinses with pump 1.
"""

from __future__ import annotations

from pydantic import Field

from labkeeper_flows.canvas import motions
from labkeeper_flows.canvas.context import Context, Spot
from labkeeper_flows.canvas.nodes.base import (
    Category,
    Count,
    Millilitres,
    Millimetres,
    MillimetresPerSecond,
    Milliseconds,
    NodeParameters,
    NodeType,
    RetryPolicy,
    Seconds,
)
from labkeeper_flows.canvas.steps import Role, Step

FILL, DRAIN = 1, 2
"""Numbers of the pumps."""


class WashCleaning(NodeParameters):
    """Cleans a cell in several cycles."""

    cleaning_tool_position: str = "B1"
    """Place of the cleaning tool in the electrode rack. The guide's form also offers C1 and C2, which it lacks."""
    target_well: str = "A1"
    """Cell of the reactor."""
    insertion_depth: Millimetres = Field(57, ge=0, le=60)
    """mm below the top of the cell."""
    pump1_volume: Millilitres = Field(10, ge=0, le=20)
    """mL that are filled in in each cycle."""
    pump2_volume: Millilitres = Field(4, ge=0, le=20)
    """mL that are drained at the beginning of each cycle."""
    final_wash_volume: Millilitres = Field(10, ge=0, le=20)
    """mL that are drained at the end of each cycle."""
    ultrasonic_time: Milliseconds = Field(5000, ge=0, le=10_000)
    """ms of ultrasound in each cycle."""
    cleaning_cycles: Count = Field(2, ge=1, le=5)
    """How often."""


class HardwareWashing(NodeParameters):
    """Drains, rinses and drains a cell. The facts give ranges for none of these; volumes and times are those of
    WashCleaning, offsets what the geometry allows."""

    target_cell: str = "A1"
    """Cell of the reactor."""
    initial_drain_volume: Millilitres = Field(10, ge=0, le=20)
    """mL that are drained first."""
    rinse_volume: Millilitres = Field(4, ge=0, le=20)
    """mL that are filled in."""
    final_rinse_volume: Millilitres = Field(10, ge=0, le=20)
    """mL that are drained last."""
    ultrasonic_duration: Milliseconds = Field(5000, ge=0, le=10_000)
    """ms of ultrasound."""
    arduino_com_port: str = "COM3"
    """Serial port of pumps and ultrasonic bath."""
    approach_speed: MillimetresPerSecond = Field(50, ge=1, le=400)
    """mm/s on the way."""
    insertion_speed: MillimetresPerSecond = Field(25, ge=1, le=400)
    """mm/s into and out of the cell."""
    flush_pickup_offset_x: Millimetres = Field(0.6, ge=-5, le=5)
    """mm from the middle of the rack's place."""
    flush_pickup_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the rack's place."""
    flush_insert_offset_x: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the cell."""
    flush_insert_offset_y: Millimetres = Field(0.5, ge=-5, le=5)
    """mm from the middle of the cell."""
    flush_approach_z: Millimetres = Field(5, ge=0, le=60)
    """mm over the cell."""
    flush_final_z: Millimetres = Field(-57, ge=-60, le=0)
    """mm, below the top of the cell when negative."""
    flush_return_offset_z: Millimetres = Field(6, ge=0, le=60)
    """mm over the bottom of the rack's place when the tool is let go."""
    wait_after: Seconds = Field(2, ge=0, le=3600)
    """s to wait after the last step."""


def pump(number: int, volume_ml: float) -> list[Step]:
    """Run a pump; nothing for no volume."""
    return (
        [Step(Role.ARDUINO, "pump", {"pump": number, "volume_ml": float(volume_ml)}, physical=True)]
        if volume_ml
        else []
    )


def ultrasonic(duration_ms: float) -> list[Step]:
    """Run ultrasonic bath 0; nothing for no time."""
    if not duration_ms:
        return []
    return [Step(Role.ARDUINO, "ultrasonic", {"channel": 0, "duration_ms": float(duration_ms)}, physical=True)]


def wash_steps(parameters: WashCleaning, context: Context) -> list[Step]:
    """Return the electrode, take the tool, over the cell, down; per cycle drain, fill, shake, drain; return it."""
    p = parameters
    tool = context.spot(
        "cleaning_tool_position", context.deck.tools, "cleaning_tool_position", p.cleaning_tool_position
    )
    cell = context.spot("target_well", context.deck.reactor, "target_well", p.target_well)
    if tool is None or cell is None:
        return []
    # The guide returns to A2 whatever electrode it holds; each goes home to where it came from.
    found = motions.return_tool(context)
    found += motions.take(context, tool, motions.ABOVE_TOOL)
    found += motions.move(context, cell, (0.5, 0.5, 5), speed=50.0)
    found += motions.move(context, cell, (0.5, 0.5, -p.insertion_depth), speed=50.0, parameter="insertion_depth")
    for _ in range(p.cleaning_cycles):
        found += _drain(context, cell, p.pump2_volume)
        found += _fill(context, cell, p.pump1_volume, "pump1_volume")
        found += ultrasonic(p.ultrasonic_time)
        found += _drain(context, cell, p.final_wash_volume)
    return found + motions.put_back(context)


def hardware_steps(parameters: HardwareWashing, context: Context) -> list[Step]:
    """Take the tool, approach, insert, drain, rinse, shake, drain, withdraw, return; 1 s after each pump."""
    p = parameters
    deck = context.deck
    tool = context.spot((), deck.tools, (), deck.flush_well)
    cell = context.spot("target_cell", deck.reactor, "target_cell", p.target_cell)
    said = "arduino_com_port" in p.model_fields_set
    context.connect(Role.ARDUINO, "com_port", p.arduino_com_port, parameter="arduino_com_port", said=said)
    if tool is None or cell is None:
        return []
    pick = (p.flush_pickup_offset_x, p.flush_pickup_offset_y, motions.ABOVE_TOOL[2])
    x, y = p.flush_insert_offset_x, p.flush_insert_offset_y
    above = (x, y, p.flush_approach_z)
    second = [motions.wait(1)]
    found = motions.return_tool(context)
    found += motions.take(context, tool, pick, speed=p.approach_speed)
    found += motions.move(context, cell, above, speed=p.approach_speed)
    found += motions.move(context, cell, (x, y, p.flush_final_z), speed=p.insertion_speed, parameter="flush_final_z")
    found += _drain(context, cell, p.initial_drain_volume) + second
    found += _fill(context, cell, p.rinse_volume, "rinse_volume") + second
    found += [*ultrasonic(p.ultrasonic_duration), motions.wait(p.ultrasonic_duration / 1000)]
    found += _drain(context, cell, p.final_rinse_volume) + second
    found += motions.move(context, cell, above, speed=p.insertion_speed)
    return found + motions.put_back(context, (pick[0], pick[1], p.flush_return_offset_z), speed=p.approach_speed)


def _drain(context: Context, cell: Spot, volume_ml: float) -> list[Step]:
    labware = cell.labware.labware
    context.liquids.drain(cell.labware.name, cell.well, volume_ml * 1000, labware.capacity_ul)
    return pump(DRAIN, volume_ml)


def _fill(context: Context, cell: Spot, volume_ml: float, parameter: str) -> list[Step]:
    capacity = cell.labware.labware.capacity_ul
    full = context.liquids.put(cell.labware.name, cell.well, volume_ml * 1000, capacity)
    if full is not None:
        holds = f"it holds {capacity:g} µL"
        context.refuse(parameter, f"{cell} would overflow: at least {full:g} µL", holds, state=True)
    return pump(FILL, volume_ml)


TYPES = (
    NodeType(
        "sdl1WashCleaning",
        "Cleans a cell with pumps and ultrasound",
        WashCleaning,
        wash_steps,
        Category.CLEANING,
        RetryPolicy(2, 30),
    ),
    NodeType(
        "sdl1HardwareWashing",
        "Drains, rinses and drains a cell",
        HardwareWashing,
        hardware_steps,
        Category.CLEANING,
        RetryPolicy(1, 15),
    ),
)
