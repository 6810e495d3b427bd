"""Switches the robot on, serves it, and switches it off: a reboot when a fault asks for one, the end when a signal
does.

Imports Opentrons (seconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from ot2_simulator.faults import Faults
from ot2_simulator.power import Power
from ot2_simulator.protocols import Protocols
from ot2_simulator.robot import Robot
from ot2_simulator.settings import Settings
from ot2_simulator.web.app import build
from ot2_simulator.web.connections import Connection, cut_all
from ot2_simulator.web.context import Context
from ot2_simulator.witness import Log
from ot2_simulator.world import World

log = logging.getLogger(__name__)

FAREWELLS, FAREWELL_SECONDS = 10, 0.02
"""How often work is cancelled, and how long it then has to notice, before the robot is gone anyway."""


class Server(uvicorn.Server):
    """An HTTP server that leaves signals to us: ours must also reach a robot that is switched off."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        OSError: the address is not ours, or taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio switches Nagle's algorithm off only then, and every answer would be 40 ms late.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def write_address(folder: Path, host: str, port: int) -> None:
    """Write ``host:port`` to ``address``, whole or not at all: whoever waits for the file never reads half of it."""
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(f"{host}:{port}\n")
    Path(file.name).replace(folder / "address")


async def serve(settings: Settings, sock: socket.socket) -> None:
    """Serve robots, one after the other, until a signal says to end."""
    loop = asyncio.get_running_loop()
    power = Power()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, power.end)
    world, command_log, faults = World(settings.liquids), Log(), Faults()
    protocols = Protocols(settings.state_dir / "protocols")
    host, port = sock.getsockname()[:2]
    write_address(settings.state_dir, host, port)
    while True:
        robot = Robot(settings, world, command_log, faults, power.cut_from_thread)
        log.info("robot %s is on, at %s:%s, time factor %g", robot.boot_id, host, port, settings.time_factor)
        context = Context(settings, robot, world, command_log, faults, protocols, power)
        await _serve_one(context, sock)
        if power.is_ending():
            return
        log.info("robot %s lost power for %g s", robot.boot_id, power.seconds)
        await power.stay_off()
        if power.is_ending():
            return
        sock = listen(host, port)


async def _serve_one(context: Context, sock: socket.socket) -> None:
    """Serve one powered robot until its power is cut, and leave nothing of it behind."""
    config = uvicorn.Config(
        build(context), http=Connection, lifespan="off", log_config=None, access_log=False, ws="none"
    )
    server = Server(config)
    server.servers = []  # uvicorn fills it when it has started, which a signal may come before
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    cut = asyncio.create_task(context.power.wait_for_cut())
    await asyncio.wait((serving, cut), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        cut.cancel()
        serving.result()  # the server ended by itself: an error, and this raises it
        raise RuntimeError("the HTTP server ended by itself")
    # In one go, so that no client is told of a success that the world does not know.
    context.robot.mark_dead()
    for listening in server.servers:
        listening.close()
    sock.close()
    cut_all()
    server.should_exit = server.force_exit = True
    await _cancel_everything()
    context.robot.power_off()


async def _cancel_everything() -> None:
    """Cancel every task but this one: with the power, all that the robot's software was doing is gone.

    More than once, because Opentrons' queue worker takes a cancellation for the failure of one command and goes on to
    the next.
    """
    for _ in range(FAREWELLS):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=FAREWELL_SECONDS)
    log.warning("left behind: %s", [task.get_coro() for task in asyncio.all_tasks() - {asyncio.current_task()}])


def run(settings: Settings, sock: socket.socket) -> None:
    """Serve until a signal says to end. Does not return: it ends the process.

    Threads of protocols may hang in what a protocol does; Python would wait for them.
    """
    code = 0
    try:
        asyncio.run(serve(settings, sock))
    except BaseException:
        log.exception("the simulator broke")
        code = 1
    (settings.state_dir / "address").unlink(missing_ok=True)
    logging.shutdown()
    os._exit(code)
