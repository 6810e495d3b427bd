"""What all simulators have in common as processes: one in a folder, checked options, an end that leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkeeper_devices.simulators.common import launch
from labkeeper_devices.simulators.common.client import SimulatorError
from labkeeper_devices.simulators.common.launch import SimulatorProcess
from labkeeper_devices.simulators.common.paths import Kind
from tests.support.waiting import patient

KINDS = [
    Kind("board", "labkeeper_devices.simulators.arduino"),
    Kind("potentiostat", "labkeeper_devices.simulators.squidstat"),
]
by_name = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def started(kind: Kind, folder: Path) -> SimulatorProcess:
    return SimulatorProcess(**launch.described(folder, launch.start(kind, folder, {}, patient(30))))


def run(kind: Kind, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", kind.module, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=patient(60))


@by_name
def test_one_at_a_time_in_a_folder(kind: Kind, tmp_path: Path) -> None:
    first = started(kind, tmp_path)
    try:
        second = run(kind, f"--state-dir={tmp_path}")
        assert second.returncode == 2
        assert f"another {kind.name} simulator (pid {first.pid}) runs in" in second.stderr
        with pytest.raises(SimulatorError, match=f"the {kind.name} simulator did not start"):
            started(kind, tmp_path)
        assert first.alive
    finally:
        first.stop()
    assert [path.name for path in tmp_path.iterdir()] == [kind.errors]
    assert not first.alive


@by_name
def test_a_killed_one_leaves_nothing_that_counts(kind: Kind, tmp_path: Path) -> None:
    first = started(kind, tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert (tmp_path / kind.description).exists()
    assert launch.find(kind, tmp_path) is None
    second = started(kind, tmp_path)
    found = launch.find(kind, tmp_path)
    second.stop()
    assert found is not None
    assert found == json.loads(json.dumps(found)) | {"pid": second.pid}


@by_name
@pytest.mark.parametrize("factor", ["0", "-1", "1001", "fast"])
def test_a_time_factor_that_cannot_be(kind: Kind, tmp_path: Path, factor: str) -> None:
    refused = run(kind, f"--state-dir={tmp_path}", f"--time-factor={factor}")
    assert refused.returncode == 2
    assert "--time-factor" in refused.stderr
    assert "Traceback" not in refused.stderr
