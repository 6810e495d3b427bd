"""The routes, and the version header that every one of the robot's requires."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ot2_simulator.web import commands, protocols, robot, runs, simulator
from ot2_simulator.web.context import Context
from ot2_simulator.web.errors import ApiError, answer, on_api_error, on_http_error, on_unexpected, refuse

API_VERSION = 4
MIN_API_VERSION = 2
"""Of the HTTP API, not of the software."""

ROUTES = [
    Route("/health", robot.get_health, methods=["GET"]),
    Route("/robot/home", robot.home, methods=["POST"]),
    Route("/robot/lights", robot.get_lights, methods=["GET"]),
    Route("/robot/lights", robot.set_lights, methods=["POST"]),
    Route("/robot/door/status", robot.get_door, methods=["GET"]),
    Route("/pipettes", robot.get_pipettes, methods=["GET"]),
    Route("/instruments", robot.get_instruments, methods=["GET"]),
    Route("/modules", robot.get_modules, methods=["GET"]),
    Route("/runs", runs.create_run, methods=["POST"]),
    Route("/runs", runs.get_runs, methods=["GET"]),
    Route("/runs/{run_id}", runs.get_run, methods=["GET"]),
    Route("/runs/{run_id}", runs.update_run, methods=["PATCH"]),
    Route("/runs/{run_id}", runs.delete_run, methods=["DELETE"]),
    Route("/runs/{run_id}/labware_definitions", runs.add_definition, methods=["POST"]),
    Route("/runs/{run_id}/actions", runs.create_action, methods=["POST"]),
    Route("/runs/{run_id}/actions", runs.get_actions, methods=["GET"]),
    Route("/runs/{run_id}/commands", commands.create_command, methods=["POST"]),
    Route("/runs/{run_id}/commands", commands.get_commands, methods=["GET"]),
    Route("/runs/{run_id}/commands/{command_id}", commands.get_command, methods=["GET"]),
    Route("/protocols", protocols.upload, methods=["POST"]),
    Route("/protocols", protocols.get_protocols, methods=["GET"]),
    Route("/protocols/{protocol_id}", protocols.get_protocol, methods=["GET"]),
    Route("/protocols/{protocol_id}", protocols.delete_protocol, methods=["DELETE"]),
    Route("/protocols/{protocol_id}/analyses", protocols.get_analyses, methods=["GET"]),
    Route("/protocols/{protocol_id}/analyses/{analysis_id}", protocols.get_analysis, methods=["GET"]),
    Route("/simulator/state", simulator.get_state, methods=["GET"]),
    Route("/simulator/state", simulator.clear_deck, methods=["DELETE"]),
    Route("/simulator/log", simulator.get_log, methods=["GET"]),
    Route("/simulator/liquids", simulator.fill, methods=["POST"]),
    Route("/simulator/door", simulator.set_door, methods=["PUT", "POST"]),
    Route("/simulator/faults", simulator.order_fault, methods=["POST"]),
    Route("/simulator/faults", simulator.get_faults, methods=["GET"]),
    Route("/simulator/faults", simulator.clear_faults, methods=["DELETE"]),
]


def check_version(value: str | None) -> int:
    """The API version to answer with: the highest that both know.

    Raises:
        ApiError: 422 without the header or with nonsense in it, 400 for versions that no robot speaks any more.
    """
    source = {"header": "opentrons-version"}
    if value is None:
        raise refuse(422, "InvalidRequest", "Field required", source=source)
    if value == "*":
        return API_VERSION
    try:
        wanted = int(value)
    except ValueError as error:
        raise refuse(422, "InvalidRequest", "Input should be a valid integer or '*'", source=source) from error
    if wanted < MIN_API_VERSION:
        detail = (
            f"The requested API version '{wanted}' is not supported."
            f" 'Opentrons-Version' must be at least '{MIN_API_VERSION}'."
            " Please upgrade your Opentrons App or other HTTP API client."
        )
        raise refuse(400, "OutdatedAPIVersion", detail)
    return min(wanted, API_VERSION)


class VersionHeader:
    """Requires ``Opentrons-Version`` everywhere but under ``/simulator``, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/simulator"):
            await self._app(scope, receive, send)
            return
        version = API_VERSION

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Opentrons-Version"] = str(version)
                headers["Opentrons-Min-Version"] = str(MIN_API_VERSION)
            await send(message)

        try:
            version = check_version(Headers(scope=scope).get("opentrons-version"))
        except ApiError as error:
            await answer(scope["path"], error)(scope, receive, send_with_version)
            return
        await self._app(scope, receive, send_with_version)


def build(context: Context) -> Starlette:
    """The application of one powered robot."""
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(VersionHeader)],
        exception_handlers={ApiError: on_api_error, HTTPException: on_http_error, Exception: on_unexpected},
    )
    app.state.context = context
    return app
