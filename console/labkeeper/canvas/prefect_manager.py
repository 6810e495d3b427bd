"""The Prefect manager on one computer: with the server of the lab that runs in this home, else one for the run alone.

Imported only when that manager was chosen, after `prefect_environment.prepare`: Prefect reads its settings when it is
imported. The work is the same engine's (`labkeeper_flows.canvas_run`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.preparing import Prepared
from labkeeper.canvas.runs import Cancelling
from labkeeper.embedded.children import ChildFailed
from labkeeper.embedded.lab import LabPaths, locked, running_info
from labkeeper.embedded.server import EmbeddedServer
from labkeeper_flows.canvas_run.events import Tell
from labkeeper_flows.canvas_run.outcome import RunOutcome
from labkeeper_flows.canvas_run.prefect_run import carry_out_in_prefect

Say = Callable[[str], None]

DRAIN_SECONDS = 10.0


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
            keeper = asyncio.create_task(_keep(server, say))
            try:
                yield server.api_url
            finally:
                keeper.cancel()
                await asyncio.wait([keeper])
        finally:
            await server.stop()


async def _keep(server: EmbeddedServer, say: Say) -> None:
    """Start the server again whenever it ends: what has ended meanwhile is told to it late, and not never."""
    while True:
        code = await server.wait()
        say(f"the Prefect server ended by itself with exit code {code}; starting it again, the run goes on")
        try:
            await server.start_again()
        except ChildFailed as error:
            say(f"the run goes on without Prefect: {error}")
            return


def _flow_run(
    prepared: Prepared, devices: SocketDevices, tell: Tell, cancelling: Cancelling, api_url: str
) -> RunOutcome:
    with temporary_settings(updates={PREFECT_API_URL: api_url}):
        try:
            return carry_out_in_prefect(
                prepared.plan, devices, prepared.settings, tell=tell, started=lambda run: cancelling.begin(run.cancel)
            )
        finally:
            # What Prefect still has to tell its server, as long as that is there.
            APILogWorker.drain_all(timeout=DRAIN_SECONDS)
            EventsWorker.drain_all(timeout=DRAIN_SECONDS)
