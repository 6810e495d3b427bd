"""Angles of a plate hotel and ticks of its servo. Pure.

The servo is driven in position mode (3), which knows one turn: goals 0..4095. Every angle is therefore taken modulo 360
before it becomes a tick, so that hotels behind a reversed rotation or a negative offset are reached like any other,
and `move_to_angle(360)` is 0. Extended position mode (4) is deliberately not used: it counts turns from wherever the
servo was switched on, so that after a power cut the same goal could be a full turn away, and it ignores the position
limits that somebody may have set in the servo. The price is that the shaft never crosses the seam between 4095 and 0
and goes the long way round instead.

A turn is 4096 ticks; the guide's 4095 is a defect that is off by a tick at the end of the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TICKS_PER_TURN: Final = 4096
DEGREES_PER_TICK: Final = 360 / TICKS_PER_TURN
NEAREST_HOTEL_DEGREES: Final = 5.0
"""How near a hotel must be to count as the active one (facts 3.2)."""


def normalized(degrees: float) -> float:
    """The same direction as an angle of at least 0 and less than 360 degrees."""
    turned = degrees % 360.0
    # A tiny negative angle modulo 360 rounds to 360.0 itself.
    return 0.0 if turned >= 360.0 else turned


def difference(target: float, present: float) -> float:
    """Shortest signed way from `present` to `target` in degrees: above -180, at most 180."""
    turned = normalized(target - present)
    return turned - 360.0 if turned > 180.0 else turned


def to_tick(degrees: float) -> int:
    """The tick of the turn (0..4095) nearest to an angle."""
    return round(normalized(degrees) / DEGREES_PER_TICK) % TICKS_PER_TURN


def to_degrees(tick: int) -> float:
    """The angle of a tick, at least 0 and less than 360; ticks beyond one turn and below zero count modulo a turn."""
    return (tick % TICKS_PER_TURN) * DEGREES_PER_TICK


def hotel_angles(hotels: Sequence[str], offset: float, direction: int) -> dict[str, float]:
    """The angle of each hotel: offset + i * (360 / n) * direction, modulo 360 (facts 3.1)."""
    step = 360.0 / len(hotels) * direction
    return {name: normalized(offset + index * step) for index, name in enumerate(hotels)}


def nearest_hotel(angles: dict[str, float], present: float, within: float = NEAREST_HOTEL_DEGREES) -> str | None:
    """The hotel nearest to an angle, None when none is within that many degrees."""
    name = min(angles, key=lambda candidate: abs(difference(angles[candidate], present)))
    return name if abs(difference(angles[name], present)) <= within else None


def goal_problem(tick: int, low: int, high: int) -> str | None:
    """Why a goal cannot be reached in position mode with the servo's own limits (ticks); None if it can."""
    if low <= tick <= high:
        return None
    return (
        f"{to_degrees(tick):.2f} degrees (tick {tick}) lies outside the position limits stored in the servo, "
        f"{low * DEGREES_PER_TICK:.2f} to {high * DEGREES_PER_TICK:.2f} degrees (ticks {low} to {high})"
    )
