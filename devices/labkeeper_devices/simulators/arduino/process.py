"""The board simulator as a process: a board on a line, on a pty, in a folder. The loop itself is `common.host`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_devices.simulators.arduino.board import Board
from labkeeper_devices.simulators.arduino.control import Control
from labkeeper_devices.simulators.arduino.line import Line
from labkeeper_devices.simulators.arduino.paths import KIND
from labkeeper_devices.simulators.common.host import Host
from labkeeper_devices.simulators.common.paths import PORT
from labkeeper_devices.simulators.common.port import PseudoPort


@dataclass(frozen=True)
class Options:
    """How the board is to be. `flows` are what its pumps really move, in mL/s."""

    state_dir: Path
    baudrate: int = 9600
    time_factor: float = 1.0
    flows: tuple[float, ...] = (1.0, 1.0, 1.0)
    baths: int = 1
    bases: int = 1


class Process:
    """One simulator in one folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._epoch = time.monotonic()
        self._port = PseudoPort(options.state_dir / PORT)
        self._line = Line(self._port, self._new_board(), options.baudrate, self._simulated)
        self._control = Control(self._line, self._simulated, self._watch_port, self._new_board)
        self._host = Host(options.state_dir, KIND, lambda: self._control.commands, self._describe)
        self._watched: int | None = None

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once with what stands in `board.json`."""
        self._host.run(ready, self._plug, self._due)

    def _plug(self, stack: contextlib.ExitStack) -> None:
        stack.callback(self._port.unplug)
        self._port.plug()
        self._watch_port()

    def _new_board(self) -> Board:
        options = self._options
        return Board(list(options.flows), options.baths, options.bases, now=self._simulated())

    def _simulated(self) -> float:
        return (time.monotonic() - self._epoch) * self._options.time_factor

    def _due(self) -> float | None:
        self._line.send_due()
        due = self._line.board.next_due()
        return None if due is None else max(0.0, due - self._simulated()) / self._options.time_factor

    def _describe(self) -> dict[str, Any]:
        options = self._options
        return {
            "port": str(self._port.link),
            "pty": self._port.path,
            "baudrate": options.baudrate,
            "time_factor": options.time_factor,
            "flows": list(options.flows),
            "baths": options.baths,
            "bases": options.bases,
        }

    def _watch_port(self) -> None:
        """Follow the port after it was plugged in or unplugged."""
        if self._watched is not None:
            self._host.unwatch(self._watched)
            self._watched = None
        if self._port.plugged:
            self._watched = self._port.fileno()
            self._host.watch(self._watched, self._line.receive)
            self._host.write_description()
