"""A reverse proxy between one of ours and Prefect: says what was asked, and fails at the request that a test names.

A program of its own, so that it can outlive a test without a thread of the test process. Knows HTTP/1.1 as far as httpx
and uvicorn speak it; a websocket is passed through. `prefect_link.py` starts it and talks to it under `/__proxy__/`.

Usage: python -m tests.support.prefect_proxy PORT UPSTREAM_HOST UPSTREAM_PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from dataclasses import dataclass, field
from typing import Any

CONTROL = "/__proxy__/"
GONE = (asyncio.IncompleteReadError, ConnectionError)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Fault:
    """What happens to the next `times` requests that match.

    `when`: before the request is passed on, or after Prefect has carried it out. `action`: `hold` keeps the client
    waiting until the fault is lifted, `cut` closes its connection without an answer.
    """

    method: str
    pattern: str
    when: str
    action: str
    times: int
    met: int = 0

    def meets(self, method: str, path: str, when: str) -> bool:
        """Whether it strikes this request; counted if so."""
        if when != self.when or method != self.method or self.times <= self.met or not re.search(self.pattern, path):
            return False
        self.met += 1
        return True


@dataclass
class Message:
    """One request or answer: its head as it came, and its body."""

    head: bytes
    body: bytes = b""

    @property
    def first(self) -> list[str]:
        """The words of the first line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")

    def header(self, name: str) -> str:
        """A header's value, or an empty text."""
        found = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r]*)\r\n", self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else ""


@dataclass
class Proxy:
    """The state of the proxy."""

    host: str
    port: int
    log: list[tuple[str, str, int]] = field(default_factory=list)
    fault: Fault | None = None
    lifted: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            with contextlib.suppress(*GONE):
                await self._requests(reader, writer)
        finally:
            self.connections.discard(task)
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: Streams | None = None
        try:
            while True:
                request = await _read(reader)
                if request.first[1].startswith(CONTROL):
                    writer.write(_answer(self._control(request)))
                    continue
                if upstream is None:
                    # A refused connection closes the client's: as if Prefect were reached directly.
                    upstream = await asyncio.open_connection(self.host, self.port)
                if request.header("upgrade"):
                    upstream[1].write(request.head)
                    await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))
                    return
                if not await self._exchange(request, (reader, writer), upstream):
                    return
        finally:
            if upstream is not None:
                upstream[1].close()

    async def _exchange(self, request: Message, client: Streams, upstream: Streams) -> bool:
        method, path = request.first[:2]
        if not await self._passes(method, path, "before") or client[0].at_eof():
            # Also when the client died while its request was held: Prefect must not hear of it any more.
            self.log.append((method, path, 0))
            return False
        upstream[1].write(request.head + request.body)
        answer = await _read(upstream[0], bodyless=method == "HEAD")
        self.log.append((method, path, int(answer.first[1])))
        if not await self._passes(method, path, "after"):
            return False
        client[1].write(answer.head + answer.body)
        await client[1].drain()
        return True

    async def _passes(self, method: str, path: str, when: str) -> bool:
        fault = self.fault
        if fault is None or not fault.meets(method, path, when):
            return True
        if fault.action == "cut":
            return False
        await self.lifted.wait()
        return True

    def _control(self, request: Message) -> Any:
        method, path = request.first[:2]
        what = path.removeprefix(CONTROL)
        if what == "log":
            if method == "DELETE":
                self.log.clear()
            return self.log
        if what == "fault":
            if method == "POST":
                self.fault = Fault(**json.loads(request.body))
                self.lifted.clear()
            elif method == "DELETE":
                self._lift()
            return {"met": self.fault.met if self.fault else 0}
        raise ValueError(f"no such control: {path}")

    def _lift(self) -> None:
        self.fault = None
        self.lifted.set()
        self.lifted = asyncio.Event()


async def _read(reader: asyncio.StreamReader, *, bodyless: bool = False) -> Message:
    message = Message(await reader.readuntil(b"\r\n\r\n"))
    if bodyless or message.first[1] in ("204", "304"):
        return message
    if message.header("transfer-encoding").lower() == "chunked":
        message.body = await _chunks(reader)
    elif length := message.header("content-length"):
        message.body = await reader.readexactly(int(length))
    return message


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if size == 0:
            return body


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*GONE):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _answer(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


async def main(port: int, host: str, upstream: int) -> None:
    """Serve until killed."""
    proxy = Proxy(host, upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port, limit=16 * 1024 * 1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
