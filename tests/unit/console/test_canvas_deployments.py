"""Canvases as deployments: schedules, fields and refusals, without a server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

from labkeeper.canvas.deployments import (
    POOL,
    QUEUE,
    TAGS,
    canvas_text,
    deployment_fields,
    parsed_schedule,
    schedules,
)
from labkeeper.embedded.canvas_worker import POOL as WORKERS_POOL
from labkeeper_api.errors import InvalidInput
from tests.unit import builders as b

CANVAS = json.loads((b.REPOSITORY / "examples" / "battery" / "canvas.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("interval:3600", {"type": "interval", "interval_seconds": 3600}),
        ("cron:0 9 * * *", {"type": "cron", "cron": "0 9 * * *"}),
    ],
)
def test_a_schedule_of_the_command_line(text: str, schedule: dict[str, Any]) -> None:
    assert parsed_schedule(text) == schedule


@pytest.mark.parametrize(
    "text", ["", "interval:", "interval:0", "interval:soon", "interval:-5", "cron:", "cron:61 * * * *", "daily"]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="schedule"):
        parsed_schedule(text)


def test_schedules_as_prefect_takes_them() -> None:
    (interval,) = schedules({"type": "interval", "interval_seconds": 60})
    assert isinstance(interval.schedule, IntervalSchedule)
    assert interval.schedule.interval == timedelta(seconds=60)
    (cron,) = schedules({"type": "cron", "cron": "0 9 * * 1-5", "timezone": "Asia/Tokyo"})
    assert isinstance(cron.schedule, CronSchedule)
    assert (cron.schedule.cron, cron.schedule.timezone) == ("0 9 * * 1-5", "Asia/Tokyo")
    assert schedules(None) == []


@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"type": "weekly"},
        {"type": "interval", "interval_seconds": 0},
        {"type": "interval", "seconds": 60},
        {"type": "cron", "cron": "0 9 * * *", "timezone": "Mars/Olympus"},
    ],
)
def test_a_wrong_schedule_is_refused(schedule: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        schedules(schedule)


def test_the_guides_defaults() -> None:
    (hourly,) = schedules({"type": "interval"})
    assert isinstance(hourly.schedule, IntervalSchedule)
    assert hourly.schedule.interval == timedelta(hours=1)
    (daily,) = schedules({"type": "cron"})
    assert isinstance(daily.schedule, CronSchedule)
    assert daily.schedule.cron == "0 9 * * *"


def test_a_deployment_carries_the_canvas_and_waits_in_the_guides_queue() -> None:
    text = canvas_text(CANVAS)
    fields = deployment_fields(text, "SDL1 Battery Research", {"dry_run": True}, dry_run=False, working_dir="/lab")
    assert fields["parameters"] == {"canvas": text, "name": "SDL1 Battery Research", "dry_run": True}
    assert (fields["work_pool_name"], fields["work_queue_name"]) == (POOL, QUEUE) == ("sdl1-pool", "sdl1-workflows")
    assert fields["tags"] == list(TAGS) == ["sdl1", "battery-research", "automation"]
    assert set(fields["parameters"]) <= set(fields["parameter_openapi_schema"]["properties"])
    assert WORKERS_POOL == POOL


def test_parameters_that_a_canvas_does_not_take_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"parameters\.volume"):
        deployment_fields("{}", "a", {"volume": 5}, dry_run=False, working_dir="/lab")


@pytest.mark.parametrize("workflow", [{"nodes": []}, {"nodes": [float("nan")]}, "[1, 2]", "", {"a": object()}])
def test_a_canvas_that_cannot_run_is_not_deployed(workflow: Any) -> None:
    with pytest.raises(InvalidInput):
        canvas_text(workflow)
