"""The servo simulator as a process: a motor on a line, on a pty, in a folder. The loop itself is `common.host`.

Not for the servo (`motor`) nor for starting the process from elsewhere (`launch`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_devices.simulators.common.host import Host
from labkeeper_devices.simulators.common.paths import PORT
from labkeeper_devices.simulators.common.port import PseudoPort
from labkeeper_devices.simulators.servo.control import Control
from labkeeper_devices.simulators.servo.line import Line
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.paths import KIND
from labkeeper_devices.simulators.servo.table import BAUDRATES, MODELS


@dataclass(frozen=True)
class Options:
    """How the servo is to be."""

    state_dir: Path
    servo_id: int = 1
    baudrate: int = 57600
    time_factor: float = 1.0
    position: float = 0.0
    model: str = "xm430-w350"


class Process:
    """One simulator in one folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._epoch = time.monotonic()
        self._port = PseudoPort(options.state_dir / PORT)
        self._line = Line(self._port, self._new_motor(options.position), self._simulated)
        self._control = Control(self._line, self._simulated, self._watch_port, self._new_motor)
        self._host = Host(options.state_dir, KIND, lambda: self._control.commands, self._describe)
        self._watched: int | None = None

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once with what stands in `servo.json`."""
        self._host.run(ready, self._plug, self._line.send_due)

    def _plug(self, stack: contextlib.ExitStack) -> None:
        stack.callback(self._port.unplug)
        self._port.plug()
        self._watch_port()

    def _new_motor(self, position: float) -> Motor:
        options = self._options
        motor = Motor(
            MODELS[options.model],
            servo_id=options.servo_id,
            position=position,
            now=self._simulated(),
            time_factor=options.time_factor,
        )
        motor.table["baud_rate"] = BAUDRATES.index(options.baudrate)
        return motor

    def _simulated(self) -> float:
        return (time.monotonic() - self._epoch) * self._options.time_factor

    def _describe(self) -> dict[str, Any]:
        return {
            "port": str(self._port.link),
            "pty": self._port.path,
            "model": MODELS[self._options.model].name,
            "id": self._options.servo_id,
            "baudrate": self._options.baudrate,
            "time_factor": self._options.time_factor,
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
