"""The serial port of a simulated instrument: a pty behind a path that stays the same. Not for what is said on it."""

from __future__ import annotations

import os
import termios
import tty
from pathlib import Path
from typing import Final

CHUNK: Final = 4096

_SPEEDS: Final = {
    getattr(termios, f"B{speed}"): speed
    for speed in (9600, 19200, 38400, 57600, 115200, 1000000, 2000000, 3000000, 4000000)
    if hasattr(termios, f"B{speed}")
}


class PseudoPort:
    """One pty at a time; `link` is the path that clients open, as udev's names are for real adapters."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._ends: tuple[int, int] | None = None

    @property
    def plugged(self) -> bool:
        """Whether there is a port to open."""
        return self._ends is not None

    def fileno(self) -> int:
        """Descriptor of the instrument's end."""
        if self._ends is None:
            raise OSError("the port is unplugged")
        return self._ends[0]

    @property
    def path(self) -> str:
        """Device file that the link points to; empty while unplugged."""
        return os.ttyname(self._ends[1]) if self._ends else ""

    @property
    def speed(self) -> int | None:
        """Bits per second that the client has set; None for one that is not listed here."""
        return _SPEEDS.get(termios.tcgetattr(self.fileno())[5])

    def plug(self) -> None:
        """Make a port, as plugging the adapter in does."""
        if self._ends is not None:
            return
        device_end, client_end = os.openpty()
        # The client's end stays open here too: otherwise reading would fail whenever no client is there.
        tty.setraw(client_end)
        os.set_blocking(device_end, False)
        self._ends = (device_end, client_end)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.path)
        fresh.replace(self.link)

    def unplug(self) -> None:
        """Take the port away: clients that have it open get an input/output error."""
        self.link.unlink(missing_ok=True)
        if self._ends is not None:
            ends, self._ends = self._ends, None
            for end in ends:
                os.close(end)

    def read(self) -> bytes:
        """What has arrived; nothing if nothing has."""
        try:
            return os.read(self.fileno(), CHUNK)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send bytes; when nobody has read for so long that the buffer is full, they are lost as on a real line."""
        try:
            os.write(self.fileno(), data)
        except BlockingIOError:
            return
