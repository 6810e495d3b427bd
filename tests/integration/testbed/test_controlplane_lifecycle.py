"""How the control plane starts, is away, comes back and ends; nothing stays behind whatever ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.cluster.controlplane import ControlPlane, KubectlError, server
from tests.support.ports import free_ports
from tests.support.processes import ProcessFailedError, is_alive, wait_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import OutlivesTest

REPOSITORY = Path(__file__).resolve().parents[3]


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"volume": "200 ul"}}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder for a control plane; its data, 60 MB, is not kept."""
    yield tmp_path / "state"
    shutil.rmtree(tmp_path / "state" / "etcd", ignore_errors=True)


@pytest.fixture(scope="module")
def own_plane(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[ControlPlane]:
    """One that the tests of this module may stop."""
    plane = ControlPlane(tmp_path_factory.mktemp("own-plane"))
    outlives_test(lambda: plane.pids)
    with plane:
        yield plane
    shutil.rmtree(plane.state / "etcd")


def test_the_api_server_restarts_alone_at_its_url_with_its_objects(own_plane: ControlPlane) -> None:
    url, etcd = own_plane.url, own_plane.etcd.pid
    own_plane.apply(config_map("kept"))
    uid = own_plane.get("configmap", "kept")["metadata"]["uid"]
    with subprocess.Popen(
        [own_plane.binaries.kubectl, f"--kubeconfig={own_plane.kubeconfig}", "get", "configmap", "--watch"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as watch:
        own_plane.stop_apiserver()
        assert "refused" in own_plane.kubectl("get", "configmap", check=False).stderr
        assert own_plane.pids == [etcd]
        watch.terminate()
    own_plane.start_apiserver()
    assert own_plane.url == url
    assert own_plane.get("configmap", "kept")["metadata"]["uid"] == uid


def test_the_api_server_comes_back_after_a_kill_and_a_freeze(own_plane: ControlPlane) -> None:
    own_plane.apply(config_map("kept-too"))
    own_plane.apiserver.freeze()
    with pytest.raises(KubectlError, match="did not end within 2 s"):
        own_plane.kubectl("get", "configmap", timeout=2)
    own_plane.apiserver.thaw()
    own_plane.get("configmap", "kept-too")
    own_plane.apiserver.kill()
    own_plane.start_apiserver()
    own_plane.get("configmap", "kept-too")


def test_all_of_it_restarts_in_its_folder(own_plane: ControlPlane) -> None:
    own_plane.apply(config_map("kept-longer"))
    with pytest.raises(ProcessFailedError, match="a control plane runs already in"):
        ControlPlane(own_plane.state).start()
    own_plane.stop()
    own_plane.start()
    assert own_plane.get("configmap", "kept-longer")["data"] == {"volume": "200 ul"}


def test_a_port_that_is_taken_is_exchanged(
    state: Path, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [int(control_plane.url.rpartition(":")[2])]

    def ports(count: int) -> list[int]:
        return [*free_ports(count - len(taken)), *(taken.pop() for _ in list(taken))]

    monkeypatch.setattr(server, "free_ports", ports)
    with ControlPlane(state) as plane:
        assert taken == []
        assert plane.url != control_plane.url
        plane.get("namespaces")


def test_a_failed_start_shows_the_log_and_ends_what_it_began(state: Path) -> None:
    plane = ControlPlane(state, apiserver_flags=["--no-such-flag"])
    with pytest.raises(ProcessFailedError, match=r"kube-apiserver ended by itself(.|\n)*unknown flag: --no-such-flag"):
        plane.start()
    assert plane.pids == []


_STARTS_AND_HANGS = """
import sys, time
from pathlib import Path
from tests.cluster.controlplane import ControlPlane
plane = ControlPlane(Path(sys.argv[1]))
plane.start()
print(*plane.pids, flush=True)
time.sleep(600)
"""


def test_nothing_is_left_when_the_tests_are_killed(state: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STARTS_AND_HANGS, str(state)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as tests:
        try:
            assert tests.stdout is not None
            servers = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
            assert len(servers) == 2
            assert all(map(is_alive, servers))
        finally:
            os.kill(tests.pid, signal.SIGKILL)
    assert wait_gone(servers, 10.0) == []


def test_the_command_line_leaves_one_running_and_ends_it(state: Path) -> None:
    def command(name: str, *more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tests.cluster.controlplane", name, "--state", str(state), *more]
        return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert command("status").returncode == 3
    try:
        up = command("up", "--audit")
        assert up.returncode == 0, up.stderr
        kubeconfig, path = up.stdout.splitlines()
        assert kubeconfig == f"export KUBECONFIG={state / 'admin.kubeconfig'}"
        kubectl = Path(path.removeprefix("export PATH=").split(":")[0]) / "kubectl"
        asked = subprocess.run(
            [kubectl, "get", "namespaces"],
            env={**os.environ, "KUBECONFIG": kubeconfig.partition("=")[2]},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "kube-system" in asked.stdout
        assert "already running" in command("up").stderr
        assert command("status").returncode == 0
        assert (state / "audit.log").stat().st_size > 0
    finally:
        down = command("down")
    assert "ended etcd, kube-apiserver" in down.stderr
    assert command("status").returncode == 3
    assert command("down").returncode == 0
