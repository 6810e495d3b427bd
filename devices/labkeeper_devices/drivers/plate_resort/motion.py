"""Whole moves: the coarse one and the guide's precise one in two stages, both verified. Not for locks or sessions.

Whatever happens, a move ends with the servo holding where it is, in position mode with torque on and the goal at the
present position: also when it is cancelled and when it fails, as long as the servo answers. The one exception is the
emergency stop, which has taken the torque away. When the servo does not answer, `DeviceUnreachable` says so.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.plate_resort import geometry, pulses
from labkeeper_devices.drivers.plate_resort.axis import Axis, Sample
from labkeeper_devices.drivers.plate_resort.pace import Pace
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

log = logging.getLogger(__name__)

COARSE_INTERVAL: Final = 0.05
"""Seconds of the device between looks at the position in a coarse move."""
KEEP_ALIVE: Final = 0.2
"""Seconds of the device after which the servo is spoken to while a pulse lasts: the bus watchdog listens."""

COARSE_SUCCESS: Final = "coarse_success"
TIMEOUT: Final = "timeout"
"""A coarse move did not arrive in time. The guide has no word for it: its coarse move returned a bare False."""
READ_FAIL_STAGE1: Final = "read_fail_stage1"
READ_FAIL_PULSE: Final = "read_fail_pulse"
PULSES_SUCCESS: Final = "pulses_success"
DRIFTED: Final = "drifted"
"""The pulses reached the target, and the shaft left it again when position mode took over. Not in the guide, which
did not look."""


@dataclass(frozen=True)
class Outcome:
    """How a move ended. `angle` is where the shaft is held, `error` the way from there to the target; degrees."""

    success: bool
    reason: str
    pulses: int
    target: float
    angle: float
    error: float


def coarse_move(axis: Axis, target: float, config: ResortConfig, pace: Pace) -> Outcome:
    """Turn to an angle in position mode and look whether the shaft is there and at rest.

    Nothing is written when it already is. Reasons: `coarse_success`, `timeout`.
    """
    with _ends_holding(axis):
        if _stage_one(axis, target, config, pace, COARSE_INTERVAL, config.movement_timeout, 0.0):
            return _outcome(axis, target, config, COARSE_SUCCESS, 0)
        axis.hold()
        axis.wait_for_rest()
        return _outcome(axis, target, config, TIMEOUT, 0)


def precise_move(axis: Axis, target: float, config: ResortConfig, pace: Pace) -> Outcome:
    """The guide's two-stage move (facts 3.2): position mode, and pulses for what is left.

    The second stage takes over when the shaft has come to rest within `switch_error`, or after `stage1_timeout`.
    Reasons: `coarse_success`, `pulses_success`, `stall`, `max_pulses`, `read_fail_stage1`, `read_fail_pulse`; and
    `drifted`.
    """
    limit = config.movement_timeout if config.stage1_timeout is None else config.stage1_timeout
    with _ends_holding(axis):
        try:
            arrived = _stage_one(axis, target, config, pace, config.poll_interval, limit, config.switch_error)
        except DeviceUnreachable as error:
            return _read_fail(axis, target, config, READ_FAIL_STAGE1, 0, error)
        if arrived:
            return _outcome(axis, target, config, COARSE_SUCCESS, 0)
        stage = _PulseStage(axis, target, config, pace)
        try:
            reason = stage.run()
        except DeviceUnreachable as error:
            return _read_fail(axis, target, config, READ_FAIL_PULSE, stage.state.pulses, error)
        axis.hold()
        return _outcome(axis, target, config, reason, stage.state.pulses)


@contextlib.contextmanager
def _ends_holding(axis: Axis) -> Iterator[None]:
    """Bring the axis to hold when what is inside ends with an error."""
    try:
        yield
    except Interrupted as error:
        if error.cause != "emergency-stop":
            axis.hold()
        raise
    except DeviceError as error:
        try:
            axis.hold()
        except DeviceError as second:
            # The kind of the second error counts: if the servo cannot be reached, nobody knows what it does now.
            kind = DeviceUnreachable if isinstance(second, DeviceUnreachable) else DeviceError
            raise kind(f"{error}. Then it could not be made to hold its position: {second}") from error
        raise


def _stage_one(
    axis: Axis, target: float, config: ResortConfig, pace: Pace, interval: float, limit: float, switch_error: float
) -> bool:
    """Turn in position mode. True: arrived and at rest; False: time is up, or at rest within `switch_error`."""
    tick, end = geometry.to_tick(target), pace.now() + limit
    sample = axis.healthy_sample()
    if _there(sample, target, config):
        return True
    pace.check()
    axis.write_goal(tick)
    while True:
        pace.wait(interval)
        sample = axis.healthy_sample()
        if _there(sample, target, config):
            _verify_goal(axis, tick)
            return True
        # As long as the profile is in progress the first stage does the work; what is left after it is the residual.
        if not sample.moving and abs(sample.error(target)) <= switch_error:
            return False
        if pace.now() >= end:
            return False


def _there(sample: Sample, target: float, config: ResortConfig) -> bool:
    return not sample.moving and abs(sample.error(target)) <= config.position_tolerance


def _verify_goal(axis: Axis, tick: int) -> None:
    goal = axis.goal()
    if goal != tick:
        raise DeviceError(
            f"{axis.bus.where} has the goal {goal} although {tick} was written: another program commands this servo"
        )


def _outcome(axis: Axis, target: float, config: ResortConfig, reason: str, count: int) -> Outcome:
    sample = axis.healthy_sample()
    error = sample.error(target)
    within = abs(error) <= config.position_tolerance
    if reason == PULSES_SUCCESS and not within:
        reason = DRIFTED
    success = within and reason in (COARSE_SUCCESS, PULSES_SUCCESS)
    return Outcome(success, reason, count, geometry.normalized(target), sample.angle, error)


def _read_fail(
    axis: Axis, target: float, config: ResortConfig, reason: str, count: int, error: DeviceUnreachable
) -> Outcome:
    """The outcome after replies were lost, if the servo answers again; otherwise `DeviceUnreachable`."""
    log.warning("%s: %s", reason, error)
    try:
        axis.hold()
        axis.wait_for_rest()
        return _outcome(axis, target, config, reason, count)
    except DeviceUnreachable as second:
        raise DeviceUnreachable(f"{error}. Then it could not be made to hold its position: {second}") from error


class _PulseStage:
    """The second stage while it lasts."""

    def __init__(self, axis: Axis, target: float, config: ResortConfig, pace: Pace) -> None:
        self._axis = axis
        self._target = target
        self._config = config
        self._pace = pace
        self.state = pulses.first(config)

    def run(self) -> str:
        """Give pulses until one of the guide's reasons to end; leaves PWM mode to the caller."""
        self._axis.enter_pwm()
        sample = self._axis.healthy_sample()
        while True:
            error = sample.error(self._target)
            reason = pulses.verdict(self.state, error, self._config)
            if reason is not None:
                return reason
            before, sample = sample, self._pulse(pulses.strength(self.state, error))
            moved = (sample.tick - before.tick) * geometry.DEGREES_PER_TICK
            if self._config.precise_log:
                log.info(
                    "pulse %d: pwm %d moved %.2f degrees, %.2f left",
                    *(self.state.pulses + 1, pulses.strength(self.state, error), moved, sample.error(self._target)),
                )
            self.state = pulses.after(self.state, error, moved, self._config)

    def _pulse(self, pwm: int) -> Sample:
        self._pace.check()
        self._axis.write_pwm(pwm)
        self._wait(self._config.pulse_duration)
        self._axis.write_pwm(0)
        self._wait(self._config.pulse_rest)
        return self._axis.healthy_sample()

    def _wait(self, seconds: float) -> None:
        while seconds > KEEP_ALIVE:
            self._pace.wait(KEEP_ALIVE)
            self._axis.healthy_sample()
            seconds -= KEEP_ALIVE
        self._pace.wait(seconds)
