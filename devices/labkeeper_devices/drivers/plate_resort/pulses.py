"""The decisions of the precise move's second stage: how strong the next pulse is, and when it ends. Pure.

Source: the plate hotel's guide (facts 3.2). Each pulse is sign * PWM. Motion below `motion_threshold` raises the PWM by
`pwm_step` up to `pwm_max`, and so many in a row are a stall; motion above `position_tolerance * max_step_factor` near
the target (within `switch_error`) lowers it by `pwm_backoff_step`, not below its start. Not for waiting or writing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from labkeeper_devices.drivers.plate_resort.settings import ResortConfig


@dataclass(frozen=True)
class PulseState:
    """Where the second stage is: strength of the next pulse, pulses given, pulses in a row that did not move."""

    pwm: int
    pulses: int = 0
    idle: int = 0


def first(config: ResortConfig) -> PulseState:
    """Before the first pulse."""
    return PulseState(min(config.pulse_pwm_start, config.pulse_ceiling))


def verdict(state: PulseState, error: float, config: ResortConfig) -> str | None:
    """Why the second stage ends here (`pulses_success`, `stall`, `max_pulses`); None for another pulse.

    `error` is what is left in degrees, signed.
    """
    if abs(error) <= config.position_tolerance:
        return "pulses_success"
    if state.idle >= config.stall_pulses:
        return "stall"
    if state.pulses >= config.pulse_max:
        return "max_pulses"
    return None


def strength(state: PulseState, error: float) -> int:
    """Goal PWM of the next pulse: towards the target."""
    return state.pwm if error > 0 else -state.pwm


def after(state: PulseState, error: float, moved: float, config: ResortConfig) -> PulseState:
    """The state after a pulse that was given at `error` and moved the shaft by `moved`, both in degrees, signed."""
    given = replace(state, pulses=state.pulses + 1)
    if abs(moved) < config.motion_threshold:
        stronger = min(state.pwm + config.pwm_step, config.pulse_ceiling)
        return replace(given, pwm=max(state.pwm, stronger), idle=state.idle + 1)
    too_far = abs(moved) > config.position_tolerance * config.max_step_factor
    if config.enable_backoff and too_far and abs(error) <= config.switch_error:
        return replace(given, pwm=max(first(config).pwm, state.pwm - config.pwm_backoff_step), idle=0)
    return replace(given, idle=0)
