"""Asking a running simulator over its control socket. What can be asked is each simulator's own client.

Not for driving the instrument, and not for starting the simulator: that is `launch`.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from labkeeper_api.errors import LabkeeperError
from labkeeper_devices.simulators.common.paths import CONTROL, Kind, short_address

ANSWER_TIMEOUT: Final = 5.0


class SimulatorError(LabkeeperError):
    """A simulator did not start, is not there or refused a request."""


def connect(state_dir: Path) -> socket.socket:
    """A connection to the control socket of the simulator in a folder. Raises `OSError`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_TIMEOUT)
        with short_address(state_dir, CONTROL) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class ControlClient:
    """Looks into a running simulator and sets things wrong in it. A context manager.

    Raises `SimulatorError` when there is no simulator in the folder or it refuses.
    """

    kind: ClassVar[Kind]

    def __init__(self, state_dir: Path | str) -> None:
        self._state_dir = Path(state_dir)
        self._connection: socket.socket | None = None
        self._received = b""

    def __enter__(self) -> Self:
        try:
            self._connection = connect(self._state_dir)
        except OSError as error:
            raise SimulatorError(f"no {self.kind.name} simulator answers in {self._state_dir}: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; faults that were set stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, do: str, **parameters: Any) -> dict[str, Any]:
        """Send one request and return what it answered."""
        if self._connection is None:
            raise SimulatorError(f"use {type(self).__name__} as a context manager")
        self._connection.sendall(json.dumps({"do": do, **parameters}).encode() + b"\n")
        while b"\n" not in self._received:
            chunk = self._connection.recv(65536)
            if not chunk:
                raise SimulatorError("the simulator ended in the middle of a request")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        result: dict[str, Any] = json.loads(line)
        if not result.pop("ok"):
            raise SimulatorError(f"{do}: {result['error']}")
        return result

    def describe(self) -> dict[str, Any]:
        """What stands in the simulator's description file."""
        return self.ask("describe")
