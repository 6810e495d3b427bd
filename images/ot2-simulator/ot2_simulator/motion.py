"""How long the OT-2's motors take: pure arithmetic, no clock.

The real code above (Opentrons' hardware API) plans the path and gives each straight move its target and its speed;
pipetting arrives here as a plunger move whose speed follows from the flow rate. This module says only how long such a
move lasts.

Units: mm, mm/s, mm/s², s. Axes as the motor board names them: X Y gantry, Z A left and right mount, B C left and
    right plunger.

Sources: speeds and accelerations are the robot's own defaults (``opentrons.config.defaults_ot2``:
    ``DEFAULT_MAX_SPEEDS``,
``DEFAULT_ACCELERATION``; ``opentrons.drivers.smoothie_drivers.constants``: ``DEFAULT_AXES_SPEED``, ``XY_HOMING_SPEED``,
``HOME_SEQUENCE``). Homing speeds of the mounts and plungers and the time at the limit switch are firmware settings that
the package does not contain: they are estimates, marked as such. Backlash moves and changes of motor current (each some
5 ms) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MAX_SPEED: Mapping[str, float] = {"X": 600, "Y": 400, "Z": 125, "A": 125, "B": 40, "C": 40}
ACCELERATION: Mapping[str, float] = {"X": 3000, "Y": 2000, "Z": 1500, "A": 1500, "B": 200, "C": 200}
DEFAULT_SPEED = 400.0

HOMING_SPEED: Mapping[str, float] = {"X": 80, "Y": 80, "Z": 50, "A": 50, "B": 10, "C": 10}
"""X and Y from the driver; the others are estimates."""
HOMING_SEQUENCE = ("ZABC", "X", "Y")
SWITCH_SECONDS = 1.0
"""Touching the limit switch, backing off and touching it again slowly, per group of the sequence: an estimate."""


def move_seconds(
    start: Mapping[str, float],
    target: Mapping[str, float],
    speed: float | None = None,
    axis_speeds: Mapping[str, float] | None = None,
) -> float:
    """The duration of one straight move with a trapezoidal speed profile.

    Args:
        start: where the axes are; axes that ``target`` does not name stay where they are.
        target: where the named axes go.
        speed: along the path; the board's default when None.
        axis_speeds: limits of single axes for this move; they lower the board's own limits, and never raise them.
    """
    deltas = {axis: abs(value - start.get(axis, value)) for axis, value in target.items()}
    distance = math.sqrt(sum(delta * delta for delta in deltas.values()))
    if distance < 1e-9:
        return 0.0
    limits = {axis: min(MAX_SPEED[axis], (axis_speeds or {}).get(axis, MAX_SPEED[axis])) for axis in deltas}
    # The path is as fast and as quick off the mark as its weakest axis allows, by that axis' share of the direction.
    shares = {axis: delta / distance for axis, delta in deltas.items() if delta > 1e-9}
    top = min([speed or DEFAULT_SPEED, *(limits[axis] / share for axis, share in shares.items())])
    acceleration = min(ACCELERATION[axis] / share for axis, share in shares.items())
    if distance <= top * top / acceleration:
        return 2 * math.sqrt(distance / acceleration)
    return distance / top + top / acceleration


def home_seconds(start: Mapping[str, float], homed: Mapping[str, float], axes: str) -> float:
    """The duration of homing: the groups of the robot's sequence one after the other, each as long as its slowest axis.

    Args:
        start: where the axes are.
        homed: where their limit switches are.
        axes: which to home, such as ``"XYZABC"`` or ``"A"``.
    """
    total = 0.0
    for group in HOMING_SEQUENCE:
        travels = [
            abs(homed[axis] - start.get(axis, homed[axis])) / HOMING_SPEED[axis] for axis in group if axis in axes
        ]
        if travels:
            total += max(travels) + SWITCH_SECONDS
    return total


def fast_home_seconds(start: Mapping[str, float], homed: Mapping[str, float], axes: str, margin: float) -> float:
    """The duration of a retraction: at full speed to ``margin`` mm before the switch, then homing from there."""
    near = {axis: homed[axis] - margin for axis in axes}
    approach = {axis: max(near[axis], start.get(axis, near[axis])) for axis in axes}
    return move_seconds(start, approach) + home_seconds(approach, homed, axes)
