"""The real Prefect server as a child process, with its own home and SQLite database in one folder.

It is started as the embedded lab starts it: `prefect server start` by its launcher, all background services included.
Not the ephemeral server of Prefect's own test harness, which runs no services. Not for PostgreSQL unless `settings`
says so.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from labkeeper.embedded.server import LAUNCHER
from tests.support.paths import cache_root
from tests.support.ports import free_ports
from tests.support.processes import ManagedProcess, ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORT_ATTEMPTS = 5
_PORT_TAKEN = "already in use"
_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"

LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"
"""Concurrency leases survive a restart, as they must in a real lab; the default keeps them in memory."""


class PrefectServer:
    """One server. URL and database stay the same over `stop` and `start`, so it can be away for a while.

    `settings` are further environment variables. `new_database` makes it run all migrations itself (10 s)
    instead of beginning with a copy of a migrated, empty database from the cache.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ui: bool = False,
        settings: Mapping[str, str] | None = None,
        new_database: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.home = self.directory / "home"
        self.log = self.directory / "server.log"
        self.start_seconds = 0.0
        self._environment = _environment(self.directory, ui=ui, settings=settings or {})
        self._copies = not new_database and _DATABASE not in (settings or {})
        self._port: int | None = None
        self._process: ManagedProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the server; the UI is there if it was asked for."""
        if self._port is None:
            raise RuntimeError("the Prefect server was not started, so it has no URL yet")
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """What clients know as `PREFECT_API_URL`."""
        return f"{self.url}/api"

    @property
    def process(self) -> ManagedProcess:
        """The process of the last start."""
        if self._process is None:
            raise RuntimeError("the Prefect server was not started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the process lives, frozen or not."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The id of the process of the last start."""
        return self.process.pid

    def client_environment(self, home: Path) -> dict[str, str]:
        """The environment of a program that is to use this server, with a Prefect home of its own."""
        home.mkdir(parents=True, exist_ok=True)
        return {
            **_without_prefect(),
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api_url,
            "DO_NOT_TRACK": "1",
        }

    def start(self, timeout: float = 90.0) -> None:
        """Start it, again at the same URL if it ran before, and wait until it answers."""
        if self.running:
            raise ProcessFailedError(f"the Prefect server runs already, as process {self.pid}")
        began = time.monotonic()
        if self._port is not None:
            self._start_on(self._port, timeout)
        else:
            self._first_start(timeout)
        self.start_seconds = time.monotonic() - began

    def _first_start(self, timeout: float) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        template, database = _template(), self.home / "prefect.db"
        if self._copies and template.exists() and not database.exists():
            shutil.copyfile(template, database)
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            (port,) = free_ports(1)
            try:
                self._start_on(port, timeout)
                break
            except ProcessFailedError as error:
                if _PORT_TAKEN not in str(error) or attempt == _PORT_ATTEMPTS:
                    raise
        self._port = port
        if self._copies and not template.exists():
            _keep(database, template)

    def _start_on(self, port: int, timeout: float) -> None:
        argv = [sys.executable, "-m", LAUNCHER, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        process = ManagedProcess("prefect server", argv, log=self.log, env=self._environment, cwd=self.directory)
        self._process = process
        with contextlib.ExitStack() as undo, httpx.Client(timeout=5.0, trust_env=False) as client:
            undo.callback(process.stop)
            process.start()
            process.wait_ready(lambda: _lacks(client, f"http://127.0.0.1:{port}/api/health"), timeout)
            undo.pop_all()

    def stop(self, grace: float = 20.0) -> None:
        """End it as `prefect server stop` does. Nothing happens if it does not run."""
        if self._process is not None:
            self._process.stop(grace)

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()

    def restart(self) -> None:
        """Stop it and start it."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Suspend it: connections stay open, nothing answers. `thaw` ends that; so does `stop`."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self.process.thaw()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of its log since its last start."""
        return self.process.log_tail(lines)


def _environment(directory: Path, *, ui: bool, settings: Mapping[str, str]) -> dict[str, str]:
    home = directory / "home"
    environment = {
        **_without_prefect(),
        "PREFECT_HOME": str(home),
        _DATABASE: f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": str(ui).lower(),
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(directory / "ui"),
        "DO_NOT_TRACK": "1",
    }
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Without compiled modules a start takes twice as long. Keep them where they are in nobody's way.
        environment["PYTHONPYCACHEPREFIX"] = str(cache_root() / "pycache")
    return {**environment, **settings}


def _without_prefect() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def _lacks(client: httpx.Client, url: str) -> str:
    try:
        response = client.get(url)
    except httpx.TransportError as error:
        return f"{url} does not answer: {type(error).__name__}: {error}"
    return "" if response.status_code == httpx.codes.OK else f"{url} answers {response.status_code}"


def _template() -> Path:
    version = importlib.metadata.version("prefect")
    return cache_root() / "prefect" / version / "empty.db"


def _keep(database: Path, template: Path) -> None:
    """Keep a copy of the database of a server that has only just started; it may go on using it."""
    template.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=template.parent)
    os.close(handle)
    temporary = Path(name)
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(temporary)) as copy,
    ):
        source.backup(copy)
    temporary.replace(template)
