"""The lab of the operator's tests: CRDs in the shared API server, operators behind proxies, namespaces they serve.

Two operators are shared. `lab` is served by one that looks at everything every second. `quiet_lab` is served by
one that looks by itself never: what happens there comes from events alone.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from labkeeper_api.kinds import KINDS
from tests.integration.operator.lab import LabNamespace
from tests.integration.operator.prefect import Prefect
from tests.integration.operator.process import USER, OperatorProcess
from tests.support.prefect_link import Link
from tests.support.prefect_server import PrefectServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.controlplane import ControlPlane
    from tests.integration.conftest import OutlivesTest

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "plate-resort"
CRDS = ROOT / "charts" / "labkeeper" / "crds"
NEVER = 3600.0
"""Seconds, longer than any test."""


def crd_manifests() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions as the chart installs them."""
    found = [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]
    assert len(found) == len(KINDS)
    return found


@pytest.fixture(scope="session")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """The shared API server with the CRDs of the chart."""
    control_plane.install_crds(*crd_manifests())
    return control_plane


@pytest.fixture(scope="session")
def operator_kubeconfig(plane: ControlPlane) -> Path:
    """The operator's own name in the audit log."""
    return plane.kubeconfig_for(USER, ["system:masters"])


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[PrefectServer]:
    """The Prefect server of the shared operators: its scheduler plans runs every two seconds, not once a minute."""
    settings = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
    server = PrefectServer(tmp_path_factory.mktemp("lab-prefect"), settings=settings)
    outlives_test(lambda: [server.pid] if server.running else [])
    with server:
        yield server


@pytest.fixture(scope="session")
def prefect(lab_server: PrefectServer) -> Iterator[Prefect]:
    """The REST API of the shared operators' Prefect server."""
    with Prefect(lab_server.api_url) as client:
        yield client


@pytest.fixture(scope="session")
def _shared(
    plane: ControlPlane,
    operator_kubeconfig: Path,
    lab_server: PrefectServer,
    outlives_test: OutlivesTest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SharedOperators]:
    """Starts the two shared operators when their namespace is asked for first."""
    with ExitStack() as ends:

        def start(name: str, seconds: float) -> Link:
            directory = tmp_path_factory.mktemp(name)
            plane.create_namespace(name)
            link = Link(lab_server.url, directory / "proxy.log")
            operator = OperatorProcess(
                directory,
                kubeconfig=operator_kubeconfig,
                prefect_api_url=link.api_url,
                namespaces=[name],
                poll=seconds,
                resync=seconds,
            )
            outlives_test(lambda: [*link.pids, *operator.pids])
            ends.enter_context(link)
            ends.enter_context(operator)
            ends.callback(operator.check_running)
            return link

        yield SharedOperators(start)


class SharedOperators:
    """The shared operators by the name of their namespace."""

    def __init__(self, start: StartShared) -> None:
        self._start = start
        self._links: dict[str, Link] = {}

    def link(self, name: str, seconds: float) -> Link:
        """The way of that operator to Prefect; the operator is started on first use."""
        if name not in self._links:
            self._links[name] = self._start(name, seconds)
        return self._links[name]


class StartShared(Protocol):
    """Starts the operator of a namespace."""

    def __call__(self, name: str, seconds: float, /) -> Link: ...


@pytest.fixture
def lab(plane: ControlPlane, lab_link: Link) -> Iterator[LabNamespace]:
    """A namespace whose operator looks at everything every second; emptied after the test."""
    namespace = LabNamespace(plane, "lab")
    yield namespace
    namespace.clear()


@pytest.fixture
def lab_link(_shared: SharedOperators) -> Link:
    """The way of the operator of `lab` to Prefect."""
    return _shared.link("lab", 1.0)


@pytest.fixture
def quiet_lab(plane: ControlPlane, quiet_link: Link) -> Iterator[LabNamespace]:
    """A namespace whose operator never looks by itself, so that only events move it; emptied after the test."""
    namespace = LabNamespace(plane, "quiet-lab")
    yield namespace
    namespace.clear()


@pytest.fixture
def quiet_link(_shared: SharedOperators) -> Link:
    """The way of the operator of `quiet_lab` to Prefect."""
    return _shared.link("quiet-lab", NEVER)


class StartOperator(Protocol):
    """Starts an operator of the test's own for one namespace, behind a proxy of its own."""

    def __call__(self, namespace: str, *, api_path: str = "/api", **options: Any) -> tuple[OperatorProcess, Link]: ...


@pytest.fixture
def start_operator(operator_kubeconfig: Path, lab_server: PrefectServer, tmp_path: Path) -> Iterator[StartOperator]:
    """Operators that a test may stop and kill; they use the shared Prefect server."""
    count = itertools.count()
    with ExitStack() as ends:

        def start(namespace: str, *, api_path: str = "/api", **options: Any) -> tuple[OperatorProcess, Link]:
            directory = tmp_path / f"operator-{next(count)}"
            directory.mkdir()
            link = ends.enter_context(Link(lab_server.url, directory / "proxy.log"))
            operator = OperatorProcess(
                directory,
                kubeconfig=operator_kubeconfig,
                prefect_api_url=f"{link.url}{api_path}",
                namespaces=[namespace],
                **options,
            )
            return ends.enter_context(operator), link

        yield start
