"""The potentiostat's plug: a Unix socket for one host at a time, frames in and frames out, and what goes wrong there.

Not for what requests mean: that is `instrument`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labkeeper_devices.simulators.common.host import Host, listening
from labkeeper_devices.simulators.common.paths import PORT
from labkeeper_devices.simulators.squidstat.instrument import Instrument, Refusal
from labkeeper_devices.wire.frames import FrameError, FrameReader, encode

SEND_TIMEOUT: Final = 5.0
CHUNK: Final = 65536


@dataclass
class PlugFaults:
    """What is wrong with the connection. Counts are frames still to be spoiled; -1 means until it is cleared."""

    silence: int = 0
    """Answers that never come; the instrument still does what it was told."""
    deaf: int = 0
    """Requests that the instrument does not hear."""
    garbage: int = 0
    """Answers that are no frames."""

    def spend(self, name: str) -> bool:
        """Whether the fault hits this frame."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


class Server:
    """Serves one host on a socket in the folder."""

    def __init__(self, folder: Path, host: Callable[[], Host], simulated: Callable[[], float]) -> None:
        self._folder = folder
        self._host = host
        self._simulated = simulated
        self._client: socket.socket | None = None
        self._reader = FrameReader()
        self.faults = PlugFaults()
        self.plugged = True

    def listen(self, instrument: Callable[[], Instrument], stack: contextlib.ExitStack) -> None:
        """Begin to serve."""
        self._instrument = instrument
        listener = listening(self._folder, PORT, stack)
        stack.callback(self.drop)
        self._host().watch(listener, lambda: self._accept(listener))

    def drop(self) -> None:
        """Cut the host off."""
        client, self._client = self._client, None
        if client is not None:
            self._host().unwatch(client)
            client.close()

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.settimeout(SEND_TIMEOUT)
        if self._client is not None and select.select([self._client], [], [], 0)[0]:
            # A host that has gone makes room for the next one, whichever of the two is noticed first.
            self._serve()
        why = "another host is connected" if self._client is not None else "" if self.plugged else "it is unplugged"
        if why:
            with client, contextlib.suppress(OSError):
                client.sendall(encode({"id": 0, "ok": False, "code": "closed", "error": why}))
            return
        self._client = client
        self._reader = FrameReader()
        self._host().watch(client, self._serve)
        with contextlib.suppress(OSError):
            # A host that is gone already is noticed by the next `_serve`.
            client.sendall(encode({"id": 0, "ok": True}))

    def _serve(self) -> None:
        client = self._client
        if client is None:
            return
        try:
            chunk = client.recv(CHUNK)
            for request in self._reader.feed(chunk) if chunk else []:
                self._answer(client, request)
        except (OSError, FrameError) as error:
            print(f"connection lost: {error}", file=sys.stderr, flush=True)
            chunk = b""
        if not chunk:
            self.drop()

    def _answer(self, client: socket.socket, request: dict[str, Any]) -> None:
        if self.faults.spend("deaf"):
            return
        try:
            answer = {"ok": True, **self._instrument().handle(request, self._simulated())}
        except Refusal as error:
            answer = {"ok": False, "code": error.code, "error": str(error)}
        if self.faults.spend("silence"):
            return
        if self.faults.spend("garbage"):
            client.sendall(b"\x00\x00\x00\x04oops")
            return
        client.sendall(encode({"id": request.get("id"), **answer}))
