"""The servers that integration tests run against, and the check that a test leaves nothing running.

All servers are started synchronously, so they serve tests with and without an event loop. Session servers are
shared: a test that stops, freezes or fills one uses one of its own (`fresh_prefect`, `ControlPlane(tmp_path)`).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.cluster.controlplane import BuildError, ControlPlane, ensure_built
from tests.support import leaks
from tests.support.prefect_server import PrefectServer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator

_BUILD_ERROR = pytest.StashKey[BuildError]()
_BEFORE = pytest.StashKey[leaks.Snapshot]()
_LASTING = pytest.StashKey["list[Callable[[], Collection[int]]]"]()


class OutlivesTest(Protocol):
    """Says that processes are to outlive the test that started them, by a function that gives their ids now."""

    def __call__(self, pids: Callable[[], Collection[int]], /) -> None: ...


def pytest_configure(config: pytest.Config) -> None:
    """Keep Prefect's client in this process away from the profile and the home of whoever runs the tests."""
    config.stash[_LASTING] = []
    home = tempfile.mkdtemp(prefix="labkeeper-prefect-home-")
    environment = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        environment.delenv(name)
    environment.setenv("PREFECT_HOME", home)
    environment.setenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")  # without a URL fail, start no server
    environment.setenv("DO_NOT_TRACK", "1")
    config.add_cleanup(environment.undo)
    config.add_cleanup(lambda: shutil.rmtree(home))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the control plane before the first test that needs it: that can take longer than a test may."""
    if session.config.option.collectonly or not any(map(_needs_control_plane, session.items)):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            ensure_built(lambda line: print(f"\n{line}", end="", flush=True))
    except BuildError as error:
        session.config.stash[_BUILD_ERROR] = error  # the tests that do not need it can run


def _needs_control_plane(item: pytest.Item) -> bool:
    return "control_plane" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Remember what runs before any fixture of the test."""
    item.stash[_BEFORE] = leaks.Snapshot.take()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that left a thread or a child process behind, seen when all its fixtures ended."""
    try:
        return (yield)
    finally:
        lasting = item.config.stash[_LASTING]
        leaks.check(item.stash[_BEFORE], lambda: {pid for pids in lasting for pid in pids()})


@pytest.fixture(scope="session")
def outlives_test(pytestconfig: pytest.Config) -> OutlivesTest:
    """For fixtures of a longer scope than a test that start processes: `outlives_test(lambda: server.pids)`."""
    return pytestconfig.stash[_LASTING].append


@pytest.fixture(scope="session")
def control_plane(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest
) -> Iterator[ControlPlane]:
    """A real API server, shared by all tests; each request is in `control_plane.audit_log`."""
    if error := pytestconfig.stash.get(_BUILD_ERROR, None):
        raise error
    state = tmp_path_factory.mktemp("control-plane")
    plane = ControlPlane(state, audit_log=state / "audit.log")
    outlives_test(lambda: plane.pids)
    with plane:
        yield plane
    shutil.rmtree(state / "etcd")  # 100 MB and more, and pytest keeps the folders of three sessions


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty namespace that is removed after the test, with all that is in it."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].rstrip("-")
    name = f"{words}-{secrets.token_hex(3)}"
    control_plane.create_namespace(name)
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[PrefectServer]:
    """A real Prefect server, shared by all tests: use names of your own in it, and leave it running."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    outlives_test(lambda: [server.pid] if server.running else [])
    with server:
        yield server


@pytest.fixture
def fresh_prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A real Prefect server with an empty database for one test, which may stop, freeze and kill it."""
    with PrefectServer(tmp_path_factory.mktemp("fresh-prefect")) as server:
        yield server
