"""Recurrence rules of RFC 5545 and cron: whether they are sound and ever due. Prefect computes the dates.

Prefect does so in the event loop of its server, where a rule without a next date never returns: such a rule must not
get there. Not for the fields of a schedule: that is `schedules`.
"""

from __future__ import annotations

import re
from datetime import datetime

from croniter import CroniterBadDateError, croniter
from dateutil.rrule import DAILY, rrule, rrulestr

_START = datetime(2000, 1, 1)  # noqa: DTZ001 - rules are checked on wall-clock dates, before any time zone
_END = datetime(2029, 1, 1)  # noqa: DTZ001
"""A whole cycle of 28 years, after which dates and weekdays fall together again."""

_RANGES = {"BYHOUR": (0, 23), "BYMINUTE": (0, 59), "BYSECOND": (0, 59)}


def check_rrule(text: str) -> None:
    """Raise ValueError, with what is wrong, unless `text` is a recurrence rule that Prefect can compute dates of."""
    try:
        parsed = rrulestr(text)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a recurrence rule of RFC 5545: {error}") from error
    if not isinstance(parsed, rrule):
        message = "not a single recurrence rule: give one RRULE, without RDATE, EXDATE or EXRULE"
        raise ValueError(message)  # noqa: TRY004 - it is text that has the wrong form
    parts = {name.upper(): value for name, value in re.findall(r"(\w+)=([^;\s]*)", text)}
    if int(parts.get("INTERVAL", "1")) < 1:
        raise ValueError("INTERVAL must be at least 1")
    for name, (low, high) in _RANGES.items():
        for value in filter(None, parts.get(name, "").split(",")):
            if not low <= int(value) <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value}")
    if "COUNT" in parts and "DTSTART" not in text.upper():
        raise ValueError("COUNT needs a DTSTART to count from: DTSTART:20260101T090000 on a line before the rule")
    if not _is_ever_due(parsed, parts):
        raise ValueError("this rule is never due")


def check_cron(text: str) -> None:
    """Raise ValueError, with what is wrong, unless a valid cron expression is due at some time."""
    try:
        croniter(text, _START).get_next(datetime)
    except CroniterBadDateError as error:
        raise ValueError("this cron expression is never due: there is no such day") from error


def _is_ever_due(rule: rrule, parts: dict[str, str]) -> bool:
    checked = rule.replace(dtstart=_START, until=_END, count=None, interval=1)
    if parts.get("FREQ", "").upper() in ("HOURLY", "MINUTELY", "SECONDLY"):
        if "BYSETPOS" in parts:
            raise ValueError("BYSETPOS needs FREQ=DAILY or longer")
        # Going through days instead of seconds: whether there is a day is all that is asked.
        checked = checked.replace(freq=DAILY, byhour=None, byminute=None, bysecond=None)
    return next(iter(checked), None) is not None
