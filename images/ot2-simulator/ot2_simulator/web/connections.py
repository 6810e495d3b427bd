"""Connections that can be cut: what a lost network or a dead robot looks like to a client.

HTTP frameworks offer no way to break off without an answer, so the server's protocol class is ours: it remembers which
transport belongs to which client, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_open: dict[tuple[str, int], asyncio.Transport] = {}


class Connection(H11Protocol):
    """One client's connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = _peer(transport)
        _open[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _open.pop(self._peer, None)


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    address: Any = transport.get_extra_info("peername")
    return str(address[0]), int(address[1])


class Dropped(Response):
    """No answer: the connection is reset instead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        client = scope["client"]
        transport = _open.get((client[0], client[1]))
        if transport is not None:
            transport.abort()


def drop() -> Response:
    """Answer a request by resetting its connection."""
    return Dropped()


def cut_all() -> None:
    """Reset every connection."""
    for transport in list(_open.values()):
        transport.abort()
