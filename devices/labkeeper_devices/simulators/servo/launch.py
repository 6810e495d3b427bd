"""Starting and finding a servo simulator. How any simulator is started, found and ended is `common.launch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_devices.simulators.common import launch
from labkeeper_devices.simulators.common.launch import SimulatorProcess
from labkeeper_devices.simulators.servo.paths import KIND


@dataclass(frozen=True)
class ServoProcess(SimulatorProcess):
    """A running simulated servo. `port` is the path to give to a driver."""

    model: str
    id: int
    baudrate: int


def find_servo(state_dir: Path | str) -> ServoProcess | None:
    """The simulator that runs in a folder; None when there is none (left-over files of a killed one do not count)."""
    folder = Path(state_dir).absolute()
    description = launch.find(KIND, folder)
    return None if description is None else _described(folder, description)


def _described(folder: Path, description: Mapping[str, Any]) -> ServoProcess:
    own = {name: description[name] for name in ("model", "id", "baudrate")}
    return ServoProcess(**launch.described(folder, description), **own)


def start_servo(
    state_dir: Path | str,
    *,
    servo_id: int = 1,
    baudrate: int = 57600,
    time_factor: float = 1.0,
    position: float = 0.0,
    model: str = "xm430-w350",
    timeout: float = 15.0,
) -> ServoProcess:
    """Start a simulator that outlives this process, and wait until it is ready.

    `position` in degrees, `timeout` in seconds. Raises `SimulatorError` with what it printed when it does not come up,
    such as when another one already runs in the folder.
    """
    folder = Path(state_dir).absolute()
    options = {
        "--id": servo_id,
        "--baudrate": baudrate,
        "--time-factor": time_factor,
        "--position": position,
        "--model": model,
    }
    return _described(folder, launch.start(KIND, folder, options, timeout))
