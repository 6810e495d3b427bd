"""A simulator and whoever started it: it outlives that, not for ever, and not while an agent uses it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil

from labkeeper.embedded.simulators import OUTLIVING
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

GONE = 1
"""A process id that is not its parent's: as if that had been killed."""


def keeper(folder: Path, parent: int, seconds: float) -> ManagedProcess:
    """The program that keeps a simulator, here one that only sleeps."""
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    arguments = [str(parent), str(folder / "agent.lock"), str(seconds), str(folder / "simulator.json"), *program]
    made = ManagedProcess("the keeper", [sys.executable, "-I", "-S", str(OUTLIVING), *arguments], log=folder / "log")
    made.start()
    return made


def program_of(process: ManagedProcess) -> psutil.Process:
    return eventually(lambda: process.handle.children()[0], 20.0, what="the simulator")


def test_it_ends_when_nobody_has_used_it_for_a_while(tmp_path: Path) -> None:
    process = keeper(tmp_path, GONE, 0.5)
    eventually(lambda: not process.running, 30.0, what="it ends")
    process.stop()


def test_it_stays_while_an_agent_uses_it(tmp_path: Path) -> None:
    with (tmp_path / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = keeper(tmp_path, GONE, 0.1)
        program = program_of(process)
        time.sleep(1.5)
        assert process.running
    eventually(lambda: not process.running, 30.0, what="it ends once the agent is gone")
    assert not program.is_running()
    process.stop()


def test_it_says_whom_to_ask_to_end_it(tmp_path: Path) -> None:
    process = keeper(tmp_path, os.getpid(), 600)
    program = program_of(process)
    record = json.loads((tmp_path / "simulator.json").read_text(encoding="utf-8"))
    assert record["pid"] == process.pid
    assert record["argv"][0] == sys.executable
    os.kill(record["pid"], signal.SIGTERM)
    eventually(lambda: not process.running, 30.0, what="it ends")
    assert not program.is_running()
    process.stop()


def test_the_simulator_does_not_outlive_its_keeper(tmp_path: Path) -> None:
    process = keeper(tmp_path, os.getpid(), 600)
    program = program_of(process)
    eventually(lambda: "time.sleep" in " ".join(program.cmdline()), 20.0, what="the simulator itself")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE, 20.0, what="it ends")
    process.stop()
