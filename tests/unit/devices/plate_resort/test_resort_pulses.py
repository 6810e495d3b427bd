"""The decisions of the second stage (facts 3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_devices.drivers.plate_resort import pulses
from labkeeper_devices.drivers.plate_resort.pulses import PulseState
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

CONFIG = ResortConfig()


def test_begins_with_the_configured_strength() -> None:
    assert pulses.first(CONFIG) == PulseState(180, 0, 0)
    assert pulses.first(ResortConfig(torque_limit=100)).pwm == 87


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        (PulseState(180), 0.5, "pulses_success"),
        (PulseState(180), -0.5, "pulses_success"),
        (PulseState(180), 0.51, None),
        (PulseState(180, pulses=25, idle=6), 0.1, "pulses_success"),
        (PulseState(180, pulses=24, idle=5), 1.0, None),
        (PulseState(180, pulses=25, idle=5), 1.0, "max_pulses"),
        (PulseState(180, pulses=25, idle=6), 1.0, "stall"),
        (PulseState(180, pulses=6, idle=6), 1.0, "stall"),
    ],
)
def test_verdict(state: PulseState, error: float, expected: str | None) -> None:
    assert pulses.verdict(state, error, CONFIG) == expected


def test_no_pulses_allowed() -> None:
    assert pulses.verdict(pulses.first(CONFIG), 1.0, ResortConfig(pulse_max=0)) == "max_pulses"


def test_towards_the_target() -> None:
    assert pulses.strength(PulseState(200), 1.0) == 200
    assert pulses.strength(PulseState(200), -1.0) == -200


def test_stronger_after_one_that_hardly_moved() -> None:
    assert pulses.after(PulseState(180), 2.0, 0.11, CONFIG) == PulseState(205, 1, 1)
    assert pulses.after(PulseState(590, 3, 2), 2.0, -0.11, CONFIG) == PulseState(600, 4, 3)


def test_motion_ends_the_count_of_idle_pulses() -> None:
    assert pulses.after(PulseState(300, 5, 5), 2.0, 0.12, CONFIG) == PulseState(300, 6, 0)


def test_weaker_after_one_that_moved_too_far_near_the_target() -> None:
    assert pulses.after(PulseState(300, 5), 2.0, 0.76, CONFIG) == PulseState(240, 6, 0)
    assert pulses.after(PulseState(300, 5), 2.0, 0.75, CONFIG) == PulseState(300, 6, 0)
    assert pulses.after(PulseState(200, 5), 2.0, 5.0, CONFIG) == PulseState(180, 6, 0), "not below the start"
    assert pulses.after(PulseState(300, 5), 30.0, 5.0, CONFIG) == PulseState(300, 6, 0), "far away it is welcome"
    assert pulses.after(PulseState(300, 5), 2.0, 5.0, ResortConfig(enable_backoff=False)).pwm == 300


@given(
    st.integers(180, 600),
    st.integers(0, 24),
    st.integers(0, 5),
    st.floats(-180, 180),
    st.floats(-10, 10),
)
def test_strength_stays_within_its_bounds(pwm: int, given_pulses: int, idle: int, error: float, moved: float) -> None:
    state = pulses.after(PulseState(pwm, given_pulses, idle), error, moved, CONFIG)
    assert CONFIG.pulse_pwm_start <= state.pwm <= CONFIG.pwm_max
    assert state.pulses == given_pulses + 1


@given(st.lists(st.floats(-10, 10), min_size=60, max_size=60))
def test_always_ends(moves: list[float]) -> None:
    state, error = pulses.first(CONFIG), 90.0
    for moved in moves:
        if pulses.verdict(state, error, CONFIG):
            return
        state = pulses.after(state, error, moved, CONFIG)
    raise AssertionError("it went on for ever")
