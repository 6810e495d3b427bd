"""Which processes run in a state folder, written down for whoever comes next. Starts nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from tests.support.processes import end_tree, is_alive

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """The processes of one control plane by name, and where it answers."""

    url: str
    pids: dict[str, int]

    def save(self, state: Path) -> None:
        (state / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, state: Path) -> RunRecord | None:
        """What was written last, or None where nothing was started since the last `erase`."""
        path = state / _FILE
        return cls(**json.loads(path.read_text())) if path.exists() else None

    @staticmethod
    def erase(state: Path) -> None:
        (state / _FILE).unlink(missing_ok=True)

    def alive(self, state: Path) -> dict[str, psutil.Process]:
        """Those that still run; not another program that got the id meanwhile: ours name the folder."""
        found = {}
        for name, pid in self.pids.items():
            process = _process(pid)
            if process is not None and _names(process, state):
                found[name] = process
        return found

    def end(self, state: Path, grace: float = 20.0) -> list[str]:
        """End those that still run, in reverse order of their start; their names."""
        alive = self.alive(state)
        for name in reversed(alive):
            end_tree(alive[name], grace)
        self.erase(state)
        return list(alive)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _names(process: psutil.Process, state: Path) -> bool:
    try:
        return is_alive(process) and any(f"{state}/" in argument for argument in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended just now, or it is another user's
        return False
