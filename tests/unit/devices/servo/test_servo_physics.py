"""Motion as a pure function of time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_devices.simulators.servo import physics
from labkeeper_devices.simulators.servo.physics import Profile, Rest, Turn, ended, position_at, velocity_at

positions = st.floats(-8192, 8192)
profiles = st.builds(
    Profile,
    start=st.just(10.0),
    origin=positions,
    target=positions,
    speed=st.floats(10, 5000),
    acceleration=st.floats(10, 50000) | st.just(math.inf),
)


def test_speed_of_the_guide() -> None:
    # default_speed 50 is about 11.5 rpm (facts 3.3), so a quarter turn takes 1.3 s.
    speed = physics.ticks_per_second(50 * physics.RPM_PER_VELOCITY_UNIT)
    move = Profile(0.0, 0.0, 1024.0, speed)
    assert not ended(move, 1.30)
    assert ended(move, 1.32)


@given(profiles, st.floats(0, 100))
def test_stays_between_origin_and_target(move: Profile, elapsed: float) -> None:
    low, high = sorted((move.origin, move.target))
    assert low - 1e-6 <= position_at(move, move.start + elapsed) <= high + 1e-6


@given(profiles, st.floats(0, 100), st.floats(0, 10))
def test_never_turns_back(move: Profile, elapsed: float, more: float) -> None:
    way = move.target - move.origin
    step = position_at(move, move.start + elapsed + more) - position_at(move, move.start + elapsed)
    assert step * math.copysign(1, way) >= -1e-6


@given(profiles)
def test_begins_and_ends_where_it_should(move: Profile) -> None:
    assert position_at(move, move.start) == pytest.approx(move.origin)
    assert position_at(move, move.start + 10_000) == pytest.approx(move.target)
    assert velocity_at(move, move.start + 10_000) == 0
    assert ended(move, move.start + 10_000)


def test_ramp_takes_longer_than_none() -> None:
    sharp = Profile(0.0, 0.0, 1000.0, 500.0)
    soft = Profile(0.0, 0.0, 1000.0, 500.0, 500.0)
    assert ended(sharp, 2.0)
    assert not ended(soft, 2.9)
    assert ended(soft, 3.0)
    assert velocity_at(soft, 0.5) == pytest.approx(250.0)
    assert velocity_at(soft, 1.5) == pytest.approx(500.0)


def test_rest_and_turn() -> None:
    assert (position_at(Rest(5.0), 99.0), velocity_at(Rest(5.0), 99.0), ended(Rest(5.0), 0.0)) == (5.0, 0.0, True)
    turn = Turn(1.0, 100.0, -50.0)
    assert (position_at(turn, 3.0), velocity_at(turn, 3.0), ended(turn, 99.0)) == (0.0, -50.0, False)


@pytest.mark.parametrize(("pwm", "moves"), [(0, False), (170, False), (-170, False), (171, True), (-885, True)])
def test_friction(pwm: int, moves: bool) -> None:
    velocity = physics.pwm_velocity(pwm, 170, 1000.0)
    assert (velocity != 0) is moves
    assert velocity * pwm >= 0


def test_deadband() -> None:
    assert physics.short_of(0.0, 100.0, 10.0) == 90.0
    assert physics.short_of(200.0, 100.0, 10.0) == 110.0
    assert physics.short_of(95.0, 100.0, 10.0) == 95.0
    assert physics.short_of(0.0, 100.0, 0.0) == 100.0
