"""A servo in memory with a time that only passes when somebody waits: moves run in no time at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from labkeeper_api.errors import Interrupted
from labkeeper_devices.drivers.plate_resort.axis import Axis, Setup
from labkeeper_devices.drivers.plate_resort.bus import Block, LostReply, Refused
from labkeeper_devices.drivers.plate_resort.registers import Register
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.table import MODELS


class FakeTime:
    """A clock and a pace. `at(seconds, action)` does something when that moment is reached while waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cause: str | None = None
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.check()
        end = self.seconds + seconds
        for moment, action in sorted(self._due, key=lambda entry: entry[0]):
            if moment <= end:
                self._due.remove((moment, action))
                self.seconds = max(self.seconds, moment)
                action()
                self.check()
        self.seconds = end

    def check(self) -> None:
        if self.cause is not None:
            raise Interrupted(self.cause)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        self._due.append((seconds, action))

    def interrupt(self, cause: str) -> None:
        self.cause = cause


class CalmTime:
    """The same clock for waits that are not interrupted."""

    def __init__(self, time: FakeTime) -> None:
        self._time = time

    def now(self) -> float:
        return self._time.seconds

    def wait(self, seconds: float) -> None:
        self._time.seconds += seconds

    def check(self) -> None:
        return


class MemoryBus:
    """The bus to a simulated motor without a line. Each transaction takes 2 ms. `lost` answers get lost."""

    where = "servo 1 in memory"

    def __init__(self, motor: Motor, time: FakeTime) -> None:
        self.motor = motor
        self.time = time
        self.writes: list[tuple[str, int]] = []
        self.lost: float = 0

    def _spend(self) -> None:
        self.time.seconds += 0.002
        if self.lost > 0:
            self.lost -= 1
            raise LostReply("no answer")

    def read_block(self, first: Register, last: Register) -> Block:
        self.motor.heard(self.time.seconds)
        self._spend()
        data = self.motor.read(first.address, last.end - first.address, self.time.seconds)
        assert data is not None
        return Block(first.address, data, self.motor.table["hardware_error"] != 0)

    def read(self, register: Register) -> int:
        return self.read_block(register, register)[register]

    def write(self, register: Register, value: int) -> None:
        self.motor.heard(self.time.seconds)
        self._spend()
        error = self.motor.write(register.address, bytes(register.encode(value)), self.time.seconds)
        if error:
            raise Refused(f"refused {register.name} = {value}: {error.name}", error)
        self.writes.append((register.name, value))

    def cut(self) -> None:
        """No answer ever again."""
        self.lost = math.inf


class Bench:
    """A servo in memory with everything that a move needs."""

    def __init__(self, position: float) -> None:
        self.time = FakeTime()
        self.motor = Motor(MODELS["xm430-w350"], servo_id=1, position=position, now=0.0)
        self.bus = MemoryBus(self.motor, self.time)
        setup = Setup(goal_pwm=885, pwm_limit=885, profile_acceleration=0, profile_velocity=50, moving_threshold=10)
        self.axis = Axis(self.bus, setup, CalmTime(self.time))  # type: ignore[arg-type]

    @property
    def angle(self) -> float:
        return float(self.motor.state(self.time.seconds)["position_deg"])

    def holding(self) -> bool:
        """Whether it holds where it is: position mode, torque on, goal at the present position, at rest."""
        state = self.motor.state(self.time.seconds)
        registers = state["registers"]
        return bool(
            state["torque"]
            and state["mode"] == 3
            and not state["moving"]
            and registers["bus_watchdog"] == 0
            and registers["goal_pwm"] == 885
            and registers["profile_velocity"] == 50
            # A motion that is ended goes on for the two transactions in which its end is written.
            and abs(registers["goal_position"] - registers["present_position"]) <= 4
        )


@pytest.fixture
def bench() -> Bench:
    """A servo at 90 degrees that holds."""
    made = Bench(90.0)
    made.axis.energise()
    made.bus.writes.clear()
    return made


@pytest.fixture
def cold_bench() -> Bench:
    """A servo at 90 degrees without torque."""
    return Bench(90.0)
