"""Schedules of a LabWorkflow: matched by name, changed in place, and compared with what Prefect makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_operator.reconcile.observed import ObservedDeployment, ObservedSchedule
from labkeeper_operator.reconcile.plan import Action, CreateSchedule, DeleteSchedule, UpdateSchedule
from tests.unit import builders as b
from tests.unit.operator.worlds import actions, created, deployed, planned_over

NIGHT = {"name": "night", "cron": "0 2 * * *"}
NOON = {"name": "noon", "cron": "0 12 * * *"}


def planned(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[Action, ...]:
    """What is planned once the schedules have changed from these to those."""
    return planned_over(b.a_workflow(schedules=before), b.a_workflow(schedules=after))


def updated(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What the one planned update of a schedule changes."""
    (action,) = planned([before], [after])
    assert isinstance(action, UpdateSchedule)
    assert (action.deployment_id, action.id) == ("dep-1", "sched-night")
    return action.changes


def timing(**given: Any) -> dict[str, Any]:
    """What Prefect is asked to do for a schedule."""
    (body,) = created(b.a_workflow(schedules=[{"name": "a", **given}])).body["schedules"]
    schedule: dict[str, Any] = body["schedule"]
    return schedule


def seen_as(workflow_schedule: dict[str, Any], **schedule: Any) -> ObservedDeployment:
    """The deployment of that schedule, where Prefect shows the timing like this."""
    observed = deployed(b.a_workflow(schedules=[workflow_schedule]))
    changed = ObservedSchedule("sched-a", workflow_schedule["name"], True, schedule, {})
    return ObservedDeployment(observed.id, observed.name, observed.flow_name, observed.fields, (changed,))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"cron": "0 9 * * 1-5", "timezone": "Asia/Tokyo"},
            {"cron": "0 9 * * 1-5", "timezone": "Asia/Tokyo", "day_or": True},
        ),
        ({"intervalSeconds": 90}, {"interval": 90.0, "timezone": "UTC"}),
        (
            {"intervalSeconds": 90, "anchor": "2026-01-01T09:00:00+09:00"},
            {"interval": 90.0, "timezone": "UTC", "anchor_date": "2026-01-01T09:00:00+09:00"},
        ),
        ({"rrule": "FREQ=DAILY;BYHOUR=9"}, {"rrule": "FREQ=DAILY;BYHOUR=9", "timezone": "UTC"}),
    ],
    ids=["cron", "interval", "anchor", "rrule"],
)
def test_a_timing_says_what_the_spec_says(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert timing(**given) == expected


def test_a_suspended_schedule_is_created_inactive() -> None:
    (body,) = created(b.a_workflow(schedules=[{**NIGHT, "suspend": True}])).body["schedules"]
    assert body["active"] is False


def test_unchanged_schedules_are_left_alone_in_any_order() -> None:
    assert planned([NIGHT, NOON], [NOON, NIGHT]) == ()


def test_a_new_schedule_is_added_to_the_others() -> None:
    (action,) = planned([NIGHT], [NIGHT, NOON])
    assert isinstance(action, CreateSchedule)
    assert action.body["slug"] == "noon"


def test_a_removed_schedule_is_deleted() -> None:
    assert planned([NIGHT, NOON], [NIGHT]) == (DeleteSchedule("dep-1", "sched-noon"),)


def test_a_renamed_schedule_is_another_one() -> None:
    removal, creation = planned([NIGHT], [{**NIGHT, "name": "late"}])
    assert removal == DeleteSchedule("dep-1", "sched-night")
    assert isinstance(creation, CreateSchedule)


def test_a_schedule_that_somebody_added_by_hand_is_removed() -> None:
    observed = deployed(b.a_workflow())
    by_hand = ObservedSchedule("sched-x", None, True, {"cron": "0 0 * * *", "timezone": "UTC"}, {})
    observed = ObservedDeployment(observed.id, observed.name, observed.flow_name, observed.fields, (by_hand,))
    assert actions(b.a_workflow(), observed=observed) == (DeleteSchedule("dep-1", "sched-x"),)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"suspend": True}, {"active": False}),
        ({"parameters": {"a": 1}}, {"parameters": {"a": 1}}),
        ({"cron": "0 3 * * *"}, {"schedule": {"cron": "0 3 * * *", "timezone": "UTC", "day_or": True}}),
        ({"timezone": "Asia/Tokyo"}, {"schedule": {"cron": "0 2 * * *", "timezone": "Asia/Tokyo", "day_or": True}}),
        ({"cron": None, "intervalSeconds": 60}, {"schedule": {"interval": 60.0, "timezone": "UTC"}}),
        ({"cron": None, "rrule": "FREQ=DAILY"}, {"schedule": {"rrule": "FREQ=DAILY", "timezone": "UTC"}}),
    ],
    ids=["suspend", "parameters", "cron", "timezone", "to interval", "to rrule"],
)
def test_a_changed_schedule_keeps_its_id(change: dict[str, Any], expected: dict[str, Any]) -> None:
    before, after = b.a_script_workflow(schedules=[NIGHT]), b.a_script_workflow(schedules=[{**NIGHT, **change}])
    (action,) = planned_over(before, after)
    assert action == UpdateSchedule("dep-1", "sched-night", expected)


def test_a_schedule_that_goes_on_is_active_again() -> None:
    assert updated({**NIGHT, "suspend": True}, NIGHT) == {"active": True}


def test_an_interval_turned_into_a_cron_is_no_interval_any_more() -> None:
    changes = updated({"name": "night", "intervalSeconds": 60}, NIGHT)
    assert set(changes["schedule"]) == {"cron", "timezone", "day_or"}


def test_an_anchor_that_the_spec_leaves_open_is_prefects_to_choose() -> None:
    spec = {"name": "a", "intervalSeconds": 60}
    observed = seen_as(spec, interval=60.0, timezone="UTC", anchor_date="2026-02-03T04:05:06Z")
    assert actions(b.a_workflow(schedules=[spec]), observed=observed) == ()


@pytest.mark.parametrize("seen", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T09:00:00+09:00"])
def test_an_anchor_is_a_moment_however_it_is_written(seen: str) -> None:
    spec = {"name": "a", "intervalSeconds": 60, "anchor": "2026-01-01T00:00:00Z"}
    observed = seen_as(spec, interval=60.0, timezone="UTC", anchor_date=seen)
    assert actions(b.a_workflow(schedules=[spec]), observed=observed) == ()


@pytest.mark.parametrize("seen", ["2026-01-02T00:00:00Z", None])
def test_another_anchor_is_set_right(seen: str | None) -> None:
    spec = {"name": "a", "intervalSeconds": 60, "anchor": "2026-01-01T00:00:00Z"}
    observed = seen_as(spec, interval=60.0, timezone="UTC", anchor_date=seen)
    (action,) = actions(b.a_workflow(schedules=[spec]), observed=observed)
    assert isinstance(action, UpdateSchedule)
    assert set(action.changes) == {"schedule"}


def test_a_start_that_prefect_writes_into_a_rule_is_not_a_change() -> None:
    spec = {"name": "a", "rrule": "FREQ=DAILY;BYHOUR=9"}
    observed = seen_as(spec, rrule="DTSTART:20200101T000000\nFREQ=DAILY;BYHOUR=9", timezone="UTC")
    assert actions(b.a_workflow(schedules=[spec]), observed=observed) == ()


def test_a_start_that_the_spec_gives_is_compared() -> None:
    spec = {"name": "a", "rrule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY"}
    observed = seen_as(spec, rrule="DTSTART:20200101T000000\nRRULE:FREQ=DAILY", timezone="UTC")
    assert len(actions(b.a_workflow(schedules=[spec]), observed=observed)) == 1
