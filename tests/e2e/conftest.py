"""A home of its own for each test, the command as a process, and a check that nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plate-resort"
SHARED = ROOT.parent / "shared"
TIMEOUT = 420.0


@dataclass
class Command:
    """Runs `labkeeper` in a home of its own."""

    home: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a fresh shell would have, without any Prefect or Labkeeper setting."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABKEEPER_"))}
        return {**kept, "LABKEEPER_HOME": str(self.home), "COLUMNS": "160"}

    def __call__(self, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            [sys.executable, "-m", "labkeeper", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=cwd,
            timeout=TIMEOUT,
            check=False,
        )

    def json(self, *arguments: str | Path) -> Any:
        """Run to the end; what it printed as JSON."""
        done = self(*arguments)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
        """Start it and return; it is ended with the test."""
        log = (self.home / f"command-{len(self.started)}.log").open("w+", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "labkeeper", *map(str, arguments)],
            stdout=log,
            stderr=log,
            text=True,
            env=self.environment,
            cwd=cwd,
            # A shell that runs the tests in the background has its children ignore Ctrl-C.
            preexec_fn=_heed_ctrl_c,
        )
        log.close()
        self.started.append(process)
        return process

    def said(self, number: int = -1) -> str:
        """What a started command printed so far."""
        index = number % len(self.started)
        return (self.home / f"command-{index}.log").read_text(encoding="utf-8")

    def end(self, process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> int:
        """Ask a started command to end and wait for it."""
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(timeout=TIMEOUT)


@pytest.fixture
def labkeeper(tmp_path: Path) -> Iterator[Command]:
    """The command, with a home below `tmp_path`; afterwards nothing of it may be left running."""
    home = tmp_path / "home"
    home.mkdir()
    command = Command(home)
    yield command
    for process in command.started:
        command.end(process)
    eventually(lambda: _nothing_left(home), 10.0, what=f"nothing left running from {home}")


def _nothing_left(home: Path) -> bool:
    left = []
    for process in psutil.process_iter():
        try:
            places = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(home) in place for place in places):
            left.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
    assert not left, left
    return True


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
