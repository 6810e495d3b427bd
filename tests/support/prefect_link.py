"""The way of an operator or agent to Prefect through `prefect_proxy.py`: counts writes, fails where a test says so."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

import httpx

from tests.support.ports import free_ports
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READS = re.compile(r"/(filter|count|paginate|history|get_scheduled_flow_runs)$")
"""POST requests of Prefect's API that change nothing."""


class Request(NamedTuple):
    """One request of the operator; `status` is 0 where it never reached Prefect."""

    method: str
    path: str
    status: int

    @property
    def writes(self) -> bool:
        """Whether it changes something in Prefect."""
        return self.method != "GET" and not READS.search(self.path)


class Link:
    """One proxy in front of one Prefect server."""

    def __init__(self, prefect_url: str, log: Path) -> None:
        address = urlsplit(prefect_url)
        (self._port,) = free_ports(1)
        argv = [sys.executable, "-m", "tests.support.prefect_proxy"]
        argv += [str(self._port), str(address.hostname), str(address.port)]
        self.process = ManagedProcess("proxy", argv, log=log)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}/__proxy__", trust_env=False, timeout=5.0)

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_ready(self._lacks, timeout=20.0, interval=0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.stop()

    @property
    def url(self) -> str:
        """Where the proxy answers as Prefect."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """What the operator gets as PREFECT_API_URL."""
        return f"{self.url}/api"

    @property
    def pids(self) -> list[int]:
        """The process, while it runs."""
        return [self.process.pid] if self.process.running else []

    def requests(self) -> list[Request]:
        """All requests since the last `forget`."""
        return [Request(*entry) for entry in self._client.get("/log").json()]

    def writes(self) -> list[Request]:
        """The requests since the last `forget` that change something."""
        return [request for request in self.requests() if request.writes]

    def forget(self) -> None:
        """Count from now on."""
        self._client.delete("/log")

    @contextmanager
    def fault(self, method: str, pattern: str, *, when: str, action: str, times: int = 1) -> Iterator[Fault]:
        """Fail requests like this one, see `prefect_proxy.Fault`. Lifted at the end, where held ones go on."""
        body = {"method": method, "pattern": pattern, "when": when, "action": action, "times": times}
        self._client.post("/fault", json=body).raise_for_status()
        try:
            yield Fault(self._client, f"{method} {pattern}")
        finally:
            self._client.delete("/fault")

    def _lacks(self) -> str:
        try:
            self._client.get("/log").raise_for_status()
        except httpx.TransportError as error:
            return str(error)
        return ""


class Fault:
    """A fault that waits for its request."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def met(self) -> int:
        """How many requests it has struck."""
        return int(self._client.get("/fault").json()["met"])

    def wait_met(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until it has struck."""
        eventually(lambda: self.met >= count, timeout, 0.05, what=f"a request {self._name}")
