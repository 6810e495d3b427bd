"""The board on its line: bytes in, bytes out, with what is logged and what goes wrong between. Not for processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from labkeeper_devices.simulators.arduino.board import Board
from labkeeper_devices.simulators.common.port import PseudoPort
from labkeeper_devices.wire.board_lines import LineReader, Reply, Request

KEPT_REQUESTS: Final = 5000
FOR_EVER: Final = -1
GARBAGE: Final = b"\x80\x13q*\xff\x00~\n 9 OK done=1 *0000\n"
"""Bytes as of a bad cable, among them a line that looks like a reply and has a wrong checksum."""


@dataclass
class LineFaults:
    """What is wrong with the line. Counts are lines still to be spoiled; -1 means until it is cleared."""

    silence: int = 0
    """Replies that never come; the board still does what it was told."""
    deaf: int = 0
    """Requests that the board does not hear."""
    corrupt: int = 0
    """Replies with a byte that is wrong."""
    noise: int = 0
    """Replies with garbage before them."""

    def spend(self, name: str) -> bool:
        """Whether the fault hits this line."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


class Line:
    """Feeds what arrives at a port to a board and sends the replies."""

    def __init__(self, port: PseudoPort, board: Board, baudrate: int, simulated: Callable[[], float]) -> None:
        self.port = port
        self.baudrate = baudrate
        self._simulated = simulated
        self.install(board)

    def install(self, board: Board) -> None:
        """Put a board on the line, in place of the one before, with no faults and nothing logged."""
        self.board = board
        self.faults = LineFaults()
        self._reader = LineReader()
        self._log: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)

    def receive(self) -> None:
        """Take in what has arrived and carry out what is complete."""
        if not self.port.plugged:
            # It was unplugged between the wake-up and now.
            return
        chunk = self.port.read()
        if self.port.speed != self.baudrate:
            # At another speed a board sees bit salad: it understands nothing and says nothing.
            return
        for line in self._reader.feed(chunk):
            request = Request.decode(line)
            if request is not None and not self.faults.spend("deaf"):
                self._log.append({"at": time.time(), **asdict(request)})
                self._send(self.board.handle(request, self._simulated()))

    def send_due(self) -> None:
        """Send the replies of motions that have ended."""
        self._send(self.board.advance(self._simulated()))

    def log(self) -> list[dict[str, Any]]:
        """The requests that the board heard: `at` (wall time), `id`, `verb`, `arguments`."""
        return list(self._log)

    def reset_log(self) -> None:
        """Forget them."""
        self._log.clear()

    def cut(self) -> None:
        """Unplug the port: what was under way on the line is lost."""
        self._reader = LineReader()
        self.port.unplug()

    def _send(self, replies: list[Reply]) -> None:
        for reply in replies:
            if not self.port.plugged or self.faults.spend("silence"):
                continue
            data = reply.encode()
            if self.faults.spend("corrupt"):
                data = bytes([data[0] ^ 0x01]) + data[1:]
            if self.faults.spend("noise"):
                data = GARBAGE + data
            self.port.write(data)
