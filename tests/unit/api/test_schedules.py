"""Schedules: what cron, interval and rrule accept, and that the API server's CRON_PATTERN agrees with the model."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from labkeeper_api.schedules import CRON_MESSAGE, CRON_PATTERN, INTERVAL_MESSAGE, ONE_TIMING, Schedule
from tests.unit.api import strategies

# The API server's regular expressions (RE2) know ASCII blanks only, and `$` is the very end.
_PATTERN = re.compile(CRON_PATTERN.removesuffix("$") + r"\Z", re.ASCII)


def crd_accepts(cron: str) -> bool:
    """Whether the CEL rule and the bounds of the CRD let that expression in."""
    return 9 <= len(cron) <= 120 and _PATTERN.match(cron.lower()) is not None


def model_accepts(cron: str) -> bool:
    """Whether the model lets that expression in."""
    try:
        Schedule(name="a", cron=cron)
    except ValidationError:
        return False
    return True


def problem(**given_: Any) -> tuple[str, str]:
    """Where and what is said about a schedule."""
    with pytest.raises(ValidationError) as caught:
        Schedule.model_validate({"name": "a", **given_})
    (item,) = caught.value.errors()
    return ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")


@settings(max_examples=100)
@given(strategies.valid_crons)
def test_both_checks_accept_lists_ranges_steps_and_names(cron: str) -> None:
    assert crd_accepts(cron)
    assert model_accepts(cron)


@settings(max_examples=100)
@given(strategies.broken_crons())
def test_both_checks_refuse_a_broken_expression(cron: str) -> None:
    assert not model_accepts(cron)
    assert not crd_accepts(cron)


@pytest.mark.parametrize(
    "crons",
    [
        pytest.param(["00 09 * * *", "01 * * * *", "* 08 * * *", "*/05 * * * *"], id="leading zeros"),
        pytest.param(["* * L * *", "* * l * *", "* * 15W * *", "* * ? * *"], id="L, W and ?"),
        pytest.param(["* * * * fri#2", "* * * * 1#1", "* * * * L5"], id="weekday of the month"),
        pytest.param(["R * * * *", "R(0-5) * * * *", "H * * * *"], id="random and hashed"),
        pytest.param([" * * * * *", "* * * * * "], id="blanks around"),
        pytest.param(["*/100 * * * *", "1-5/100 * * * *", "*/60 * * * *"], id="large steps"),
        pytest.param(["5-1 * * * *", "* * * * fri-mon", "0 22-2 * * *"], id="ranges over the end"),
        pytest.param(["*  * * * *", "*\t* * * *"], id="blanks between"),
        pytest.param(["* * * * 7", "* * * * 0-7", "0 0 1 JAN Sun"], id="sunday and capitals"),
        pytest.param(["@daily", "@reboot", "* * * * * *", "0 9 * *", ""], id="not five fields"),
    ],
)
def test_the_api_server_and_the_model_agree_on_cron(crons: list[str]) -> None:
    """Where they do not, `labkeeper validate` accepts what `kubectl apply` refuses, or the other way round."""
    assert {cron: model_accepts(cron) for cron in crons} == {cron: crd_accepts(cron) for cron in crons}


@pytest.mark.parametrize("cron", ["60 * * * *", "0 9 * * 8", "0 9 * * * *", "every nine", "0 9 * * mon-"])
def test_a_bad_cron_is_told_what_cron_looks_like(cron: str) -> None:
    assert problem(cron=cron) == ("cron", CRON_MESSAGE)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_a_cron_that_is_never_due_is_refused(cron: str) -> None:
    """Prefect's scheduler fails on it in each round, and the workflow never runs."""
    assert not model_accepts(cron)


@pytest.mark.parametrize(
    "given_",
    [{}, {"cron": "0 9 * * *", "intervalSeconds": 5}, {"rrule": "FREQ=DAILY", "intervalSeconds": 5}],
    ids=["none", "cron and interval", "rrule and interval"],
)
def test_a_schedule_has_exactly_one_timing(given_: dict[str, Any]) -> None:
    assert problem(**given_) == ("", ONE_TIMING)


@pytest.mark.parametrize("seconds", [0, -5])
def test_an_interval_below_a_second_is_told_to_suspend(seconds: int) -> None:
    assert problem(intervalSeconds=seconds) == ("intervalSeconds", INTERVAL_MESSAGE)


def test_an_interval_may_not_exceed_a_year() -> None:
    assert problem(intervalSeconds=31536001)[0] == "intervalSeconds"


def test_an_anchor_needs_a_time_zone() -> None:
    sentence = "anchor needs a time zone: write 2026-01-01T09:00:00Z"
    assert problem(intervalSeconds=5, anchor="2026-01-01T09:00:00") == ("anchor", sentence)


def test_an_anchor_only_goes_with_an_interval() -> None:
    found = problem(cron="0 9 * * *", anchor="2026-01-01T09:00:00Z")
    assert found == ("", "anchor only goes with intervalSeconds")


@pytest.mark.parametrize("zone", ["Asia/Tokio", "America", "../etc/passwd", "UTC+9", "\0", "é"])
def test_an_unknown_time_zone_is_refused_with_an_example(zone: str) -> None:
    sentence = f"unknown time zone {zone!r}: give an IANA name such as Asia/Tokyo"
    assert problem(cron="0 9 * * *", timezone=zone) == ("timezone", sentence)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_an_iana_time_zone_passes(zone: str) -> None:
    assert Schedule(name="a", cron="0 9 * * *", timezone=zone).timezone == zone


@pytest.mark.parametrize(
    "rule", ["FREQ=FORTNIGHTLY", "BYDAY=MO;BYHOUR=9", "FREQ=DAILY;BYHOUR=25", "RRULE:", "=====;", "every monday"]
)
def test_a_bad_recurrence_rule_is_refused_for_its_form(rule: str) -> None:
    path, message = problem(rrule=rule)
    assert path == "rrule"
    assert message.startswith("not a recurrence rule of RFC 5545")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9",
        "DTSTART:20260101T090000\nRRULE:FREQ=DAILY;COUNT=10",
        "RRULE:FREQ=MONTHLY;BYDAY=-1FR",
    ],
)
def test_a_recurrence_rule_passes(rule: str) -> None:
    assert Schedule(name="a", rrule=rule).rrule == rule


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=HOURLY;INTERVAL=7;BYHOUR=25",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_recurrence_rule_that_hangs_or_breaks_the_scheduler_is_refused(rule: str) -> None:
    """Prefect computes dates in its server's event loop: the first and the last of these stop it for good."""
    assert problem(rrule=rule)[0] == "rrule"


@pytest.mark.parametrize("rule", ["FREQ=DAILY;COUNT=3", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=10"])
def test_a_recurrence_rule_that_counts_needs_a_start(rule: str) -> None:
    """Prefect counts from 2020-01-01 where there is none, so that no run would ever come."""
    assert problem(rrule=rule)[0] == "rrule"
