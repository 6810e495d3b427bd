"""One process of this host at a time drives a robot. Not a lock between hosts: that is the robot's one current run."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from labkeeper_api.errors import DeviceUnreachable


class RobotLock:
    """The lock of one address; it goes with the process, however that ends."""

    def __init__(self, address: str) -> None:
        name = address.replace(":", "_").replace("/", "_")
        self._path = Path(tempfile.gettempdir()) / f"labkeeper-ot2-{name}.lock"
        self._handle: int | None = None

    def take(self) -> None:
        """Take it; harmless when it is taken already. Raises `DeviceUnreachable` while another process has it."""
        if self._handle is not None:
            return
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise DeviceUnreachable(f"the lock {self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 32, 0).decode(errors="replace") or "unknown"
            os.close(handle)
            raise DeviceUnreachable(
                f"process {owner} on this host drives this robot already ({self._path}): one at a time may"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let it go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
