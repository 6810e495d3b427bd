"""Canvases as Prefect deployments under the battery guide's names (facts 1.4): pool, queue, tags, schedules, fields.

Forms only: who talks to the server is `labkeeper.prefect_deployment_manager`. Workflows of a lab that is kept by
manifests are LabWorkflows instead, which the operator keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from pydantic import ValidationError

from labkeeper.canvas.checking import canvas_problems
from labkeeper_api.document_flows import CANVAS_ENTRYPOINT, canvas_form_problems, deployment_schema
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labworkflow import CanvasSource, FlowSource
from labkeeper_api.manifests import validation_problems
from labkeeper_api.schedules import Schedule as PlannedSchedule

POOL = "sdl1-pool"
"""Work pool of deployed canvases; type `process`, on the host of the lab."""
QUEUE = "sdl1-workflows"
TAGS = ("sdl1", "battery-research", "automation")
FLOW_NAME = "sdl1-canvas"
INTERVAL_SECONDS = 3600
CRON = "0 9 * * *"

Schedule = Mapping[str, Any]


def canvas_text(workflow: Mapping[str, Any] | str) -> str:
    """The text of a canvas that was handed in as data or text. Raises `InvalidInput` with all that is wrong with it."""
    try:
        text = workflow if isinstance(workflow, str) else json.dumps(workflow, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise InvalidInput([Problem("workflow_json", f"is no JSON data: {error}")]) from error
    problems = canvas_problems(text, "workflow_json") or canvas_form_problems(text, "workflow_json")
    if problems:
        raise InvalidInput(problems)
    return text


def parsed_schedule(text: str) -> dict[str, Any]:
    """`interval:3600` or `cron:0 9 * * *` as the manager takes it. Raises `InvalidInput`."""
    kind, _, value = text.partition(":")
    if kind == "interval" and value.strip().isdigit():
        found: dict[str, Any] = {"type": "interval", "interval_seconds": int(value)}
    elif kind == "cron" and value.strip():
        found = {"type": "cron", "cron": value.strip()}
    else:
        hint = 'such as interval:3600 for every hour, or "cron:0 9 * * *" for every day at nine'
        raise InvalidInput([Problem("schedule", f"{text!r} is no schedule", hint)])
    schedules(found)
    return found


def schedules(schedule: Schedule | None) -> list[DeploymentScheduleCreate]:
    """The schedules of a deployment: at most one. Raises `InvalidInput`."""
    if schedule is None:
        return []
    kind = schedule.get("type")
    known = {"interval": {"type", "interval_seconds", "timezone"}, "cron": {"type", "cron", "timezone"}}
    if kind not in known or set(schedule) - known[kind]:
        hint = 'such as {"type": "interval", "interval_seconds": 3600} or {"type": "cron", "cron": "0 9 * * *"}'
        raise InvalidInput([Problem("schedule", f"{dict(schedule)!r} is no schedule", hint)])
    zone = schedule.get("timezone")
    given = (
        {"intervalSeconds": schedule.get("interval_seconds", INTERVAL_SECONDS)}
        if kind == "interval"
        else {"cron": schedule.get("cron", CRON)}
    )
    try:
        sound = PlannedSchedule.model_validate({"name": kind, **given, **({"timezone": zone} if zone else {})})
    except ValidationError as error:
        raise InvalidInput([replace(p, path=f"schedule.{p.path}") for p in validation_problems(error)]) from error
    if sound.interval_seconds is not None:
        every = timedelta(seconds=sound.interval_seconds)
        interval = IntervalSchedule(interval=every, anchor_date=datetime.now(UTC) + every, timezone=zone)
        return [DeploymentScheduleCreate(schedule=interval, active=True)]
    return [DeploymentScheduleCreate(schedule=CronSchedule(cron=str(sound.cron), timezone=zone), active=True)]


def deployment_fields(
    text: str, name: str, parameters: Mapping[str, Any], *, dry_run: bool, working_dir: str
) -> dict[str, Any]:
    """What the deployment of a canvas says, by the names of Prefect's client. Raises `InvalidInput`."""
    taken = {"dry_run": dry_run, **parameters}
    unknown = sorted(set(taken) - {"dry_run", "namespace"})
    if unknown:
        hint = "a canvas takes dry_run and namespace; what its nodes do stands in the canvas"
        raise InvalidInput([Problem(f"parameters.{key}", "is not known", hint) for key in unknown])
    return {
        "name": name,
        "entrypoint": CANVAS_ENTRYPOINT,
        "parameters": {"canvas": text, "name": name, **taken},
        "parameter_openapi_schema": deployment_schema(FlowSource(canvas=CanvasSource(file=name))),
        "enforce_parameter_schema": True,
        "tags": list(TAGS),
        "work_pool_name": POOL,
        "work_queue_name": QUEUE,
        "job_variables": {"working_dir": working_dir},
    }


def described(deployment: DeploymentResponse, flow_name: str) -> dict[str, Any]:
    """A deployment with the guide's fields."""
    planned = list(deployment.schedules)
    return {
        "id": str(deployment.id),
        "name": deployment.name,
        "flow_name": flow_name,
        "schedule": _schedule(planned),
        "is_schedule_active": bool(planned) and not deployment.paused and any(it.active for it in planned),
        "created": _moment(deployment.created),
        "updated": _moment(deployment.updated),
    }


def run_status(run: FlowRun) -> dict[str, Any]:
    """A flow run with the fields of `get_workflow_status`. Without the canvas, which may be long."""
    return {
        "id": str(run.id),
        "name": run.name,
        "state": run.state.name if run.state else None,
        "state_message": run.state.message if run.state else None,
        "start_time": _moment(run.start_time),
        "end_time": _moment(run.end_time),
        "total_run_time": run.total_run_time.total_seconds(),
        "parameters": {key: value for key, value in run.parameters.items() if key != "canvas"},
    }


def recent(run: FlowRun, flow_name: str) -> dict[str, Any]:
    """A flow run with the fields of `get_recent_flow_runs`."""
    status = run_status(run)
    kept = ("start_time", "end_time", "total_run_time")
    return {
        "id": status["id"],
        "name": run.name,
        "flow_name": flow_name,
        "state": status["state"],
        **{k: status[k] for k in kept},
    }


def _schedule(planned: Sequence[Any]) -> dict[str, Any] | None:
    if not planned:
        return None
    schedule = planned[0].schedule
    if isinstance(schedule, IntervalSchedule):
        return {"type": "interval", "interval_seconds": schedule.interval.total_seconds()}
    if isinstance(schedule, CronSchedule):
        return {"type": "cron", "cron": schedule.cron}
    return {"type": "rrule", "rrule": schedule.rrule}


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
