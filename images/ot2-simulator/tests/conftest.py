"""Real simulators in processes of their own, reached over loopback as any client would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Simulator


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One simulator for all tests that leave it usable: starting one takes seconds."""
    with Simulator(tmp_path_factory.mktemp("shared"), "--time-factor", "1000") as simulator:
        yield simulator


@pytest.fixture
def robot(shared: Simulator) -> Simulator:
    """The shared simulator, as if nothing had been: no run, a clean deck, a closed door, no faults."""
    shared.reset()
    return shared


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Where a simulator of the test's own keeps its files."""
    return tmp_path / "state"
