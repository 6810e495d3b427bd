"""Schedules of a LabWorkflow as Prefect's, matched by slug so that a changed one keeps its id. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from labkeeper_api.kinds.labworkflow import LabWorkflow
from labkeeper_api.schedules import Schedule
from labkeeper_operator.reconcile.observed import ObservedDeployment, ObservedSchedule
from labkeeper_operator.reconcile.plan import Action, CreateSchedule, DeleteSchedule, UpdateSchedule

_START_LINE = re.compile(r"^DTSTART:\S+\n")


def bodies(workflow: LabWorkflow) -> list[dict[str, Any]]:
    """All schedules as the request that creates them."""
    return [_body(schedule) for schedule in workflow.spec.schedules]


def actions(workflow: LabWorkflow, observed: ObservedDeployment) -> list[Action]:
    """What makes the deployment's schedules as the spec says, each change on its own."""
    seen = {schedule.slug: schedule for schedule in observed.schedules if schedule.slug}
    wanted = {schedule.name: schedule for schedule in workflow.spec.schedules}
    planned: list[Action] = [
        DeleteSchedule(observed.id, schedule.id) for schedule in observed.schedules if schedule.slug not in wanted
    ]
    for name, schedule in wanted.items():
        current = seen.get(name)
        if current is None:
            planned.append(CreateSchedule(observed.id, _body(schedule)))
        elif changes := _changes(schedule, current):
            planned.append(UpdateSchedule(observed.id, current.id, changes))
    return planned


def _body(schedule: Schedule) -> dict[str, Any]:
    return {
        "slug": schedule.name,
        "active": not schedule.suspend,
        "schedule": _timing(schedule),
        "parameters": schedule.parameters,
    }


def _timing(schedule: Schedule) -> dict[str, Any]:
    if schedule.cron is not None:
        return {"cron": schedule.cron, "timezone": schedule.timezone, "day_or": True}
    if schedule.rrule is not None:
        return {"rrule": schedule.rrule, "timezone": schedule.timezone}
    timing: dict[str, Any] = {
        "interval": float(schedule.interval_seconds or 0),
        "timezone": schedule.timezone,
    }
    if schedule.anchor is not None:
        timing["anchor_date"] = schedule.anchor.isoformat()
    return timing


def _changes(schedule: Schedule, current: ObservedSchedule) -> dict[str, Any]:
    body = _body(schedule)
    changes: dict[str, Any] = {}
    if current.active != body["active"]:
        changes["active"] = body["active"]
    if not _same_timing(body["schedule"], current.schedule):
        changes["schedule"] = body["schedule"]
    if current.parameters != body["parameters"]:
        changes["parameters"] = body["parameters"]
    return changes


def _same_timing(wanted: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Compare what the spec says; an anchor or a start that it leaves open is Prefect's to choose, once."""
    for key, value in wanted.items():
        other = seen.get(key)
        if key == "anchor_date":
            if not isinstance(other, str) or datetime.fromisoformat(value) != datetime.fromisoformat(other):
                return False
        elif key == "rrule":
            if not isinstance(other, str) or not _same_rule(value, other):
                return False
        elif value != other:
            return False
    kinds = ("cron", "interval", "rrule")
    return [key for key in kinds if key in wanted] == [key for key in kinds if seen.get(key) is not None]


def _same_rule(wanted: str, seen: str) -> bool:
    """Prefect writes a start into a rule that has none: 2020-01-01, or for rules by the minute a recent moment."""
    if "DTSTART" not in wanted.upper():
        seen = _START_LINE.sub("", seen)
    return wanted == seen
