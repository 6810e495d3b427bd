"""`labkeeper canvas server`: a Prefect server and the worker that carries deployed canvases out, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from labkeeper.embedded.canvas_worker import CanvasWorker
from labkeeper.embedded.lab import LabPaths, locked
from labkeeper.embedded.server import EmbeddedServer

LOOK_SECONDS = 0.2

Say = Callable[[str], None]


async def serve(home: Path, host: str, port: int, say: Say) -> None:
    """Serve until SIGTERM or SIGINT. Raises `LabRunning` or `ChildFailed`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    paths = LabPaths(home)
    with locked(paths):
        server = EmbeddedServer(home, port, host=host)
        worker = CanvasWorker(home, server.api_url)
        say("starting the Prefect server")
        try:
            await server.start()
            info = {"pid": os.getpid(), "api_url": server.api_url, "ui_url": server.url}
            paths.info.write_text(json.dumps(info), encoding="utf-8")
            say(f"Prefect server and UI at {server.url}; Ctrl-C ends it")
            while not stop.is_set():
                server.check()
                for line in await worker.keep():
                    say(line)
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await stop.wait()
                except TimeoutError:
                    continue
            say("ending the server")
        finally:
            paths.info.unlink(missing_ok=True)
            await worker.stop()
            await server.stop()
