"""The connection to the potentiostat: requests out, answers by id, gated by the emergency stop.

The instrument lets one host in at a time. A lost connection is `LinkLost`. Only what is harmless is asked again. Not
for what requests mean: that is `potentiostat`.
"""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path
from typing import Any, Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.mailbox import Mailbox
from labkeeper_devices.simulators.common.paths import short_address
from labkeeper_devices.wire.frames import FrameError, FrameReader, encode

ATTEMPTS: Final = 2
ONCE: Final = frozenset({"start"})
"""What closes a cell: never sent twice, and not at all while the stop is latched."""
CHUNK: Final = 262_144
SEND_TIMEOUT: Final = 5.0


class LinkLost(DeviceUnreachable):
    """The connection is gone, closed or cannot be made."""


class NoAnswer(DeviceUnreachable):
    """The connection is there, and the instrument does not answer."""


class Refused(DeviceError):
    """The instrument heard a request and does not do it. `code` is its word for why."""

    def __init__(self, message: str, code: str) -> None:
        self.code = code
        super().__init__(message)


class InstrumentLink:
    """One instrument at one address, the path of a Unix socket. Several threads may ask at once."""

    def __init__(self, address: str, latch: StopLatch, timeout: float) -> None:
        """`timeout`: real seconds that an answer may take."""
        self._address = Path(address)
        self._latch = latch
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader = FrameReader()
        # Held only around one `send`, never while waiting for an answer: an emergency stop may always take it.
        self._wire = threading.Lock()
        self._next = 0
        self._mailbox: Mailbox[dict[str, Any]] = Mailbox(self._receive)

    @property
    def where(self) -> str:
        """The instrument in words."""
        return f"the potentiostat at {self._address}"

    @property
    def is_open(self) -> bool:
        """Whether the connection is open; False as well after it was lost."""
        return self._socket is not None

    def open(self) -> None:
        """Connect if it is not connected. Asks nothing. Raises `LinkLost` with what to check."""
        with self._wire:
            if self._socket is not None:
                return
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                made.settimeout(SEND_TIMEOUT)
                with short_address(self._address.parent, self._address.name) as short:
                    made.connect(short)
                self._reader = FrameReader()
                _enter(made, self._reader)
            except (OSError, FrameError) as error:
                made.close()
                raise LinkLost(f"{self.where} cannot be reached: {_reason(error)}; is it on?") from error
            self._socket = made

    def close(self) -> None:
        """End the connection. Sends nothing."""
        with self._wire:
            made, self._socket = self._socket, None
        if made is not None:
            made.close()

    def ask(self, do: str, **parameters: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; again, once, if that is harmless.

        Raises `Refused`, `NoAnswer`, `LinkLost`, and `Interrupted` when the emergency stop does not let it through.
        """
        for _ in range(1 if do in ONCE else ATTEMPTS):
            number = self._send(do, parameters)
            try:
                answer = self._mailbox.take(number, self._timeout / ATTEMPTS)
            except (OSError, FrameError) as error:
                raise self._lost(do, error) from error
            if answer is not None:
                return self._judged(do, answer)
            self._mailbox.forget(number)
        raise NoAnswer(f"{self.where} does not answer {do} within {self._timeout:g} s: check its power and its cable")

    def _send(self, do: str, parameters: dict[str, Any]) -> int:
        with self._wire:
            # Looked at under the same lock that sends: the stop cannot slip in between.
            if self._latch.engaged and do in ONCE:
                raise Interrupted("emergency-stop", "the emergency stop is latched: no cell may be closed")
            self._next += 1
            number = self._next
            self._mailbox.expect(number)
            try:
                self._connected().sendall(encode({"id": number, "do": do, **parameters}))
            except OSError as error:
                self._mailbox.forget(number)
                raise self._lost(do, error) from error
        return number

    def _judged(self, do: str, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("ok") is True:
            return answer
        code, text = str(answer.get("code")), str(answer.get("error"))
        raise Refused(f"{self.where} refuses {do}: {text}", code)

    def _receive(self, seconds: float) -> list[tuple[int, dict[str, Any]]]:
        connection = self._connected()
        if not select.select([connection], [], [], seconds)[0]:
            return []
        data = connection.recv(CHUNK)
        if not data:
            raise ConnectionResetError("it ended the connection")
        found = self._reader.feed(data)
        return [(message["id"], message) for message in found if isinstance(message.get("id"), int)]

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError("it is not connected")
        return self._socket

    def _lost(self, do: str, error: Exception) -> LinkLost:
        made, self._socket = self._socket, None
        if made is not None:
            made.close()
        return LinkLost(f"{self.where}: the connection failed during {do}: {error}")


def _enter(made: socket.socket, reader: FrameReader) -> None:
    """Wait for the instrument's first frame. Raises `OSError` when it does not let this host in."""
    found: list[dict[str, Any]] = []
    while not found:
        data = made.recv(CHUNK)
        if not data:
            raise ConnectionResetError("it ended the connection")
        found = reader.feed(data)
    if found[0].get("ok") is not True:
        raise ConnectionRefusedError(str(found[0].get("error")))


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
