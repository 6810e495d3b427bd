"""What the robot says of itself, and its lights, door and homing: ``/health``, ``/robot``, ``/pipettes``,
``/instruments``, ``/modules``."""

from __future__ import annotations

import shutil
from typing import Any

from opentrons import __version__ as opentrons_version
from opentrons import types
from opentrons.hardware_control.types import DoorState
from opentrons.protocols.api_support.definitions import MAX_SUPPORTED_VERSION, MIN_SUPPORTED_VERSION
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ot2_simulator import NAME
from ot2_simulator.web.bodies import flag, many, one, read_json
from ot2_simulator.web.context import context
from ot2_simulator.web.errors import invalid, refuse

AXES = {"left": ("z", "b"), "right": ("a", "c")}


async def get_health(request: Request) -> Response:
    """GET /health"""
    ctx = context(request)
    return JSONResponse(
        {
            "name": NAME,
            "simulated": True,
            "robot_model": "OT-2 Standard",
            "api_version": opentrons_version,
            "fw_version": ctx.robot.hardware.fw_version,
            "board_revision": ctx.robot.hardware.board_revision,
            "logs": [],
            "system_version": "simulated",
            "maximum_protocol_api_version": [MAX_SUPPORTED_VERSION.major, MAX_SUPPORTED_VERSION.minor],
            "minimum_protocol_api_version": [MIN_SUPPORTED_VERSION.major, MIN_SUPPORTED_VERSION.minor],
            "robot_serial": "simulator",
            "disk_details": {
                "systemAvailableMb": shutil.disk_usage(ctx.settings.state_dir).free // 2**20,
                "imagesDirectorySizeMb": 0,
            },
            "links": {"apiSpec": "/openapi.json", "systemTime": "/system/time"},
        }
    )


async def home(request: Request) -> Response:
    """POST /robot/home with ``{"target": "robot"}`` or ``{"target": "pipette", "mount": "left"}``."""
    body = await read_json(request)
    data: dict[str, Any] = body if isinstance(body, dict) else {}
    target, mount = data.get("target"), data.get("mount")
    if target not in ("robot", "pipette"):
        raise invalid("body.target: Input should be 'pipette' or 'robot'", "/target")
    if mount not in (None, "left", "right"):
        raise invalid("body.mount: Input should be 'left' or 'right'", "/mount")
    if target == "pipette" and mount is None:
        raise refuse(400, "BadRequest", "pipette is invalid")
    await context(request).robot.home(mount if target == "pipette" else None)
    return JSONResponse({"message": "Homing robot." if target == "robot" else f"Pipette on {mount} homed successfully"})


async def get_lights(request: Request) -> Response:
    """GET /robot/lights"""
    lights = await context(request).robot.hardware.get_lights()
    return JSONResponse({"on": lights["rails"]})


async def set_lights(request: Request) -> Response:
    """POST /robot/lights with ``{"on": true}``."""
    body = await read_json(request)
    on = flag(body if isinstance(body, dict) else {}, "on", "/on")
    await context(request).robot.hardware.set_lights(rails=on)
    return JSONResponse({"on": on})


async def get_door(request: Request) -> Response:
    """GET /robot/door/status"""
    ctx = context(request)
    status = "open" if ctx.robot.hardware.door_state is DoorState.OPEN else "closed"
    return one({"status": status, "doorRequiredClosedForProtocol": ctx.settings.door_switch})


async def get_pipettes(request: Request) -> Response:
    """GET /pipettes: what is mounted, by mount."""
    attached = context(request).robot.hardware.attached_instruments
    return JSONResponse({mount.name.lower(): _pipette(mount.name.lower(), data) for mount, data in attached.items()})


def _pipette(mount: str, data: Any) -> dict[str, Any]:
    model = data.get("model")
    z, plunger = AXES[mount]
    return {
        "model": model,
        "name": data.get("name"),
        "id": data.get("pipette_id"),
        "mount_axis": z,
        "plunger_axis": plunger,
        "tip_length": data.get("tip_length", 0) if model else None,
    }


async def get_instruments(request: Request) -> Response:
    """GET /instruments: what is mounted, as a list."""
    attached = context(request).robot.hardware.attached_instruments
    return many([_instrument(mount, data) for mount, data in attached.items() if data.get("model")])


def _instrument(mount: types.Mount, data: Any) -> dict[str, Any]:
    return {
        "mount": mount.name.lower(),
        "instrumentType": "pipette",
        "instrumentModel": data["model"],
        "instrumentName": data["name"],
        "serialNumber": data.get("pipette_id") or "",
        "subsystem": f"pipette_{mount.name.lower()}",
        "ok": True,
        "data": {"channels": data["channels"], "min_volume": data["min_volume"], "max_volume": data["max_volume"]},
    }


async def get_modules(request: Request) -> Response:
    """GET /modules: this robot has none."""
    del request
    return many([])
