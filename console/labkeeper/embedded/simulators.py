"""The simulator of a unit as its lab keeps it: a process of its own, and found again after the lab was killed.

A simulator stands for hardware: its tips are gone and its wells are full although the program that used it crashed.
Not for what a simulator does: that is its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import Any

from labkeeper.embedded.children import Child, ChildFailed
from labkeeper_api.kinds import LabDevice
from labkeeper_devices.agent.host import UnitDirectory, read_json
from labkeeper_devices.drivers.registry import kind_of, simulator_command

OUTLIVING = Path(__file__).with_name("outliving.py")
LINGER_SECONDS = 600.0
"""How long a simulator that nobody uses outlives whoever started it and was killed."""
END_SECONDS = 20.0


class Simulator:
    """One simulator: started, or taken over from a process that was killed."""

    def __init__(self, device: LabDevice, directory: UnitDirectory, folder: Path, log: Path) -> None:
        """Raises `InvalidInput` when the device asks for no simulator, or there is none on this host."""
        self._find = kind_of(device.spec).simulator_address
        self._directory = directory
        self._argv = simulator_command(device.spec, folder, directory.simulator)
        self._record = directory.path / "simulator.json"
        self._lock: int | None = None
        self._taken: int | None = None
        """Process id of one that was taken over."""
        name = f"the simulator of {directory.unit}"
        lock = str(directory.path / "agent.lock")
        wrapper = [sys.executable, "-I", "-S", str(OUTLIVING), str(os.getpid()), lock, str(LINGER_SECONDS)]
        self._child = Child(name, [*wrapper, str(self._record), *self._argv], log=log, env={}, outlives=True)

    async def start(self) -> None:
        """Start it, or take over one that runs alike. Raises `ChildFailed` when another process keeps it."""
        self._lock = os.open(self._directory.path / "simulator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._unlock()
            raise ChildFailed(f"another process on this host keeps {self._child.name}") from None
        left = self._left_behind()
        if left is not None and left["argv"] == self._argv and self._find(self._directory.simulator) is not None:
            self._taken = left["pid"]
            return
        if left is not None:
            await _end(left["pid"])
        await self._child.start()

    @property
    def fresh(self) -> bool:
        """Whether it began anew, so that its world is as it was at first."""
        return self._taken is None

    def check(self) -> None:
        """Raise `ChildFailed` if it has ended."""
        if self._taken is None:
            self._child.check()
        elif not _is_ours(self._taken):
            raise ChildFailed(f"{self._child.name}, taken over from a process that was killed, has ended")

    async def stop(self) -> None:
        """End it."""
        if self._taken is not None:
            await _end(self._taken)
        await self._child.stop()
        self._unlock()

    def _left_behind(self) -> dict[str, Any] | None:
        """What a process that was killed has left running here."""
        try:
            found = read_json(self._record)
        except ValueError:
            return None
        return found if found is not None and _is_ours(found["pid"]) else None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _is_ours(pid: int) -> bool:
    """Whether that process is one of these; where that cannot be told, it is not."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(OUTLIVING).encode() in words


async def _end(pid: int) -> None:
    """End one that is not our child. Raises `ChildFailed`."""
    try:
        if _is_ours(pid):
            os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(END_SECONDS):
            while _is_ours(pid):  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.05)
    except ProcessLookupError:
        return
    except TimeoutError:
        raise ChildFailed(f"process {pid}, the simulator that a killed process left behind, does not end") from None
