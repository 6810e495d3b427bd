"""The embedded Prefect server: the real one as a child process, with SQLite and its UI below the lab's home."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import httpx

from labkeeper.embedded.children import Child, ChildFailed

LAUNCHER = "labkeeper.embedded.prefect_server"
"""Module that starts Prefect; takes its arguments."""
USUAL_PORT = 4200
START_SECONDS = 120.0


class EmbeddedServer:
    """One Prefect server."""

    def __init__(self, home: Path, port: int | None = None, *, host: str = "127.0.0.1") -> None:
        """`port` None takes Prefect's usual one if it is free, else any."""
        self.port = port if port is not None else _free_port()
        self.home = home
        # Listening everywhere, it is reached here as any of this computer's addresses.
        self._reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound to
        self._child = Child(
            "the Prefect server",
            [sys.executable, "-m", LAUNCHER, "server", "start", "--host", host, "--port", str(self.port)],
            log=home / "logs" / "prefect-server.log",
            env=server_environment(home),
        )

    @property
    def url(self) -> str:
        """Where people open the UI."""
        return f"http://{self._reached}:{self.port}"

    @property
    def api_url(self) -> str:
        """What clients know as PREFECT_API_URL."""
        return f"{self.url}/api"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises `ChildFailed`."""
        await self._child.start()
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            try:
                async with asyncio.timeout(START_SECONDS):
                    while not await _answers(client, f"{self.api_url}/health"):
                        self._child.check()
                        await asyncio.sleep(0.1)
            except TimeoutError:
                raise ChildFailed(
                    f"the Prefect server does not answer after {START_SECONDS:.0f} s; the end of {self._child.log}:\n"
                    f"{self._child.tail()}"
                ) from None

    async def stop(self) -> None:
        """End it."""
        await self._child.stop()

    def check(self) -> None:
        """Raise `ChildFailed` if it has ended by itself."""
        self._child.check()

    async def wait(self) -> int:
        """Wait until it ends."""
        return await self._child.wait()


def server_environment(home: Path) -> dict[str, str]:
    """The server's settings. Concurrency leases are kept on disk: in memory, a restart would forget who runs."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect' / 'prefect.db'}",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "prefect" / "ui"),
        "DO_NOT_TRACK": "1",
    }


def _free_port() -> int:
    for wanted in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ChildFailed("no free port on 127.0.0.1 for the Prefect server")


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False
