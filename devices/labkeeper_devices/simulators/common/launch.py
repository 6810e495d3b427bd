"""Starting, finding and ending a simulator, for the agent, the `labkeeper` command and tests.

A simulator outlives who started it, as an instrument outlives its host. Not for steering it: that is `client`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_devices.simulators.common.client import SimulatorError, connect
from labkeeper_devices.simulators.common.paths import Kind

_children: dict[int, subprocess.Popen[str]] = {}
"""Simulators that this process started: kept so that they are reaped, and so that none is ended by being forgotten."""


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator. `port` is what a driver is given to reach it; it stays the same over unplug and replug."""

    state_dir: Path
    pid: int
    port: Path
    control: Path
    time_factor: float
    started_at: float

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return _owner(self.state_dir) == self.pid

    def stop(self, timeout: float = 5.0) -> None:
        """End it and wait until it is gone; kills it when it does not go in time. Nothing happens if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            _reap(self.pid)
            return
        try:
            # Asked after the handle was opened: from here on the id cannot come to mean another process.
            if self.alive:
                _end(handle, timeout)
        finally:
            os.close(handle)
            _reap(self.pid)


def described(folder: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `SimulatorProcess` from a description."""
    return {
        "state_dir": folder,
        "pid": description["pid"],
        "port": Path(description["port"]),
        "control": Path(description["control"]),
        "time_factor": description["time_factor"],
        "started_at": description["started_at"],
    }


def find(kind: Kind, folder: Path) -> dict[str, Any] | None:
    """The description of the simulator that runs in a folder.

    None when there is none; left-over files of a killed one do not count.
    """
    owner = _owner(folder)
    if owner is None:
        return None
    try:
        found: dict[str, Any] = json.loads((folder / kind.description).read_text())
    except FileNotFoundError:
        return None
    return found if found["pid"] == owner else None


def start(kind: Kind, folder: Path, options: Mapping[str, Any], timeout: float = 15.0) -> dict[str, Any]:
    """Start a simulator that outlives this process, and wait until it is ready; what it says about itself.

    `timeout` in seconds. Raises `SimulatorError` with what it printed when it does not come up, such as when another
    already runs in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors = folder / kind.errors
    command = [sys.executable, "-m", kind.module, f"--state-dir={folder}"]
    command += [f"{option}={value}" for option, value in options.items()]
    with errors.open("a") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    _children[child.pid] = child
    line = _first_line(child, timeout)
    if not line:
        child.kill()
        code = child.wait()
        _children.pop(child.pid, None)
        said = errors.read_text().strip().splitlines()[-3:]
        reason = " ".join(said) or f"it said nothing for {timeout:g} s and was ended (exit code {code})"
        raise SimulatorError(f"the {kind.name} simulator did not start in {folder}: {reason}")
    description: dict[str, Any] = json.loads(line)
    return description


def _end(handle: int, timeout: float) -> None:
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if not select.select([handle], [], [], timeout)[0]:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], timeout)


def _reap(pid: int) -> None:
    child = _children.pop(pid, None)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)


def _owner(state_dir: Path) -> int | None:
    """Process id of the simulator that listens in the folder; None when nobody does."""
    try:
        connection = connect(state_dir)
    except OSError:
        return None
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


def _first_line(child: subprocess.Popen[str], timeout: float) -> str:
    """The line that says it is ready; empty when it ended or did not say it in time."""
    assert child.stdout is not None  # noqa: S101 - asked for with PIPE
    deadline = time.monotonic() + timeout
    with child.stdout as output:
        collected = b""
        while not collected.endswith(b"\n"):
            remaining = max(0.0, deadline - time.monotonic())
            if not select.select([output], [], [], remaining)[0]:
                return ""
            chunk = os.read(output.fileno(), 4096)
            if not chunk:
                return ""
            collected += chunk
    return collected.decode()
