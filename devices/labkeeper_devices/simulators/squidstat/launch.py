"""Starting and finding a potentiostat simulator. How any is started, found and ended is `common.launch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labkeeper_devices.simulators.common import launch
from labkeeper_devices.simulators.common.launch import SimulatorProcess
from labkeeper_devices.simulators.squidstat.paths import KIND


def find_potentiostat(state_dir: Path | str) -> SimulatorProcess | None:
    """The simulator that runs in a folder; None when there is none (left-over files of a killed one do not count)."""
    folder = Path(state_dir).absolute()
    description = launch.find(KIND, folder)
    return None if description is None else SimulatorProcess(**launch.described(folder, description))


def start_potentiostat(state_dir: Path | str, *, timeout: float = 15.0, **options: Any) -> SimulatorProcess:
    """Start a simulator that outlives this process, and wait until it is ready.

    `options` are those of its command line, such as `time_factor=100` or `seed=7`. Raises `SimulatorError` with what it
    printed when it does not come up.
    """
    folder = Path(state_dir).absolute()
    given = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return SimulatorProcess(**launch.described(folder, launch.start(KIND, folder, given, timeout)))
