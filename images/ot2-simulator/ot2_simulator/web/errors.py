"""Refusals in the robot's shape: ``{"errors": [{"id", "title", "detail", "errorCode", ...}]}``; ``{"message",
"errorCode"}`` on old routes."""

from __future__ import annotations

import logging
from typing import Any, cast

from opentrons_shared_data.errors import EnumeratedError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = logging.getLogger(__name__)

GENERAL_ERROR = "4000"
ROBOT_IN_USE = "3006"
LEGACY_PATHS = ("/health", "/robot/home", "/robot/lights", "/pipettes")
"""Routes from before ``errors``; the robot still answers there with a ``message``."""

TITLES = {
    "RunNotFound": "Run Not Found",
    "RunAlreadyActive": "Run Already Active",
    "RunNotIdle": "Run is not idle.",
    "RunStopped": "Run Stopped",
    "RunActionNotAllowed": "Run Action Not Allowed",
    "CommandNotFound": "Run Command Not Found",
    "CommandNotAllowed": "Setup Command Not Allowed",
    "ProtocolNotFound": "Protocol Not Found",
    "AnalysisNotFound": "Protocol Analysis Not Found",
    "ProtocolFilesInvalid": "Protocol File(s) Invalid",
    "ProtocolRobotTypeMismatch": "Protocol For Different Robot Type",
    "ProtocolUsedByRun": "Protocol Used by Run",
    "InvalidRequest": "Invalid Request",
    "BadRequest": "Bad Request",
    "OutdatedAPIVersion": "Requested HTTP API version no longer supported",
    "UnexpectedError": "Unexpected Internal Error",
}


class ApiError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(str(error["detail"]) for error in errors))
        self.status = status
        self.errors = errors


def refuse(status: int, error_id: str, detail: str, **more: Any) -> ApiError:
    """A refusal with one error; ``more`` adds fields, such as ``source``."""
    code = more.pop("errorCode", GENERAL_ERROR)
    return ApiError(status, [{"id": error_id, "title": TITLES[error_id], "detail": detail, "errorCode": code, **more}])


def refuse_exception(status: int, error_id: str, error: Exception) -> ApiError:
    """A refusal for what Opentrons raised: its words and its code."""
    if isinstance(error, EnumeratedError):
        return refuse(status, error_id, error.message or str(error), errorCode=error.code.value.code)
    return refuse(status, error_id, str(error))


def invalid(detail: str, pointer: str) -> ApiError:
    """422 for one wrong field of a body."""
    return refuse(422, "InvalidRequest", detail, source={"pointer": pointer})


def invalid_query(detail: str, parameter: str) -> ApiError:
    """422 for one wrong query parameter."""
    return refuse(422, "InvalidRequest", detail, source={"parameter": parameter})


def invalid_model(error: ValidationError, prefix: str = "/data") -> ApiError:
    """422 for all that pydantic finds wrong in a body, one error each, as the robot does."""
    return ApiError(
        422,
        [
            {
                "id": "InvalidRequest",
                "title": TITLES["InvalidRequest"],
                "detail": item["msg"],
                "errorCode": GENERAL_ERROR,
                "source": {"pointer": "/".join([prefix, *(str(part) for part in item["loc"])])},
            }
            for item in error.errors(include_url=False)
        ],
    )


def answer(path: str, error: ApiError) -> Response:
    """The answer that a refusal becomes."""
    if path in LEGACY_PATHS:
        message = "; ".join(item["detail"] for item in error.errors)
        return JSONResponse({"message": message, "errorCode": error.errors[0]["errorCode"]}, error.status)
    return JSONResponse({"errors": error.errors}, error.status)


async def on_api_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for our own refusals."""
    return answer(request.url.path, cast(ApiError, error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own: no such path, no such method."""
    failed = cast(HTTPException, error)
    return answer(request.url.path, refuse(failed.status_code, "BadRequest", failed.detail))


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Starlette's handler for everything else."""
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    return answer(request.url.path, refuse_exception(500, "UnexpectedError", error))
