"""The serial line to the board: opened for one process only, requests out, replies by id, gated by the emergency stop.

A lost line closes the port and is `LineLost`; it never becomes a simulation. Only what is harmless is asked again: that
also bridges the two seconds for which boards of this kind restart when their port is opened. Not for what pumps do:
that is `board`.
"""

from __future__ import annotations

import os
import secrets
import select
import termios
import threading
import time
from collections.abc import Callable
from typing import Final

from labkeeper_api.errors import DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.mailbox import Mailbox
from labkeeper_devices.drivers.common.pyserial import Serial, SerialException
from labkeeper_devices.drivers.common.trouble import cannot_open, reason
from labkeeper_devices.wire.board_lines import MAX_ID, LineReader, Reply, Request

ATTEMPTS: Final = 3
HARMLESS: Final = frozenset({"HELLO", "STATUS", "COOL", "STOP"})
"""What may be sent while the stop is latched, and what may be sent again when no reply came."""
SEND_TIMEOUT: Final = 0.5
"""Seconds; a request is at most 200 bytes."""


class LineLost(DeviceUnreachable):
    """The port is gone, closed or cannot be opened."""


class NoReply(DeviceUnreachable):
    """The port is there, and the board does not answer."""


class BoardLink:
    """One board on one port. Several threads may ask at once; nobody waits for another one's reply."""

    def __init__(self, port: str, baudrate: int, latch: StopLatch) -> None:
        self._port = port
        self._baudrate = baudrate
        self._latch = latch
        self._serial: Serial | None = None
        self._reader = LineReader()
        # Held only around one `write`, never while waiting for a reply: an emergency stop may always take it.
        self._wire = threading.Lock()
        self._next = secrets.randbelow(MAX_ID)
        self._mailbox: Mailbox[Reply] = Mailbox(self._receive)

    @property
    def where(self) -> str:
        """The board in words."""
        return f"the board on {self._port} at {self._baudrate} bit/s"

    @property
    def is_open(self) -> bool:
        """Whether the port is open; False as well after it was lost."""
        return self._serial is not None

    def open(self) -> None:
        """Open and lock the port if it is not open. Sends nothing. Raises `LineLost` with what to check."""
        with self._wire:
            if self._serial is not None:
                return
            try:
                serial = Serial(self._port, self._baudrate, timeout=0, exclusive=True)
            except (OSError, termios.error) as error:
                raise LineLost(cannot_open(self._port, error)) from error
            try:
                serial.reset_input_buffer()
            except (OSError, termios.error) as error:
                serial.close()
                raise LineLost(cannot_open(self._port, error)) from error
            self._serial, self._reader = serial, LineReader()

    def close(self) -> None:
        """Close the port and give up its lock. Sends nothing."""
        with self._wire:
            serial, self._serial = self._serial, None
        if serial is not None:
            serial.close()

    def skip(self, number: int) -> None:
        """Let no command have that id: the board may know it from another process."""
        with self._wire:
            self._next = number

    def send(self, verb: str, *arguments: object) -> int:
        """Send a request once; the id of its reply.

        Raises `LineLost`, and `Interrupted` when the emergency stop does not let it through.
        """
        with self._wire:
            # Looked at under the same lock that sends: the stop cannot slip in between.
            if self._latch.engaged and verb not in HARMLESS:
                raise Interrupted("emergency-stop", "the emergency stop is latched: nothing may move")
            self._next = self._next % MAX_ID + 1
            request = Request(self._next, verb, tuple(str(argument) for argument in arguments))
            self._mailbox.expect(request.id)
            try:
                self._write(request.encode())
            except (OSError, termios.error) as error:
                self._mailbox.forget(request.id)
                raise self._lost(f"{verb} could not be sent", error) from error
        return request.id

    def reply(self, number: int, seconds: float, check: Callable[[], None] = lambda: None) -> Reply | None:
        """The reply to a request; None when none came in so many seconds. Raises what `check` does, `LineLost`."""
        try:
            return self._mailbox.take(number, seconds, check)
        except (OSError, termios.error) as error:
            raise self._lost("the port failed", error) from error

    def forget(self, number: int) -> None:
        """Nobody waits for that reply any more."""
        self._mailbox.forget(number)

    def ask(self, verb: str, *arguments: object, within: float) -> Reply:
        """Send a request and wait for its reply so many seconds; again, up to three times, if that is harmless.

        Raises `NoReply`, `LineLost`, `Interrupted`.
        """
        attempts = ATTEMPTS if verb in HARMLESS else 1
        for _ in range(attempts):
            number = self.send(verb, *arguments)
            found = self.reply(number, within / attempts)
            if found is not None:
                return found
            self._mailbox.forget(number)
        raise NoReply(
            f"{self.where} does not answer {verb} within {within:g} s: check its power supply, its cable, and that its "
            "baud rate is the same"
        )

    def _receive(self, seconds: float) -> list[tuple[int, Reply]]:
        descriptor = self._descriptor()
        if not select.select([descriptor], [], [], seconds)[0]:
            return []
        data = os.read(descriptor, 4096)
        if not data:
            raise SerialException("the port says that there is something to read, and there is nothing: it is gone")
        replies = map(Reply.decode, self._reader.feed(data))
        return [(reply.id, reply) for reply in replies if reply is not None]

    def _write(self, data: bytes) -> None:
        descriptor, end = self._descriptor(), time.monotonic() + SEND_TIMEOUT
        while data:
            if not select.select([], [descriptor], [], max(0.0, end - time.monotonic()))[1]:
                raise SerialException("the port takes no more bytes")
            data = data[os.write(descriptor, data) :]

    def _descriptor(self) -> int:
        serial = self._serial
        if serial is None or serial.fd is None:
            raise SerialException("the port is closed")
        return serial.fd

    def _lost(self, what: str, error: Exception) -> LineLost:
        # The descriptor is of no use any more; a port that comes back must be opened anew.
        serial, self._serial = self._serial, None
        if serial is not None:
            serial.close()
        return LineLost(f"{self.where}: {what}: {reason(error)}; check that the adapter is plugged in")
