"""Schedules of a LabWorkflow: cron, interval or rrule, each in a time zone. Validation only; Prefect wakes the runs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from labkeeper_api.meta import ApiModel, Cel, Name
from labkeeper_api.recurrence import check_cron, check_rrule

_MINUTE = "([0-5]?[0-9])"
_HOUR = "([01]?[0-9]|2[0-3])"
_DAY = "(0?[1-9]|[12][0-9]|3[01])"
_MONTH = "(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_WEEKDAY = "([0-7]|sun|mon|tue|wed|thu|fri|sat)"


def _field(value: str) -> str:
    item = rf"(\*|{value}(-{value})?)(/(0?[1-9]|[1-9][0-9]))?"
    return rf"{item}(,{item})*"


CRON_PATTERN = "^" + r"\s+".join(_field(v) for v in (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)) + "$"
"""Five cron fields with their ranges, names of months and weekdays in lower case, lists, ranges and steps."""

_CRON = re.compile(CRON_PATTERN.strip("^$"), re.ASCII)

CRON_MESSAGE = (
    "cron must have five fields: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7; "
    "'0 9 * * 1-5' is every working day at nine"
)
ONE_TIMING = "give exactly one of cron, intervalSeconds and rrule"
INTERVAL_MESSAGE = "intervalSeconds must be at least 1; to stop a schedule, set suspend: true"


class Schedule(ApiModel):
    """One schedule. Its name is its identity in Prefect: a changed schedule keeps its id."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.cron), has(self.intervalSeconds), has(self.rrule)].filter(g, g).size() == 1",
            ONE_TIMING,
        ),
        Cel(
            f"!has(self.cron) || self.cron.lowerAscii().matches(r'{CRON_PATTERN}')",
            CRON_MESSAGE,
            field_path=".cron",
        ),
        Cel(
            "!has(self.intervalSeconds) || self.intervalSeconds >= 1",
            INTERVAL_MESSAGE,
            field_path=".intervalSeconds",
        ),
        Cel(
            "!has(self.anchor) || has(self.intervalSeconds)",
            "anchor only goes with intervalSeconds",
            field_path=".anchor",
        ),
    )

    name: Name
    """Name of the schedule, unique in the workflow."""
    cron: Annotated[str, Field(min_length=9, max_length=120)] | None = None
    """Five cron fields, such as `0 9 * * 1-5`."""
    interval_seconds: Annotated[int, Field(le=31536000)] | None = None
    """Seconds between runs."""
    anchor: datetime | None = None
    """A moment that the interval is counted from, with time zone; for intervalSeconds only."""
    rrule: Annotated[str, Field(min_length=6, max_length=2048)] | None = None
    """A recurrence rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9`."""
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """IANA time zone that the schedule is read in, such as `Asia/Tokyo`."""
    parameters: Annotated[
        dict[str, Any],
        Field(json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = {}
    """Parameters of the runs of this schedule, over those of the workflow."""
    suspend: bool = False
    """Hold back this schedule."""

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # croniter knows more than cron (L, W, #, R, seconds), which the API server's rule does not let in.
        if not _CRON.fullmatch(value.lower()) or not croniter.is_valid(value):
            raise ValueError(CRON_MESSAGE)
        check_cron(value)
        return value

    @field_validator("interval_seconds")
    @classmethod
    def _interval(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError(INTERVAL_MESSAGE)
        return value

    @field_validator("rrule")
    @classmethod
    def _rrule(cls, value: str | None) -> str | None:
        if value is not None:
            check_rrule(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {value!r}: give an IANA name such as Asia/Tokyo") from error
        return value

    @field_validator("anchor")
    @classmethod
    def _anchor(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("anchor needs a time zone: write 2026-01-01T09:00:00Z")
        return value

    @model_validator(mode="after")
    def _one_timing(self) -> Schedule:
        if sum(given is not None for given in (self.cron, self.interval_seconds, self.rrule)) != 1:
            raise ValueError(ONE_TIMING)
        if self.anchor is not None and self.interval_seconds is None:
            raise ValueError("anchor only goes with intervalSeconds")
        return self
