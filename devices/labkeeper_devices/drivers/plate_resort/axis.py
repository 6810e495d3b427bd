"""One servo as a turning axis: modes, torque and goals in an order in which nothing jumps. Whole moves are `motion`.

What makes an axis jump, and what is done against it here: a goal outlives torque off, so it is set to the present
position before each torque on; a change of the operating mode resets the goal PWM to its limit and the profile
velocity to "as fast as it goes", so both are set again before anything moves (ROBOTIS e-manual, operating mode);
in PWM mode the shaft turns until told otherwise, so the bus watchdog ends that when the host dies.
EEPROM registers are written only when they differ, since they wear out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from labkeeper_api.errors import DeviceError
from labkeeper_devices.drivers.plate_resort import geometry, registers
from labkeeper_devices.drivers.plate_resort.bus import Block, ServoBus
from labkeeper_devices.drivers.plate_resort.pace import Pace
from labkeeper_devices.drivers.plate_resort.registers import OperatingMode, Register

REST_SECONDS: Final = 3.0
"""Real seconds that the shaft gets to come to rest once nothing drives it."""
REST_INTERVAL: Final = 0.02
REST_TICKS: Final = 1
JUMP_TICKS: Final = 12
"""About a degree: how far the shaft may give way when the torque comes on."""
WATCHDOG_SECONDS: Final = 0.6
"""Silence of the host after which the servo ends a PWM pulse by itself."""


@dataclass(frozen=True)
class Setup:
    """What the servo is given each time it is energised; raw values."""

    goal_pwm: int
    pwm_limit: int
    profile_acceleration: int
    profile_velocity: int
    moving_threshold: int


@dataclass(frozen=True)
class Sample:
    """Where the shaft is and whether it moves, of one moment. `tick` may lie outside one turn."""

    tick: int
    moving: bool
    alert: bool

    @property
    def angle(self) -> float:
        """Degrees, at least 0 and less than 360."""
        return geometry.to_degrees(self.tick)

    def error(self, target: float) -> float:
        """Shortest signed way to an angle in degrees."""
        return geometry.difference(target, self.angle)


class Axis:
    """The axis of one plate hotel. Raises `DeviceUnreachable`, `DeviceError` and, behind a stop, `Interrupted`."""

    def __init__(self, bus: ServoBus, setup: Setup, pace: Pace) -> None:
        """`pace` is for short waits that are not to be interrupted, such as for the shaft to come to rest."""
        self.bus = bus
        self.setup = setup
        self._pace = pace
        self._low, self._high = 0, geometry.TICKS_PER_TURN - 1

    @property
    def limits(self) -> tuple[int, int]:
        """Position limits stored in the servo, in ticks, as last read."""
        return self._low, self._high

    def memory(self) -> Block:
        """The EEPROM up to the position limits."""
        block = self.bus.read_block(registers.MODEL_NUMBER, registers.MIN_POSITION)
        self._low, self._high = block[registers.MIN_POSITION], block[registers.MAX_POSITION]
        return block

    def status(self) -> Block:
        """Torque, hardware error and bus watchdog."""
        return self.bus.read_block(registers.TORQUE_ENABLE, registers.BUS_WATCHDOG)

    def sample(self) -> Sample:
        """Where the shaft is now."""
        block = self.bus.read_block(registers.MOVING, registers.PRESENT_POSITION)
        return Sample(block[registers.PRESENT_POSITION], bool(block[registers.MOVING]), block.alert)

    def readings(self) -> Block:
        """Everything that the servo measures."""
        return self.bus.read_block(registers.MOVING, registers.PRESENT_TEMPERATURE)

    def healthy_sample(self) -> Sample:
        """Where the shaft is now. Raises `DeviceError` naming the hardware error if there is one."""
        sample = self.sample()
        if sample.alert:
            self._raise_failed()
        return sample

    def energise(self) -> None:
        """Hold the present position in position mode with the configured limits and speed.

        The guide's sequence: torque off, mode 3, limits, goal := present, torque on, profile velocity. When the servo
        already holds like that, only speed and goal PWM are written, so that connecting again drops nothing.
        """
        status = self.status()
        if status[registers.HARDWARE_ERROR]:
            self._raise_failed()
        memory = self.memory()
        wanted = self._wanted_memory(memory)
        changes = {register: value for register, value in wanted.items() if memory[register] != value}
        if changes or not self._holds(status):
            self.bus.write(registers.TORQUE_ENABLE, 0)
            self.bus.write(registers.BUS_WATCHDOG, 0)
            self.wait_for_rest()
            for register, value in changes.items():
                self.bus.write(register, value)
            self.bus.write(registers.GOAL_PWM, self.setup.goal_pwm)
            self._engage()
        self._apply_limits_of_motion()

    def enter_pwm(self) -> None:
        """PWM mode with torque on and PWM 0. The shaft is without torque for a moment on the way."""
        self.bus.write(registers.TORQUE_ENABLE, 0)
        self.wait_for_rest()
        self.bus.write(registers.OPERATING_MODE, OperatingMode.PWM)
        self.bus.write(registers.GOAL_PWM, 0)
        self.bus.write(registers.TORQUE_ENABLE, 1)
        units = math.ceil(WATCHDOG_SECONDS / registers.SECONDS_PER_WATCHDOG)
        self.bus.write(registers.BUS_WATCHDOG, units)

    def hold(self) -> None:
        """Stay where the shaft is: position mode, torque on, goal := present, whatever it did before."""
        mode = self.bus.read(registers.OPERATING_MODE)
        status = self.status()
        if status[registers.HARDWARE_ERROR] and not status[registers.TORQUE_ENABLE]:
            self._raise_failed()
        if mode == OperatingMode.POSITION and self._under_torque(status):
            self._goal_here()
            return
        self.bus.write(registers.TORQUE_ENABLE, 0)
        self.bus.write(registers.BUS_WATCHDOG, 0)
        self.wait_for_rest()
        if mode != OperatingMode.POSITION:
            self.bus.write(registers.OPERATING_MODE, OperatingMode.POSITION)
        self._apply_limits_of_motion()
        self._engage()

    def write_goal(self, tick: int) -> None:
        """Begin to turn to a tick of the turn. Raises `DeviceError` when the servo's limits do not allow it."""
        problem = geometry.goal_problem(tick, self._low, self._high)
        if problem:
            raise DeviceError(f"{problem}; nothing was moved")
        self.bus.write(registers.GOAL_POSITION, tick)

    def write_pwm(self, pwm: int) -> None:
        """Drive the shaft in PWM mode, -885 to 885. The register takes two's complement."""
        self.bus.write(registers.GOAL_PWM, pwm)

    def goal(self) -> int:
        """The goal that the servo has."""
        return self.bus.read(registers.GOAL_POSITION)

    def set_speed(self, speed: int) -> None:
        """Set the profile velocity and remember it for the next time the servo is energised."""
        self.bus.write(registers.PROFILE_VELOCITY, speed)
        self.setup = Setup(**{**vars(self.setup), "profile_velocity": speed})

    def torque_off(self) -> None:
        """Take the torque away."""
        self.bus.write(registers.TORQUE_ENABLE, 0)

    def wait_for_rest(self, seconds: float = REST_SECONDS) -> Sample:
        """Wait until the shaft stands still: flag clear, and two readings in a row agree.

        `seconds` are real ones. Raises `DeviceError` when it does not.
        """
        end = self._pace.now() + seconds
        last = self.sample()
        while True:
            self._pace.wait(REST_INTERVAL)
            sample = self.sample()
            if not sample.moving and abs(sample.tick - last.tick) <= REST_TICKS:
                return sample
            if self._pace.now() >= end:
                raise DeviceError(
                    f"{self.bus.where} does not come to rest: at {sample.angle:.2f} degrees it still moves after "
                    f"{seconds:g} s; check what turns the hotel"
                )
            last = sample

    def _holds(self, status: Block) -> bool:
        """Whether the shaft is held at rest where its goal is."""
        if not self._under_torque(status) or status[registers.BUS_WATCHDOG] != 0:
            return False
        sample = self.sample()
        return not sample.moving and abs(sample.tick - self.goal()) <= JUMP_TICKS

    def _under_torque(self, status: Block) -> bool:
        return status[registers.TORQUE_ENABLE] == 1

    def _wanted_memory(self, memory: Block) -> dict[Register, int]:
        forbidden = registers.TIME_BASED_PROFILE | registers.TORQUE_ON_BY_GOAL
        return {
            registers.OPERATING_MODE: OperatingMode.POSITION,
            registers.DRIVE_MODE: memory[registers.DRIVE_MODE] & ~forbidden,
            registers.PWM_LIMIT: self.setup.pwm_limit,
            registers.MOVING_THRESHOLD: self.setup.moving_threshold,
        }

    def _apply_limits_of_motion(self) -> None:
        self.bus.write(registers.GOAL_PWM, self.setup.goal_pwm)
        self.bus.write(registers.PROFILE_ACCELERATION, self.setup.profile_acceleration)
        self.bus.write(registers.PROFILE_VELOCITY, self.setup.profile_velocity)

    def _goal_here(self) -> int:
        tick = self.sample().tick % geometry.TICKS_PER_TURN
        problem = geometry.goal_problem(tick, self._low, self._high)
        if problem:
            raise DeviceError(f"the hotel cannot be held where it stands: {problem}; turn it by hand with torque off")
        self.bus.write(registers.GOAL_POSITION, tick)
        return tick

    def _engage(self) -> None:
        """Torque on at the present position; it must be at rest in position mode without torque."""
        tick = self._goal_here()
        self.bus.write(registers.TORQUE_ENABLE, 1)
        # A servo with a hardware error may take the write and stay without torque.
        if self.bus.read(registers.TORQUE_ENABLE) != 1:
            self._raise_failed()
        moved = abs(geometry.difference(geometry.to_degrees(tick), self.sample().angle))
        if moved > JUMP_TICKS * geometry.DEGREES_PER_TICK:
            raise DeviceError(
                f"{self.bus.where} moved by {moved:.2f} degrees when its torque came on; it is held there"
            )

    def _raise_failed(self) -> None:
        status = self.status()
        names = ", ".join(registers.hardware_error_names(status[registers.HARDWARE_ERROR])) or "none that it names"
        torque = "on" if self._under_torque(status) else "off"
        raise DeviceError(
            f"{self.bus.where} reports a hardware error ({names}) and its torque is {torque}: mend the cause, then "
            "reboot it"
        )
