"""Conditions: when they change, in which order they stand, and how long their messages may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.conditions import (
    MESSAGE_LIMIT,
    Condition,
    ConditionType,
    find,
    is_true,
    said,
    whole_seconds,
    without,
)
from tests.unit.builders import NOW, after

READY, STALLED, RECONCILING = ConditionType.READY, ConditionType.STALLED, ConditionType.RECONCILING


def say(
    conditions: list[Condition], type_: ConditionType, status: bool, *, seconds: float = 0, message: str = "well"
) -> list[Condition]:
    """Say a condition that many seconds after NOW."""
    return said(conditions, type_, status, "Because", message, now=after(seconds), generation=3)


def test_a_condition_that_stays_keeps_its_transition_time() -> None:
    conditions = say(say([], READY, True), READY, True, seconds=60, message="still well")
    assert [(c.last_transition_time, c.message) for c in conditions] == [(NOW, "still well")]


def test_a_condition_that_turns_gets_a_new_transition_time() -> None:
    (ready,) = say(say([], READY, True), READY, False, seconds=60)
    assert (ready.status, ready.last_transition_time) == ("False", after(60))


def test_a_condition_that_came_back_is_new() -> None:
    conditions = without(say([], STALLED, True), STALLED)
    assert say(conditions, STALLED, True, seconds=60)[0].last_transition_time == after(60)


def test_transition_times_are_whole_seconds() -> None:
    """Kubernetes keeps no fractions: they would make a steady state look like a change."""
    (ready,) = say([], READY, True, seconds=0.75)
    assert ready.last_transition_time == NOW
    assert whole_seconds(NOW + timedelta(microseconds=999_999)) == NOW


def test_a_condition_names_the_generation_it_speaks_of() -> None:
    assert say([], READY, True)[0].observed_generation == 3


@given(st.permutations([READY, STALLED, RECONCILING, ConditionType.COMPLETE, ConditionType.FAILED]))
def test_conditions_stand_in_one_order_however_they_were_said(order: list[ConditionType]) -> None:
    conditions: list[Condition] = []
    for type_ in order:
        conditions = say(conditions, type_, True)
    assert [c.type for c in conditions] == ["Complete", "Failed", "Ready", "Reconciling", "Stalled"]


def test_saying_one_condition_leaves_the_others() -> None:
    conditions = say(say([], READY, False), STALLED, True)
    assert say(conditions, READY, True, seconds=5)[1] == conditions[1]


def test_saying_something_does_not_change_the_list_handed_in() -> None:
    before = say([], READY, True)
    say(before, READY, False)
    without(before, READY)
    assert [c.status for c in before] == ["True"]


@pytest.mark.parametrize("length", [MESSAGE_LIMIT - 1, MESSAGE_LIMIT])
def test_a_message_within_the_limit_is_kept_whole(length: int) -> None:
    assert say([], READY, True, message="x" * length)[0].message == "x" * length


def test_a_longer_message_ends_in_an_ellipsis_at_the_limit() -> None:
    message = say([], READY, True, message="x" * (MESSAGE_LIMIT + 1))[0].message
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("x…")


def test_a_condition_is_found_by_its_type() -> None:
    conditions = say(say([], READY, True), STALLED, False)
    found = find(conditions, "Stalled")
    assert found is not None
    assert found.status == "False"
    assert find(conditions, "Complete") is None


@pytest.mark.parametrize(("status", "expected"), [("True", True), ("False", False), ("Unknown", False)])
def test_only_status_true_is_true(status: str, expected: bool) -> None:
    condition = Condition.model_validate(
        {"type": "Ready", "status": status, "reason": "Because", "last_transition_time": NOW}
    )
    assert is_true([condition], "Ready") is expected


def test_a_condition_that_is_not_there_is_not_true() -> None:
    assert not is_true([], "Ready")
