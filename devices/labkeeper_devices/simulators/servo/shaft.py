"""The shaft of the simulated servo: which motion the control table asks for, and what is seen of it.

Not for the rules of writing registers: that is `motor`. Time is passed in, in simulated seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from labkeeper_devices.simulators.servo import physics
from labkeeper_devices.simulators.servo.physics import Profile, Rest, Turn
from labkeeper_devices.simulators.servo.table import ControlTable, Model

PWM: Final = 16
TIME_BASED_PROFILE: Final = 0b0100

DEFAULT_FRICTION: Final = 170
"""Goal PWM up to which the shaft does not move: a loaded hotel needs nearly the 180 that its guide begins with."""
LOADED: Final = 0.35
"""Share of the speed without load that full PWM gives with a hotel on the shaft."""

STRAINING_MA: Final = 1900.0
TURNING_MA: Final = 300.0
MA_PER_UNIT: Final = 2.69
STRAINING_LOAD: Final = 850
TURNING_LOAD: Final = 150

KEPT_MOTIONS: Final = 10000


@dataclass(frozen=True)
class MotionRecord:
    """One motion that really began. `at` is wall time; `goal_deg` is None for a PWM pulse."""

    cause: str
    at: float
    from_deg: float
    goal_deg: float | None


class Shaft:
    """The turning part of one servo."""

    def __init__(
        self, model: Model, table: ControlTable, *, position: float, wall: Callable[[], float] = time.time
    ) -> None:
        self.model = model
        self.table = table
        self.friction = DEFAULT_FRICTION
        self.deadband = 0.0
        self.stalled = False
        self.strain_since: float | None = None
        self.motion_count = 0
        self._records: list[MotionRecord] = []
        self._wall = wall
        self._motion: physics.Motion = Rest(position)

    def position(self, now: float) -> float:
        """Where the shaft is, in ticks."""
        return physics.position_at(self._motion, now)

    @property
    def resting(self) -> bool:
        """Whether no motion was begun since the last one was ended."""
        return isinstance(self._motion, Rest)

    @property
    def wall(self) -> Callable[[], float]:
        """The clock that motions are recorded with."""
        return self._wall

    def place(self, position: float) -> None:
        """Put the shaft somewhere without a motion."""
        self._motion = Rest(position)

    def stop(self, now: float) -> None:
        """End every motion where the shaft is."""
        self._motion = Rest(self.position(now))
        self.strain_since = None

    def within_one_turn(self) -> None:
        """Count from the beginning of the turn again, as position mode does when it begins."""
        if isinstance(self._motion, Rest):
            self._motion = Rest(self._motion.origin % physics.TICKS_PER_TURN)

    def follow(self, now: float, cause: str) -> None:
        """Begin the motion that the control table asks for now, if it is another one than that under way."""
        here = self.position(now)
        wanted = self._wanted(here, now)
        if _same_course(self._motion, wanted, now):
            return
        if self.stalled:
            self._strain(here, now, wanted)
            return
        was_turning = isinstance(self._motion, Turn)
        self.strain_since = None
        self._motion = wanted
        if isinstance(wanted, Profile) and abs(wanted.target - here) > 1:
            self._record(cause, here, self.table["goal_position"])
        elif isinstance(wanted, Turn) and not was_turning:
            self._record(cause, here, None)

    def motion_log(self) -> list[dict[str, Any]]:
        """The motions that really began, oldest first."""
        return [asdict(record) for record in self._records]

    def refresh(self, now: float) -> None:
        """Bring the readings in the control table up to date."""
        velocity = physics.velocity_at(self._motion, now)
        position = round(self.position(now))
        in_units = round(velocity / physics.TICKS_PER_TURN * 60 / physics.RPM_PER_VELOCITY_UNIT)
        moving = self.moving(now)
        self.table["moving"] = int(moving)
        self.table["moving_status"] = 0 if moving else 1
        self.table["present_velocity"] = in_units
        self.table["velocity_trajectory"] = in_units
        self.table["present_position"] = position
        self.table["position_trajectory"] = position
        self.table["present_current"] = self._effort(velocity)
        self.table["present_pwm"] = self._present_pwm(velocity)

    def moving(self, now: float) -> bool:
        """The moving flag: a profile is in progress, or the shaft is faster than the moving threshold."""
        in_progress = isinstance(self._motion, Profile) and not physics.ended(self._motion, now)
        if in_progress or self.strain_since is not None:
            return True
        rpm = abs(physics.velocity_at(self._motion, now)) / physics.TICKS_PER_TURN * 60
        return rpm / physics.RPM_PER_VELOCITY_UNIT > self.table["moving_threshold"]

    def _strain(self, here: float, now: float, wanted: physics.Motion) -> None:
        self._motion = Rest(here)
        # Less than a tick away from its goal a blocked shaft does not strain.
        if isinstance(wanted, Rest) or (isinstance(wanted, Profile) and abs(wanted.target - here) < 1):
            self.strain_since = None
        elif self.strain_since is None:
            self.strain_since = now

    def _record(self, cause: str, here: float, goal: int | None) -> None:
        self.motion_count += 1
        goal_deg = None if goal is None else degrees(goal)
        self._records.append(MotionRecord(cause, self._wall(), degrees(here), goal_deg))
        del self._records[:-KEPT_MOTIONS]

    def _wanted(self, here: float, now: float) -> physics.Motion:
        no_load = physics.ticks_per_second(self.model.no_load_rpm)
        drive = physics.pwm_velocity(self.table["goal_pwm"], self.friction, no_load * LOADED)
        if drive == 0 or not self.table["torque_enable"]:
            return Rest(here)
        if self.table["operating_mode"] == PWM:
            return Turn(now, here, drive)
        target = physics.short_of(here, self.table["goal_position"], self.deadband)
        if target == here:
            return Rest(here)
        speed, acceleration = self._profile(abs(target - here), no_load)
        return Profile(now, here, target, speed, acceleration)

    def _profile(self, distance: float, no_load: float) -> tuple[float, float]:
        velocity, acceleration = self.table["profile_velocity"], self.table["profile_acceleration"]
        if velocity == 0:
            return no_load, math.inf
        if self.table["drive_mode"] & TIME_BASED_PROFILE:
            return min(no_load, distance / (velocity / 1000)), math.inf
        speed = min(no_load, physics.ticks_per_second(velocity * physics.RPM_PER_VELOCITY_UNIT))
        if acceleration == 0:
            return speed, math.inf
        per_minute_squared = acceleration * physics.RPM2_PER_ACCELERATION_UNIT
        return speed, per_minute_squared / 3600 * physics.TICKS_PER_TURN

    def _effort(self, velocity: float) -> int:
        straining = self.strain_since is not None
        if not straining and velocity == 0:
            return 0
        if self.model.current:
            size = (STRAINING_MA if straining else TURNING_MA) / MA_PER_UNIT
        else:
            size = STRAINING_LOAD if straining else TURNING_LOAD
        return round(math.copysign(size, self._direction(velocity)))

    def _direction(self, velocity: float) -> float:
        if velocity or not isinstance(self._motion, Rest):
            return velocity
        if self.table["operating_mode"] == PWM:
            return self.table["goal_pwm"]
        return self.table["goal_position"] - self._motion.origin

    def _present_pwm(self, velocity: float) -> int:
        if self.table["operating_mode"] == PWM:
            return self.table["goal_pwm"] * self.table["torque_enable"]
        if self._effort(velocity) == 0:
            return 0
        straining = self.strain_since is not None
        size = abs(self.table["goal_pwm"]) if straining else min(physics.PWM_LIMIT, self.friction + 100)
        return round(math.copysign(size, self._direction(velocity)))


def degrees(ticks: float) -> float:
    """Ticks as degrees."""
    return ticks / physics.TICKS_PER_TURN * 360


def _same_course(current: physics.Motion, wanted: physics.Motion, now: float) -> bool:
    """Whether the shaft is already on its way there: writing a goal twice does not begin a second motion."""
    return (
        isinstance(current, Profile)
        and isinstance(wanted, Profile)
        and current.target == wanted.target
        and not physics.ended(current, now)
    )
