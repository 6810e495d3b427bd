"""``/protocols``: uploading, analysing, forgetting."""

from __future__ import annotations

import json
from typing import Any

from opentrons.protocol_reader import ProtocolFilesInvalidError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ot2_simulator.protocols import Protocol, WrongRobotError
from ot2_simulator.web.bodies import many, one
from ot2_simulator.web.context import context
from ot2_simulator.web.errors import invalid, refuse


def _find(request: Request) -> Protocol:
    protocol_id = request.path_params["protocol_id"]
    protocol = context(request).protocols.all.get(protocol_id)
    if protocol is None:
        raise refuse(404, "ProtocolNotFound", f"Protocol {protocol_id} was not found.")
    return protocol


def _parameters(value: Any) -> dict[str, Any]:
    """The form field ``runTimeParameterValues``: a JSON object in a string."""
    if value is None:
        return {}
    try:
        parsed = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid("Input should be a JSON object in a string", "/runTimeParameterValues")
    return parsed


async def upload(request: Request) -> Response:
    """POST /protocols, multipart: ``files`` (one protocol, and labware beside a Python one), ``key``,
    ``runTimeParameterValues``."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise invalid("Field required", "/files")
    async with request.form() as form:
        files = [item for item in form.getlist("files") if isinstance(item, UploadFile) and item.filename]
        if not files:
            raise invalid("Field required", "/files")
        key = form.get("key")
        if key is not None and not isinstance(key, str):
            raise invalid("Input should be a valid string", "/key")
        parameters = _parameters(form.get("runTimeParameterValues"))
        try:
            protocol, new = await context(request).protocols.upload(files, key, parameters)
        except ProtocolFilesInvalidError as error:
            raise refuse(422, "ProtocolFilesInvalid", str(error)) from error
        except WrongRobotError as error:
            raise refuse(422, "ProtocolRobotTypeMismatch", str(error)) from error
    return one(protocol.as_json(), 201 if new else 200)


async def get_protocols(request: Request) -> Response:
    """GET /protocols, the oldest first."""
    return many([protocol.as_json() for protocol in context(request).protocols.all.values()])


async def get_protocol(request: Request) -> Response:
    """GET /protocols/{protocol_id}, with links to the runs that came from it."""
    protocol = _find(request)
    runs = [{"id": run.id, "href": f"/runs/{run.id}"} for run in _runs(request, protocol)]
    return one(protocol.as_json(), links={"referencingRuns": runs})


def _runs(request: Request, protocol: Protocol) -> list[Any]:
    return [run for run in context(request).robot.runs.values() if run.protocol_id == protocol.id]


async def delete_protocol(request: Request) -> Response:
    """DELETE /protocols/{protocol_id}; one that a run came from stays."""
    protocol = _find(request)
    if _runs(request, protocol):
        detail = f"Protocol {protocol.id} is being used by a run and cannot be deleted."
        raise refuse(409, "ProtocolUsedByRun", detail)
    context(request).protocols.remove(protocol.id)
    return JSONResponse({})


async def get_analyses(request: Request) -> Response:
    """GET /protocols/{protocol_id}/analyses, the oldest first."""
    return many([dict(analysis) for analysis in _find(request).analyses])


async def get_analysis(request: Request) -> Response:
    """GET /protocols/{protocol_id}/analyses/{analysis_id}"""
    analysis_id = request.path_params["analysis_id"]
    for analysis in _find(request).analyses:
        if analysis["id"] == analysis_id:
            return one(dict(analysis))
    raise refuse(404, "AnalysisNotFound", f'Analysis "{analysis_id}" not found')
