"""``/runs/{run_id}/commands``: the heart of the robot's API.

A command that failed is answered with 201, as on the robot: ``data.status`` is ``failed`` and ``data.error`` says why.
This is also where faults of the connection strike: dropped before or after the command, or never answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

from opentrons.protocol_engine import Command, CommandIntent
from opentrons.protocol_engine.commands import CommandCreateAdapter
from opentrons.protocol_engine.errors import (
    CommandDoesNotExistError,
    CommandNotAllowedError,
    FixitCommandNotAllowedError,
    RunStoppedError,
    SetupCommandNotAllowedError,
)
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ot2_simulator.runs import Run
from ot2_simulator.web.bodies import many, one, query_bool, query_int, read_data
from ot2_simulator.web.connections import drop
from ot2_simulator.web.context import context, find_current_run, find_run
from ot2_simulator.web.errors import invalid_model, refuse_exception

DEFAULT_LIST_LENGTH = 20
SUMMARY = {
    "id", "key", "commandType", "createdAt", "startedAt", "completedAt", "status", "error", "params", "intent", "notes",
    "failedCommandId",
}  # fmt: skip
"""The robot leaves results out of lists: they hold whole labware definitions."""


async def create_command(request: Request) -> Response:
    """POST /runs/{run_id}/commands with ``{"data": {"commandType", "params", "intent"?, "key"?}}``.

    ``waitUntilComplete`` waits for the end, at most ``timeout`` ms; when that is over the command comes back as it then
    is.
    """
    run, faults = find_current_run(request), context(request).faults
    wait = query_bool(request, "waitUntilComplete")
    timeout = query_int(request, "timeout", 1)
    data = await read_data(request)
    try:
        create = CommandCreateAdapter.validate_python(data)
    except ValidationError as error:
        raise invalid_model(error) from error
    # The robot's default, for ever: what has no intent is a setup command.
    create = create.model_copy(update={"intent": create.intent or CommandIntent.SETUP})
    fault = faults.strike(create.commandType, ("before", "after", "answer"))
    if fault is not None and fault.when == "before":
        return drop()
    # A setup command is carried out before the connection drops; a queued one waits for play, and is only queued.
    whole = fault is not None and create.intent is CommandIntent.SETUP
    command = await _execute(run, create, wait or whole, timeout if fault is None else None)
    if fault is not None and fault.when == "answer":
        await asyncio.Event().wait()
    if fault is not None:
        return drop()
    return one(_full(command), 201)


async def _execute(run: Run, create: Any, wait: bool, patience: int | None) -> Command:
    """Give a command to the engine; it as it is when the waiting is over."""
    try:
        added = await run.orchestrator.add_command_and_wait_for_interval(
            create, wait_until_complete=wait, timeout=patience
        )
    except (SetupCommandNotAllowedError, FixitCommandNotAllowedError, CommandNotAllowedError) as error:
        raise refuse_exception(409, "CommandNotAllowed", error) from error
    except RunStoppedError as error:
        raise refuse_exception(409, "RunStopped", error) from error
    return run.command(added.id)


async def get_commands(request: Request) -> Response:
    """GET /runs/{run_id}/commands, summaries; ``cursor`` and ``pageLength`` choose a part."""
    run = find_run(request)
    cursor = query_int(request, "cursor", 0)
    length = query_int(request, "pageLength", 0)
    length = DEFAULT_LIST_LENGTH if length is None else length
    if run.current:
        page = run.orchestrator.get_command_slice(cursor=cursor, length=length, include_fixit_commands=True)
        commands, start, total = page.commands, page.cursor, page.total_length
    else:
        everything = run.commands()
        total = len(everything)
        start = max(0, total - length) if cursor is None else min(cursor, total)
        commands = everything[start : start + length]
    return many([_summary(command) for command in commands], start, total, _links(run))


def _links(run: Run) -> dict[str, Any]:
    """Where the command is that is running, or comes next."""
    pointer = run.orchestrator.get_current_command() if run.current else None
    if pointer is None:
        return {}
    meta = {
        "runId": run.id,
        "commandId": pointer.command_id,
        "index": pointer.index,
        "key": pointer.command_key,
        "createdAt": pointer.created_at.isoformat(),
    }
    return {"current": {"href": f"/runs/{run.id}/commands/{pointer.command_id}", "meta": meta}}


async def get_command(request: Request) -> Response:
    """GET /runs/{run_id}/commands/{command_id}, with its result."""
    run = find_run(request)
    try:
        command = run.command(request.path_params["command_id"])
    except CommandDoesNotExistError as error:
        raise refuse_exception(404, "CommandNotFound", error) from error
    return one(_full(command))


def _full(command: Command) -> dict[str, Any]:
    data: dict[str, Any] = command.model_dump(mode="json", exclude_none=True)
    return data


def _summary(command: Command) -> dict[str, Any]:
    data: dict[str, Any] = command.model_dump(mode="json", exclude_none=True, include=SUMMARY)
    return data
