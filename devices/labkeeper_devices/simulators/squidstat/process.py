"""The potentiostat simulator as a process: an instrument behind a socket in a folder. The loop is `common.host`'s."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labkeeper_devices.simulators.common.host import Host
from labkeeper_devices.simulators.common.paths import PORT
from labkeeper_devices.simulators.squidstat.control import Control
from labkeeper_devices.simulators.squidstat.experiment import Limits
from labkeeper_devices.simulators.squidstat.instrument import Instrument
from labkeeper_devices.simulators.squidstat.paths import KIND
from labkeeper_devices.simulators.squidstat.server import Server

CATCH_UP: Final = 0.2
"""Real s after which a running experiment is worked out further, so that an answer never waits for all of it."""


@dataclass(frozen=True)
class Options:
    """How the instrument is to be."""

    state_dir: Path
    time_factor: float = 1.0
    channels: int = 4
    seed: int = 1
    voltage_limit: float = 2.0
    current_limit: float = 0.1


class Process:
    """One simulator in one folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._epoch = time.monotonic()
        self._server = Server(options.state_dir, lambda: self._host, self._simulated)
        self._control = Control(self._server, self._new_instrument, self._simulated)
        self._host = Host(options.state_dir, KIND, lambda: self._control.commands, self._describe)

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once with the description."""
        self._host.run(ready, self._listen, self._due)

    def _listen(self, stack: contextlib.ExitStack) -> None:
        self._server.listen(lambda: self._control.instrument, stack)

    def _due(self) -> float | None:
        if not self._control.instrument.advance(self._simulated()):
            return 0.0
        return CATCH_UP if self._control.instrument.running else None

    def _new_instrument(self) -> Instrument:
        options = self._options
        limits = Limits(options.voltage_limit, options.current_limit)
        return Instrument(options.channels, options.seed, limits, self._simulated())

    def _simulated(self) -> float:
        return (time.monotonic() - self._epoch) * self._options.time_factor

    def _describe(self) -> dict[str, Any]:
        options = self._options
        return {
            "port": str(options.state_dir / PORT),
            "channels": options.channels,
            "seed": options.seed,
            "time_factor": options.time_factor,
        }
