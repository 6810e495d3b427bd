"""What the endpoints work on: the powered robot, and what outlives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from ot2_simulator.faults import Faults
from ot2_simulator.power import Power
from ot2_simulator.protocols import Protocols
from ot2_simulator.robot import Robot
from ot2_simulator.runs import Run
from ot2_simulator.settings import Settings
from ot2_simulator.web.errors import refuse
from ot2_simulator.witness import Log
from ot2_simulator.world import World


@dataclass(frozen=True)
class Context:
    """One powered robot and its surroundings."""

    settings: Settings
    robot: Robot
    world: World
    log: Log
    faults: Faults
    protocols: Protocols
    power: Power


def context(request: Request) -> Context:
    """The context of a request."""
    return cast(Context, request.app.state.context)


def find_run(request: Request) -> Run:
    """The run that the path names, or 404."""
    run_id = request.path_params["run_id"]
    run = context(request).robot.runs.get(run_id)
    if run is None:
        raise refuse(404, "RunNotFound", f"Run {run_id} was not found.")
    return run


def find_current_run(request: Request) -> Run:
    """The run that the path names: 404 if there is none, 409 if it is over and done."""
    run = find_run(request)
    if not run.current:
        raise refuse(409, "RunStopped", f"Run {run.id} is not the current run")
    return run
