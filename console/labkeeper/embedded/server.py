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
PORTS = 3
"""How many ports are tried."""


class EmbeddedServer:
    """One Prefect server."""

    def __init__(self, home: Path, port: int | None = None, *, host: str = "127.0.0.1") -> None:
        """`port` None takes Prefect's usual one if it is free, else any."""
        self.port = port if port is not None else _free_port(USUAL_PORT, 0)
        self.home = home
        self._chosen = port is not None
        self._host = host
        # Listening everywhere, it is reached here as any of this computer's addresses.
        self._reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound to
        self._child = self._made()

    def _made(self) -> Child:
        return Child(
            "the Prefect server",
            [sys.executable, "-m", LAUNCHER, "server", "start", "--host", self._host, "--port", str(self.port)],
            log=self.home / "logs" / "prefect-server.log",
            env=server_environment(self.home),
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
        for left in reversed(range(PORTS)):
            await self._child.start()
            try:
                await self._ready()
            except ChildFailed:
                # Between looking for a free port and using it, somebody else may have taken it.
                if self._chosen or not left or self._child.running or not _taken(self.port):
                    raise
            else:
                return
            self.port = _free_port(0)
            self._child = self._made()

    async def start_again(self) -> None:
        """Start it at the same address after it has ended. Raises `ChildFailed`."""
        await self._child.start()
        await self._ready()

    async def _ready(self) -> None:
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            try:
                async with asyncio.timeout(START_SECONDS):
                    while not await _answers(client, self.api_url, self.home):
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


def _free_port(*wanted: int) -> int:
    """The first of these ports that is free; 0 is any."""
    for port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ChildFailed("no free port on 127.0.0.1 for the Prefect server")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _answers(client: httpx.AsyncClient, api_url: str, home: Path) -> bool:
    """Whether the server of this home answers there: another lab's must never be taken for it."""
    try:
        if (await client.get(f"{api_url}/health")).status_code != 200:
            return False
        settings = (await client.get(f"{api_url}/admin/settings")).json()
    except (httpx.TransportError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("home") == str(home / "prefect")
