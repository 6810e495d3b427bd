"""The parts of pyserial that drivers use, with types. What is sent over a port is each driver's own.

The library has no type information. What is declared here for the type checker is what it does (pyserial 3.5); at run
time its own classes are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class Serial:
        """pyserial's port. `fd` is None while it is closed."""

        fd: int | None

        def __init__(self, port: str, baudrate: int, *, timeout: float, exclusive: bool) -> None: ...
        def close(self) -> None: ...
        def reset_input_buffer(self) -> None: ...

    class SerialException(OSError):
        """Anything that pyserial does not like."""

    class ListedPort:
        """A port that the system lists."""

        device: str

    def comports() -> list[ListedPort]:
        """All serial ports of this machine."""
else:
    from serial import Serial, SerialException
    from serial.tools.list_ports import comports

__all__ = ["Serial", "SerialException", "comports"]
