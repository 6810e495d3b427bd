"""The Prefect manager on one computer: with the server of the lab that runs in this home, else one for the run alone.

The only module of canvas runs that knows Prefect. The work is the same engine's (`labkeeper_flows.canvas_run`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.preparing import Prepared
from labkeeper.canvas.runs import Cancelling
from labkeeper.cli.prefect_environment import prepare as prepare_prefect
from labkeeper.embedded.lab import LabPaths, locked, running_info
from labkeeper.embedded.server import EmbeddedServer
from labkeeper_flows.canvas_run.events import Tell
from labkeeper_flows.canvas_run.outcome import RunOutcome

Say = Callable[[str], None]


def carry_out_in_server(
    prepared: Prepared,
    devices: SocketDevices,
    home: Path,
    *,
    tell: Tell,
    say: Say,
    cancelling: Cancelling,
    port: int | None = None,
) -> RunOutcome:
    """Carry a run out as a flow run with a task for each node. Blocking."""
    work = _carry_out(prepared, devices, home, tell, say, cancelling, port)
    # In a thread of its own: whoever calls may be in an event loop, as notebooks are.
    with ThreadPoolExecutor(1, thread_name_prefix="prefect-manager") as threads:
        return threads.submit(asyncio.run, work).result()


async def _carry_out(
    prepared: Prepared,
    devices: SocketDevices,
    home: Path,
    tell: Tell,
    say: Say,
    cancelling: Cancelling,
    port: int | None,
) -> RunOutcome:
    async with prefect_server(home, say, port=port) as api_url:
        return await asyncio.to_thread(_flow_run, prepared, devices, tell, cancelling, api_url)


@asynccontextmanager
async def prefect_server(home: Path, say: Say, *, port: int | None = None) -> AsyncIterator[str]:
    """API of the Prefect server of this home: of a lab that runs, else of one that is started and ended here."""
    info = running_info(home)
    if info is not None:
        say(f"joining the Prefect server of the lab that runs in {home} (process {info['pid']})")
        yield str(info["api_url"])
        return
    say("starting the Prefect server")
    with locked(LabPaths(home)):
        server = EmbeddedServer(home, port)
        try:
            await server.start()
            say(f"Prefect server at {server.url}")
            yield server.api_url
        finally:
            await server.stop()


def _flow_run(
    prepared: Prepared, devices: SocketDevices, tell: Tell, cancelling: Cancelling, api_url: str
) -> RunOutcome:
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    prepare_prefect(prepared.settings.directory.parent.parent)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from labkeeper_flows.canvas_run.prefect_run import carry_out_in_prefect

    with temporary_settings(updates={PREFECT_API_URL: api_url}):
        return carry_out_in_prefect(
            prepared.plan, devices, prepared.settings, tell=tell, started=lambda run: cancelling.begin(run.cancel)
        )
