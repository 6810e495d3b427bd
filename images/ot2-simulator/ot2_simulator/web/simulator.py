"""``/simulator``: what no robot has. Looking at the truth, playing the person at the deck, and ordering faults.

No ``Opentrons-Version`` header is needed here.
"""

from __future__ import annotations

from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from ot2_simulator.faults import FaultError, parse
from ot2_simulator.web.bodies import flag, many, one, query_int, read_data
from ot2_simulator.web.context import Context, context
from ot2_simulator.web.errors import invalid


def _state(ctx: Context) -> dict[str, Any]:
    robot = ctx.robot
    current = robot.current
    return {
        "simulated": True,
        "bootId": robot.boot_id,
        "bootedAt": robot.started_at.isoformat(),
        "timeFactor": ctx.settings.time_factor,
        "door": robot.hardware.door_state.name.lower(),
        "currentRun": current.id if current else None,
        "gantry": {
            "axes": robot.hardware.motors.where(),
            "moving": robot.pace.moving,
            "paused": robot.pace.paused,
            "motorSeconds": round(robot.pace.motor_seconds, 3),
            "position": current.witness.position if current else None,
        },
        **ctx.world.as_json(),
    }


async def get_state(request: Request) -> Response:
    """GET /simulator/state: where everything is, and what is in it."""
    return one(_state(context(request)))


async def clear_deck(request: Request) -> Response:
    """DELETE /simulator/state: a person clears the deck - clean labware, full racks, nothing in the pipettes."""
    ctx = context(request)
    ctx.world.clear()
    return one(_state(ctx))


async def get_log(request: Request) -> Response:
    """GET /simulator/log?since=N: every command that was begun, in order, with how it ended."""
    return many(context(request).log.since(query_int(request, "since", 0) or 0))


async def fill(request: Request) -> Response:
    """POST /simulator/liquids with ``{"data": {"slot": "2", "liquid": "water", "volumes": {"A1": 5000}}}``: a person
    fills wells.

    The wells then hold exactly these µL of this liquid. The labware must have been loaded by a run, so that it is known
    what stands there.
    """
    ctx = context(request)
    data = await read_data(request)
    slot, liquid, volumes = data.get("slot"), data.get("liquid", "unnamed"), data.get("volumes")
    place = ctx.world.places.get(str(slot))
    if place is None:
        known = ", ".join(sorted(ctx.world.places)) or "none yet"
        raise invalid(f"nothing is loaded in slot {slot!r}; loaded: {known}", "/data/slot")
    if not isinstance(liquid, str) or not liquid or liquid == "air":
        raise invalid("a liquid has a name, and it is not air", "/data/liquid")
    if not isinstance(volumes, dict) or not volumes:
        raise invalid('volumes is an object such as {"A1": 5000}', "/data/volumes")
    for well, volume in volumes.items():
        if well not in place.capacities:
            raise invalid(f"{place.uri} has no well {well}", f"/data/volumes/{well}")
        if isinstance(volume, bool) or not isinstance(volume, int | float):
            raise invalid("a volume is a number of µL", f"/data/volumes/{well}")
        try:
            place.check(well, volume)
        except ValueError as error:
            raise invalid(str(error), f"/data/volumes/{well}") from error
    for well, volume in volumes.items():
        ctx.world.fill(str(slot), well, float(volume), liquid)
    return one(place.as_json(), 201)


async def set_door(request: Request) -> Response:
    """PUT /simulator/door with ``{"data": {"open": true}}``."""
    open_ = flag(await read_data(request), "open", "/data/open")
    await context(request).robot.set_door(open_)
    return one({"status": "open" if open_ else "closed"})


async def order_fault(request: Request) -> Response:
    """POST /simulator/faults with ``{"data": {"kind": "fail"}}``; ``faults.parse`` says what else."""
    ctx = context(request)
    try:
        fault = parse(await read_data(request))
    except FaultError as error:
        raise invalid(str(error), "/data") from error
    if fault.kind == "reboot" and fault.when == "now":
        response = one({"kind": "reboot", "seconds": fault.seconds, "bootId": ctx.robot.boot_id}, 201)
        response.background = BackgroundTask(_cut, ctx, fault.seconds)  # after the answer is out
        return response
    ctx.faults.order(fault)
    return one(ctx.faults.summary(), 201)


async def _cut(ctx: Context, seconds: float) -> None:
    ctx.power.cut(seconds)


async def get_faults(request: Request) -> Response:
    """GET /simulator/faults: those still to come, and those that struck."""
    return one(context(request).faults.summary())


async def clear_faults(request: Request) -> Response:
    """DELETE /simulator/faults: none is to come any more, and a motion that hangs goes on."""
    ctx = context(request)
    ctx.faults.clear()
    ctx.robot.pace.release()
    return one(ctx.faults.summary())
