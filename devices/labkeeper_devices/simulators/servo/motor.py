"""The simulated servo: what writing its registers does, and what goes wrong with it. Not for packets or the line.

Time is passed in, in simulated seconds, and nothing happens between two calls: whatever should have happened by then
(arriving, shutting down on overload) is worked out from the time when somebody next asks. Where the e-manual leaves
room, the worst case for a driver is simulated: a goal outlives torque off, so that torque on moves to it; a change of
the operating mode resets the goal PWM to its limit and the profile to "as fast as it goes".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from labkeeper_devices.simulators.servo import physics
from labkeeper_devices.simulators.servo.packets import ErrorNumber
from labkeeper_devices.simulators.servo.shaft import Shaft, degrees
from labkeeper_devices.simulators.servo.table import ControlTable, Model, Register

POSITION: Final = 3
TORQUE_ON_BY_GOAL: Final = 0b1000
MULTI_TURN_LIMIT: Final = 1048575

VOLTAGE_ERROR: Final = 0b000001
OVERHEATED: Final = 0b000100
OVERLOADED: Final = 0b100000

TICK_WRAP: Final = 32768

WATCHDOG_TRIPPED: Final = -1
SECONDS_PER_WATCHDOG: Final = 0.02
GOALS: Final = frozenset({"goal_pwm", "goal_current", "goal_velocity", "goal_position"})


class Motor:
    """One servo. All `now` are simulated seconds on one clock that never goes back."""

    def __init__(
        self,
        model: Model,
        *,
        servo_id: int,
        position: float,
        now: float,
        time_factor: float = 1.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.model = model
        self.table = ControlTable(model)
        self.table["id"] = servo_id
        ticks = position / 360 * physics.TICKS_PER_TURN
        self.shaft = Shaft(model, self.table, position=ticks, wall=wall)
        self._overload_after: float | None = None
        self._time_factor = time_factor
        self._heard_at = now
        self._booted = now
        self._power_up(now)

    # What the instructions do.

    def heard(self, now: float) -> None:
        """A packet was on the bus, which is what the bus watchdog waits for."""
        self.advance(now)
        self._heard_at = now

    def read(self, address: int, length: int, now: float) -> bytes | None:
        """Bytes of the control table as they are now; None when the range does not exist."""
        self.refresh(now)
        return self.table.read(address, length)

    def check(self, address: int, data: bytes, now: float) -> ErrorNumber:
        """Whether a WRITE would be carried out now."""
        return self._parse(address, data, now)[0]

    def write(self, address: int, data: bytes, now: float) -> ErrorNumber:
        """Carry out a WRITE: all of it or nothing."""
        error, writes = self._parse(address, data, now)
        for register, value in writes:
            self._apply(register.name, value, now)
        return error

    def reboot(self, now: float) -> None:
        """Lose all RAM, the torque and the errors; where the shaft stands stays."""
        self.advance(now)
        self.shaft.stop(now)
        supply, temperature = self.table["present_voltage"], self.table["present_temperature"]
        self.table.reset_ram()
        self.table["present_voltage"], self.table["present_temperature"] = supply, temperature
        self._booted = now
        self._power_up(now)

    # What the world does to it.

    def stall(self, now: float, *, on: bool, overload_after: float | None = None) -> None:
        """Block the shaft or let it go. `overload_after`: simulated seconds of straining until overload."""
        self.advance(now)
        self._overload_after = overload_after
        if on:
            self.shaft.stop(now)
        self.shaft.stalled = on
        self.shaft.follow(now, "released")

    def heat(self, celsius: int, now: float) -> None:
        """Set the temperature."""
        self.table["present_temperature"] = celsius
        self._inspect(now)

    def supply(self, volts: float, now: float) -> None:
        """Set the supply voltage."""
        self.table["present_voltage"] = round(volts * 10)
        self._inspect(now)

    def fail(self, bits: int, now: float) -> None:
        """Set bits of the hardware error status; those that the shutdown register names turn the torque off."""
        self.advance(now)
        self.table["hardware_error"] = self.table["hardware_error"] | bits
        if self._shut_down:
            self._torque_off(now)

    def turn_by_hand(self, position: float, now: float) -> bool:
        """Put the shaft somewhere (degrees), beyond a full turn too. Only possible while the torque is off."""
        self.advance(now)
        if self.torque:
            return False
        self.shaft.place(position / 360 * physics.TICKS_PER_TURN)
        return True

    def retune(self, now: float, *, friction: int | None = None, deadband: float | None = None) -> None:
        """Set static friction (units of goal PWM), or how far (degrees) position control stops short of a goal."""
        self.advance(now)
        if friction is not None:
            self.shaft.friction = friction
        if deadband is not None:
            self.shaft.deadband = deadband / 360 * physics.TICKS_PER_TURN

    # What can be seen from outside.

    @property
    def torque(self) -> bool:
        """Whether the motor is energised."""
        return self.table["torque_enable"] == 1

    def state(self, now: float) -> dict[str, Any]:
        """Everything at once, for people and tests."""
        self.refresh(now)
        return {
            "position_deg": degrees(self.shaft.position(now)),
            "torque": self.torque,
            "mode": self.table["operating_mode"],
            "goal_deg": degrees(self.table["goal_position"]),
            "moving": self.shaft.moving(now),
            "stalled": self.shaft.stalled,
            "friction": self.shaft.friction,
            "deadband_deg": degrees(self.shaft.deadband),
            "motion_count": self.shaft.motion_count,
            "registers": self.table.snapshot(),
        }

    def refresh(self, now: float) -> None:
        """Bring the readings in the control table up to date."""
        self.advance(now)
        self.table["realtime_tick"] = int((now - self._booted) * 1000) % TICK_WRAP
        self.shaft.refresh(now)

    def advance(self, now: float) -> None:
        """Let happen what should have happened by `now`."""
        self._watch(now)
        if self.shaft.strain_since is None or self._overload_after is None:
            return
        due = self.shaft.strain_since + self._overload_after
        if now >= due:
            self.table["hardware_error"] = self.table["hardware_error"] | OVERLOADED
            self._torque_off(due)

    # How it works inside.

    def _watch(self, now: float) -> None:
        """The bus watchdog: it counts real seconds, since it is the host that it waits for."""
        watchdog = self.table["bus_watchdog"]
        due = self._heard_at + watchdog * SECONDS_PER_WATCHDOG * self._time_factor
        if watchdog > 0 and self.torque and now >= due:
            self.shaft.stop(due)
            self.table["bus_watchdog"] = WATCHDOG_TRIPPED

    def _power_up(self, now: float) -> None:
        if self.table["operating_mode"] == POSITION:
            self.shaft.within_one_turn()
        self.table["goal_position"] = round(self.shaft.position(now))
        self.table["goal_pwm"] = self.table["pwm_limit"]
        if "goal_current" in self.table:
            self.table["goal_current"] = self.table["current_limit"]
        self._inspect(now)
        if self.table["startup_configuration"] & 1 and not self._shut_down:
            self.table["torque_enable"] = 1

    def _inspect(self, now: float) -> None:
        bits = 0
        voltage = self.table["present_voltage"]
        if not self.table["min_voltage_limit"] <= voltage <= self.table["max_voltage_limit"]:
            bits |= VOLTAGE_ERROR
        if self.table["present_temperature"] >= self.table["temperature_limit"]:
            bits |= OVERHEATED
        self.fail(bits, now)

    @property
    def _shut_down(self) -> bool:
        return bool(self.table["hardware_error"] & self.table["shutdown"])

    def _parse(self, address: int, data: bytes, now: float) -> tuple[ErrorNumber, list[tuple[Register, int]]]:
        self.advance(now)
        error, writes = self.table.parse_write(address, data, torque=self.torque)
        for register, value in writes:
            error = error or self._refusal(register.name, value)
        return error, ([] if error else writes)

    def _refusal(self, name: str, value: int) -> ErrorNumber:
        if name in GOALS and self.table["bus_watchdog"] == WATCHDOG_TRIPPED:
            return ErrorNumber.DATA_RANGE
        if name == "torque_enable" and value and self._shut_down:
            return ErrorNumber.RESULT_FAIL
        if name == "operating_mode" and value not in self.model.modes:
            return ErrorNumber.DATA_RANGE
        if name == "goal_position" and not self._reachable(value):
            return ErrorNumber.DATA_RANGE
        limit = {"goal_pwm": "pwm_limit", "goal_current": "current_limit"}.get(name)
        if limit and abs(value) > self.table[limit]:
            return ErrorNumber.DATA_LIMIT
        return ErrorNumber.NONE

    def _reachable(self, goal: int) -> bool:
        if self.table["operating_mode"] == POSITION:
            return self.table["min_position_limit"] <= goal <= self.table["max_position_limit"]
        return abs(goal) <= MULTI_TURN_LIMIT

    def _apply(self, name: str, value: int, now: float) -> None:
        before = self.table[name]
        self.table[name] = value
        if name == "torque_enable":
            self._torque_on(now) if value else self._torque_off(now)
        elif name == "operating_mode" and value != before:
            self._mode_changed(now)
        elif name == "goal_position":
            self._goal_written(now)
        elif name == "goal_pwm":
            self.shaft.follow(now, "pwm")
        elif name == "pwm_limit":
            self.table["goal_pwm"] = max(-value, min(value, self.table["goal_pwm"]))
        elif name == "homing_offset":
            self.shaft.place(self.shaft.position(now) + value - before)

    def _goal_written(self, now: float) -> None:
        if self.table["drive_mode"] & TORQUE_ON_BY_GOAL and not self.torque and not self._shut_down:
            self.table["torque_enable"] = 1
        self.shaft.follow(now, "goal")

    def _torque_on(self, now: float) -> None:
        if not self.shaft.resting:
            return
        if self.table["operating_mode"] == POSITION:
            self.shaft.within_one_turn()
        self.shaft.follow(now, "torque-on")

    def _torque_off(self, now: float) -> None:
        self.shaft.stop(now)
        self.table["torque_enable"] = 0

    def _mode_changed(self, now: float) -> None:
        self.table["profile_velocity"] = 0
        self.table["profile_acceleration"] = 0
        self.table["goal_pwm"] = self.table["pwm_limit"]
        self.shaft.stop(now)
        if self.table["operating_mode"] == POSITION:
            self.shaft.within_one_turn()
            low, high = self.table["min_position_limit"], self.table["max_position_limit"]
            goal = self.table["goal_position"] % physics.TICKS_PER_TURN
            self.table["goal_position"] = min(high, max(low, goal))
