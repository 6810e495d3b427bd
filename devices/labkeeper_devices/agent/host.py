"""What a unit keeps on its host: one directory with journal, latch, status and control socket, locked by its agent."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_api.errors import LabkeeperError

HOME_VARIABLE = "LABKEEPER_HOME"
LOOK_SECONDS = 0.25


class AlreadyRunning(LabkeeperError):
    """Another agent owns this unit on this host."""


def home() -> Path:
    """Where Labkeeper keeps its data on this host: $LABKEEPER_HOME, else ~/.labkeeper."""
    given = os.environ.get(HOME_VARIABLE)
    return Path(given).expanduser().absolute() if given else Path.home() / ".labkeeper"


@dataclass(frozen=True)
class UnitDirectory:
    """The directory of one unit."""

    path: Path
    unit: str

    @classmethod
    def of(cls, home_path: Path, unit: str) -> UnitDirectory:
        """The directory of that unit below a home; made by `prepare`."""
        return cls(home_path / "units" / unit, unit)

    @classmethod
    def all(cls, home_path: Path) -> list[UnitDirectory]:
        """Every unit that has a directory below a home."""
        root = home_path / "units"
        found = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        return [cls(path, path.name) for path in found]

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / "journal.db"

    @property
    def latch(self) -> Path:
        """There while the emergency stop is engaged."""
        return self.path / "stopped.json"

    @property
    def status(self) -> Path:
        """What the agent said last about the unit."""
        return self.path / "status.json"

    @property
    def socket(self) -> Path:
        """The agent's control socket."""
        return self.path / "agent.sock"

    @property
    def register(self) -> Path:
        """Which journal the unit should have. Not below the unit's directory: it is to outlive that."""
        return self.path.parent.parent / "journal-ids" / f"{self.unit}.json"

    @property
    def simulator(self) -> Path:
        """Where the unit's simulator keeps its files."""
        return self.path / "simulator"

    def prepare(self) -> None:
        """Make the directory, readable by its owner only."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the unit on this host. Raises `AlreadyRunning`; the lock goes with the process, however it ends."""
        self.prepare()
        handle = os.open(self.path / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock(handle):
                owner = os.pread(handle, 32, 0).decode() or "unknown"
                raise AlreadyRunning(f"unit {self.unit} already has an agent on this host, process {owner}")
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)

    def owner(self) -> int | None:
        """Process id of the agent that owns the unit now, 0 while it does not say; None if none does."""
        path = self.path / "agent.lock"
        if not path.exists():
            return None
        with path.open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(handle.read() or 0)
        return None


def _lock(handle: int) -> bool:
    """Lock for this process; False if another has it for longer than somebody who only looks (`owner`)."""
    end = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        else:
            return True


def write_durably(path: Path, content: dict[str, Any]) -> None:
    """Replace a small JSON file so that after a crash it is either the old or the new one."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(content, handle)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_json(path: Path) -> dict[str, Any] | None:
    """A small JSON file; None if it is not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found if isinstance(found, dict) else None
