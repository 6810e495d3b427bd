"""Reading requests and writing answers, in the robot's shapes."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ot2_simulator.web.errors import invalid, invalid_query


def _no_constants(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


async def read_json(request: Request) -> Any:
    """The body as JSON; NaN and infinities are not JSON."""
    raw = await request.body()
    if not raw:
        return None
    try:
        return json.loads(raw, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON decode error: {error}", "/") from error


async def read_data(request: Request, required: bool = True) -> dict[str, Any]:
    """The ``data`` object of the body; ``{}`` when nothing was sent and nothing is required."""
    body = await read_json(request)
    if body is None and not required:
        return {}
    if not isinstance(body, dict):
        raise invalid("Field required" if body is None else "Input should be a valid dictionary", "/")
    data = body.get("data")
    if not isinstance(data, dict):
        raise invalid("Field required" if data is None else "Input should be a valid dictionary", "/data")
    return data


def query_bool(request: Request, name: str) -> bool:
    """A query parameter that is true or false; false when missing."""
    value = request.query_params.get(name, "false").lower()
    if value in ("true", "1", "yes", "on", "t", "y"):
        return True
    if value in ("false", "0", "no", "off", "f", "n"):
        return False
    raise invalid_query("Input should be a valid boolean, unable to interpret input", name)


def query_int(request: Request, name: str, least: int) -> int | None:
    """A query parameter that is a whole number; None when missing."""
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError as error:
        raise invalid_query("Input should be a valid integer, unable to parse string as an integer", name) from error
    if number < least:
        raise invalid_query(f"Input should be greater than or equal to {least}", name)
    return number


def flag(data: dict[str, Any], name: str, pointer: str) -> bool:
    """A field that must be true or false."""
    value = data.get(name)
    if not isinstance(value, bool):
        raise invalid("Field required" if name not in data else "Input should be a valid boolean", pointer)
    return value


def one(data: Any, status: int = 200, links: Any = None) -> Response:
    """``{"data": ...}``."""
    return JSONResponse({"data": data} | ({"links": links} if links is not None else {}), status)


def many(data: list[Any], cursor: int = 0, total: int | None = None, links: Any = None) -> Response:
    """``{"data": [...], "meta": {"cursor", "totalLength"}}``."""
    meta = {"cursor": cursor, "totalLength": len(data) if total is None else total}
    return JSONResponse({"data": data, "meta": meta} | ({"links": links} if links is not None else {}))
