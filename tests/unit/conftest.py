"""What all unit tests share: hypothesis without deadlines, Prefect away from the user's home, and no leaked threads."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import leaks

if TYPE_CHECKING:
    from collections.abc import Generator

# The same examples in every run, so that a failure can be repeated; no deadline, because machines are shared.
settings.register_profile(
    "unit",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("unit")


def pytest_configure(config: pytest.Config) -> None:
    """Keep Prefect's client in this process away from the profile and the home of whoever runs the tests."""
    home = tempfile.mkdtemp(prefix="labkeeper-prefect-home-")
    environment = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        environment.delenv(name)
    environment.setenv("PREFECT_HOME", home)
    environment.setenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    environment.setenv("DO_NOT_TRACK", "1")
    config.add_cleanup(environment.undo)
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_running() -> Generator[None]:
    """Fail a file whose tests left a thread or a child process behind. Looking after each test would take seconds."""
    before = leaks.Snapshot.take()
    yield
    leaks.check(before, set)
