"""Angles and ticks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_devices.drivers.plate_resort import geometry

angles = st.floats(-36000, 36000)


def test_hotels_of_the_guide() -> None:
    found = geometry.hotel_angles(("A", "B", "C", "D"), 19.0, 1)
    assert found == {"A": 19.0, "B": 109.0, "C": 199.0, "D": 289.0}
    # Facts 3.1 gives 216, 1239, 2263, 3287 with 4095 ticks to a turn; a turn is 4096.
    assert [geometry.to_tick(angle) for angle in found.values()] == [216, 1240, 2264, 3288]


def test_reversed_rotation_stays_within_the_turn() -> None:
    assert geometry.hotel_angles(("A", "B", "C", "D"), 19.0, -1) == {"A": 19.0, "B": 289.0, "C": 199.0, "D": 109.0}


def test_negative_offset() -> None:
    assert geometry.hotel_angles(("A", "B", "C"), -30.0, 1) == {"A": 330.0, "B": 90.0, "C": 210.0}


@pytest.mark.parametrize(
    ("given_angle", "expected"),
    [(0, 0), (360, 0), (-1, 359), (720.5, 0.5), (-360, 0), (359.99, 359.99), (-1e-18, 0)],
)
def test_normalized(given_angle: float, expected: float) -> None:
    assert geometry.normalized(given_angle) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "present", "expected"),
    [(0, 359, 1), (359, 0, -1), (10, 350, 20), (350, 10, -20), (180, 0, 180), (0, 180, 180), (90, 90, 0)],
)
def test_shortest_way(target: float, present: float, expected: float) -> None:
    assert geometry.difference(target, present) == pytest.approx(expected)


@given(angles, angles)
def test_difference_leads_to_the_target(target: float, present: float) -> None:
    way = geometry.difference(target, present)
    assert -180 < way <= 180
    assert abs(geometry.difference(present + way, target)) < 1e-6


@given(angles)
def test_every_angle_is_a_goal_of_position_mode(angle: float) -> None:
    tick = geometry.to_tick(angle)
    assert 0 <= tick <= 4095
    assert abs(geometry.difference(geometry.to_degrees(tick), angle)) <= geometry.DEGREES_PER_TICK / 2 + 1e-6


@given(st.integers(-100000, 100000))
def test_ticks_beyond_the_turn(tick: int) -> None:
    assert geometry.to_tick(geometry.to_degrees(tick)) == tick % 4096


@given(st.integers(1, 12), st.floats(-360, 360), st.sampled_from([1, -1]))
def test_each_hotel_is_the_nearest_to_its_own_angle(count: int, offset: float, direction: int) -> None:
    hotels = tuple(f"H{index}" for index in range(count))
    found = geometry.hotel_angles(hotels, offset, direction)
    for name, angle in found.items():
        assert geometry.nearest_hotel(found, angle + 4.9) == name
        assert geometry.nearest_hotel(found, angle - 4.9) == name
        assert geometry.nearest_hotel(found, angle + 5.1) is None


def test_goal_within_the_servos_limits() -> None:
    assert geometry.goal_problem(2000, 0, 4095) is None
    problem = geometry.goal_problem(216, 1000, 3000)
    assert problem == (
        "18.98 degrees (tick 216) lies outside the position limits stored in the servo, 87.89 to 263.67 degrees "
        "(ticks 1000 to 3000)"
    )
