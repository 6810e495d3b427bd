"""How the shaft of a servo moves: pure functions of time.

Positions are in ticks (4096 to a turn), times in seconds, velocities in ticks per second. Nothing here ticks or
remembers: a motion is described once, and where the shaft is follows from the time that is passed in. Not for what
makes a motion begin or end: that is `servo`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

TICKS_PER_TURN: Final = 4096
RPM_PER_VELOCITY_UNIT: Final = 0.229
"""Unit of profile velocity and present velocity (e-manual, X series)."""
RPM2_PER_ACCELERATION_UNIT: Final = 214.577
"""Unit of profile acceleration in turns per minute squared (e-manual, X series)."""
PWM_LIMIT: Final = 885


def ticks_per_second(rpm: float) -> float:
    """Turns per minute as ticks per second."""
    return rpm / 60 * TICKS_PER_TURN


@dataclass(frozen=True)
class Rest:
    """The shaft stands still."""

    origin: float


@dataclass(frozen=True)
class Profile:
    """From `origin` to `target` with a trapezoid of speed; `acceleration` infinite makes it a rectangle."""

    start: float
    origin: float
    target: float
    speed: float
    acceleration: float = math.inf


@dataclass(frozen=True)
class Turn:
    """The shaft turns on and on, as in PWM mode."""

    start: float
    origin: float
    velocity: float


Motion = Rest | Profile | Turn


@dataclass(frozen=True)
class _Phases:
    """Times of a trapezoid: how long it speeds up, and how long all of it takes; and its top speed."""

    ramp: float
    total: float
    peak: float


def _phases(profile: Profile) -> _Phases:
    distance = abs(profile.target - profile.origin)
    if math.isinf(profile.acceleration):
        return _Phases(0.0, distance / profile.speed, profile.speed)
    ramp = profile.speed / profile.acceleration
    if profile.speed * ramp > distance:
        ramp = math.sqrt(distance / profile.acceleration)
        return _Phases(ramp, 2 * ramp, profile.acceleration * ramp)
    return _Phases(ramp, 2 * ramp + (distance - profile.speed * ramp) / profile.speed, profile.speed)


def _travelled(profile: Profile, phases: _Phases, elapsed: float) -> float:
    distance = abs(profile.target - profile.origin)
    if elapsed >= phases.total:
        return distance
    if elapsed < phases.ramp:
        return 0.5 * profile.acceleration * elapsed**2
    remaining = phases.total - elapsed
    if remaining < phases.ramp:
        return distance - 0.5 * profile.acceleration * remaining**2
    before = 0.5 * phases.peak * phases.ramp
    return before + phases.peak * (elapsed - phases.ramp)


def position_at(motion: Motion, now: float) -> float:
    """Where the shaft is, in ticks."""
    if isinstance(motion, Rest):
        return motion.origin
    elapsed = max(0.0, now - motion.start)
    if isinstance(motion, Turn):
        return motion.origin + motion.velocity * elapsed
    return motion.origin + _sign(motion) * _travelled(motion, _phases(motion), elapsed)


def velocity_at(motion: Motion, now: float) -> float:
    """How fast the shaft turns, in ticks per second."""
    if isinstance(motion, Rest):
        return 0.0
    if isinstance(motion, Turn):
        return motion.velocity
    phases, elapsed = _phases(motion), max(0.0, now - motion.start)
    if elapsed >= phases.total:
        return 0.0
    if phases.ramp == 0:
        return _sign(motion) * phases.peak
    share = min(1.0, elapsed / phases.ramp, (phases.total - elapsed) / phases.ramp)
    return _sign(motion) * phases.peak * share


def ended(motion: Motion, now: float) -> bool:
    """Whether the motion has come to its end by itself."""
    if isinstance(motion, Profile):
        return now - motion.start >= _phases(motion).total
    return isinstance(motion, Rest)


def _sign(profile: Profile) -> float:
    return math.copysign(1.0, profile.target - profile.origin)


def pwm_velocity(pwm: int, friction: int, full: float) -> float:
    """Speed that a PWM value gives against a threshold of static friction, in ticks per second.

    Linear between the threshold and `full`, the speed at full PWM: crude, but it has what a controller must cope
    with, which is that small values do not move the shaft at all.
    """
    effective = abs(pwm) - friction
    if effective <= 0:
        return 0.0
    return math.copysign(full * effective / (PWM_LIMIT - friction), pwm)


def short_of(origin: float, goal: float, deadband: float) -> float:
    """Where a position controller really stops: up to `deadband` ticks before the goal, coming from `origin`."""
    distance = goal - origin
    if abs(distance) <= deadband:
        return origin
    return goal - math.copysign(deadband, distance)
