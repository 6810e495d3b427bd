"""What errors mean for an object's conditions, and when it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.conditions import Condition
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabObject
from labkeeper_operator.reconcile import verdicts
from tests.unit import builders as b

WAITING = Waiting("PoolNotReady", "the pool is not ready", retry_after=2.0)
STALLED = Stalled("UnknownFlow", "there is no such flow")


def conditions_after(error: Waiting | Stalled, obj: LabObject, now: datetime = b.NOW) -> dict[str, dict[str, Any]]:
    """The conditions of an object whose reconciliation ended with that error, by type."""
    return {c["type"]: c for c in verdicts.translate(error, obj, now=now)["conditions"]}


def test_waiting_is_in_progress() -> None:
    found = conditions_after(WAITING, b.a_workflow())
    assert {type_: c["status"] for type_, c in found.items()} == {"Ready": "False", "Reconciling": "True"}
    assert found["Ready"]["reason"] == "PoolNotReady"
    assert found["Ready"]["message"] == "the pool is not ready"


def test_stalled_is_for_a_person() -> None:
    found = conditions_after(STALLED, b.a_workflow())
    assert {type_: c["status"] for type_, c in found.items()} == {"Ready": "False", "Stalled": "True"}
    assert found["Stalled"]["reason"] == "UnknownFlow"


def test_who_waits_is_no_longer_stalled() -> None:
    obj = b.a_workflow(status=verdicts.translate(STALLED, b.a_workflow(), now=b.NOW))
    assert "Stalled" not in conditions_after(WAITING, obj)


def test_who_is_stalled_no_longer_waits() -> None:
    obj = b.a_workflow(status=verdicts.translate(WAITING, b.a_workflow(), now=b.NOW))
    assert "Reconciling" not in conditions_after(STALLED, obj)


def test_waiting_on_keeps_the_moment_when_it_began() -> None:
    obj = b.a_workflow(status=verdicts.translate(WAITING, b.a_workflow(), now=b.NOW))
    assert verdicts.translate(WAITING, obj, now=b.after(600)) == verdicts.translate(WAITING, obj, now=b.NOW)


def test_an_error_keeps_the_rest_of_the_status() -> None:
    obj = b.a_workflow(status={"deploymentId": "dep-1", "runs": {"completed": 7}})
    status = verdicts.translate(WAITING, obj, now=b.NOW)
    assert (status["deploymentId"], status["runs"]["completed"]) == ("dep-1", 7)


def test_an_error_speaks_of_the_generation_that_is_there() -> None:
    status = verdicts.translate(STALLED, b.a_workflow(meta={"generation": 4}), now=b.NOW)
    assert status["observedGeneration"] == 4
    assert {c["observedGeneration"] for c in status["conditions"]} == {4}


@pytest.mark.parametrize("obj", b.one_of_each(), ids=lambda obj: obj.kind)
def test_every_kind_can_be_stalled(obj: LabObject) -> None:
    status = verdicts.translate(STALLED, obj, now=b.NOW)
    again = type(obj).status_model.model_validate(status)
    assert [c.type for c in again.conditions] == ["Ready", "Stalled"]


@given(st.lists(st.sampled_from(["ready", "in_progress", "stalled"]), min_size=1, max_size=6))
def test_only_the_last_verdict_counts(verdict_names: list[str]) -> None:
    def say(conditions: list[Condition], name: str) -> list[Condition]:
        said: list[Condition] = getattr(verdicts, name)(
            conditions, message="m", now=b.NOW, generation=1, **({} if name == "ready" else {"reason": "R"})
        )
        return said

    conditions: list[Condition] = []
    for name in verdict_names:
        conditions = say(conditions, name)
    expected = say([], verdict_names[-1])
    assert [(c.type, c.status) for c in conditions] == [(c.type, c.status) for c in expected]


def test_ready_takes_away_what_was_in_the_way() -> None:
    stalled = verdicts.stalled([], "R", "m", now=b.NOW, generation=1)
    found = verdicts.ready(stalled, "as wanted", now=b.after(5), generation=1)
    assert [(c.type, c.status, c.last_transition_time) for c in found] == [("Ready", "True", b.after(5))]


def test_nobody_tries_again_what_only_a_person_can_mend() -> None:
    assert verdicts.retry_at(STALLED, 0, now=b.NOW) is None


def test_the_first_attempt_comes_when_the_error_says() -> None:
    assert verdicts.retry_at(WAITING, 0, now=b.NOW) == b.after(2)


@given(st.floats(0.01, 120), st.integers(0, 10_000))
def test_pauses_grow_up_to_a_minute(retry_after: float, failures: int) -> None:
    error = Waiting("R", "m", retry_after=retry_after)
    now, later = (verdicts.retry_at(error, count, now=b.NOW) for count in (failures, failures + 1))
    assert now is not None
    assert later is not None
    assert b.NOW < now <= later <= b.NOW + timedelta(seconds=verdicts.MAX_BACKOFF)


def test_pauses_double() -> None:
    pauses = [verdicts.retry_at(WAITING, failures, now=b.NOW) for failures in range(7)]
    assert pauses == [b.after(seconds) for seconds in (2, 4, 8, 16, 32, 60, 60)]


def test_the_status_of_an_object_without_one_is_an_empty_one() -> None:
    pool = b.a_pool(ready=False)
    assert verdicts.current_status(pool) == type(pool).status_model()
