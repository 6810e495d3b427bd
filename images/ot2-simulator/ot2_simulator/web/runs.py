"""``/runs``: runs, their actions and their labware definitions."""

from __future__ import annotations

import asyncio

from opentrons.protocol_engine import ProtocolEngineError
from opentrons.protocol_engine.types import LabwareOffsetCreate, LegacyLabwareOffsetCreate
from opentrons_shared_data.labware.labware_definition import labware_definition_type_adapter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ot2_simulator.robot import RunConflictError
from ot2_simulator.runs import ACTIONS
from ot2_simulator.web.bodies import many, one, query_int, read_data
from ot2_simulator.web.connections import drop
from ot2_simulator.web.context import context, find_current_run, find_run
from ot2_simulator.web.errors import ROBOT_IN_USE, ApiError, invalid, invalid_model, refuse, refuse_exception

NOT_IDLE = (
    "Run is currently active. Allow the run to finish or stop it with a `stop` action before attempting to modify it."
)


def _busy(error_id: str, detail: str) -> ApiError:
    return refuse(409, error_id, detail, errorCode=ROBOT_IN_USE)


async def create_run(request: Request) -> Response:
    """POST /runs, with ``{"data": {"protocolId"?, "labwareOffsets"?, "runTimeParameterValues"?}}`` or nothing."""
    ctx = context(request)
    data = await read_data(request, required=False)
    protocol_id = data.get("protocolId")
    protocol = None
    if protocol_id is not None:
        protocol = ctx.protocols.all.get(str(protocol_id))
        if protocol is None:
            raise refuse(404, "ProtocolNotFound", f"Protocol {protocol_id} was not found.")
    offsets_adapter: TypeAdapter[list[LabwareOffsetCreate | LegacyLabwareOffsetCreate]] = TypeAdapter(
        list[LabwareOffsetCreate | LegacyLabwareOffsetCreate]
    )
    try:
        offsets = offsets_adapter.validate_python(data.get("labwareOffsets", []))
    except ValidationError as error:
        raise invalid_model(error, "/data/labwareOffsets") from error
    parameters = data.get("runTimeParameterValues") or {}
    if not isinstance(parameters, dict):
        raise invalid("Input should be a valid dictionary", "/data/runTimeParameterValues")
    try:
        run = await ctx.robot.create_run(
            protocol.source if protocol else None, protocol.id if protocol else None, parameters
        )
    except RunConflictError as error:
        raise _busy("RunAlreadyActive", str(error)) from error
    for offset in offsets:
        run.orchestrator.add_labware_offset(offset)
    return one(run.as_json(), 201)


async def get_runs(request: Request) -> Response:
    """GET /runs, the oldest first; ``pageLength`` takes the newest of them."""
    robot = context(request).robot
    length = query_int(request, "pageLength", 0)
    runs = [run.as_json() for run in robot.runs.values()]
    runs = runs if length is None else runs[max(0, len(runs) - length) :]
    return many(runs, links={"current": {"href": f"/runs/{robot.current.id}"}} if robot.current else {})


async def get_run(request: Request) -> Response:
    """GET /runs/{run_id}"""
    return one(find_run(request).as_json())


async def update_run(request: Request) -> Response:
    """PATCH /runs/{run_id} with ``{"data": {"current": false}}`` makes the run a past one."""
    run = find_run(request)
    data = await read_data(request)
    if data.get("current") not in (None, True, False):
        raise invalid("Input should be a valid boolean", "/data/current")
    if not run.current:
        raise refuse(409, "RunStopped", f"Cannot update {run.id} because it is not the current run.")
    if data.get("current") is False:
        try:
            await context(request).robot.archive()
        except RunConflictError as error:
            raise _busy("RunNotIdle", str(error)) from error
    return one(run.as_json())


async def delete_run(request: Request) -> Response:
    """DELETE /runs/{run_id}"""
    robot, run = context(request).robot, find_run(request)
    if run.current:
        try:
            await robot.archive()
        except RunConflictError as error:
            raise _busy("RunNotIdle", NOT_IDLE) from error
    del robot.runs[run.id]
    return JSONResponse({})


async def add_definition(request: Request) -> Response:
    """POST /runs/{run_id}/labware_definitions with ``{"data": definition}``; the definition's URI comes back."""
    run = find_current_run(request)
    data = await read_data(request)
    try:
        definition = labware_definition_type_adapter.validate_python(data)
    except ValidationError as error:
        raise invalid_model(error) from error
    return one({"definitionUri": run.orchestrator.add_labware_definition(definition)}, 201)


async def create_action(request: Request) -> Response:
    """POST /runs/{run_id}/actions with ``{"data": {"actionType": "play"}}``, ``pause`` or ``stop``."""
    ctx, run = context(request), find_current_run(request)
    robot = ctx.robot
    action_type = (await read_data(request)).get("actionType")
    if action_type not in ACTIONS:
        raise invalid("Input should be 'play', 'pause' or 'stop'", "/data/actionType")
    fault = ctx.faults.strike(action_type, ("before", "after", "answer"), named=True)
    if fault is not None and fault.when == "before":
        return drop()
    try:
        if action_type == "play":
            robot.play(run)
        elif action_type == "pause":
            run.orchestrator.pause()
        else:
            robot.stop(run)
    except ProtocolEngineError as error:
        raise refuse_exception(409, "RunActionNotAllowed", error) from error
    added = run.add_action(action_type)
    if fault is not None and fault.when == "answer":
        await asyncio.Event().wait()
    return one(added, 201) if fault is None else drop()


async def get_actions(request: Request) -> Response:
    """GET /runs/{run_id}/actions"""
    return many(list(find_run(request).actions))
