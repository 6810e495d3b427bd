"""Start, stop and use one control plane in a folder. Not a cluster: it has no nodes and no controllers."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.cluster.controlplane import flags, namespaces, readiness
from tests.cluster.controlplane.binaries import Binaries, ensure_built
from tests.cluster.controlplane.files import StateFiles
from tests.cluster.controlplane.kubectl import Kubectl, KubectlError
from tests.cluster.controlplane.record import RunRecord
from tests.support.ports import free_ports
from tests.support.processes import ManagedProcess, ProcessFailedError
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PORT_ATTEMPTS = 5
_PORT_TAKEN = "address already in use"


class ControlPlane:
    """etcd and the API server. The folder keeps objects and authority: another start there goes on with them.

    `detached` leaves both running when this process ends.
    """

    def __init__(
        self,
        state: Path,
        *,
        binaries: Binaries | None = None,
        audit_log: Path | None = None,
        apiserver_flags: Sequence[str] = (),
        detached: bool = False,
    ) -> None:
        self.state = state.resolve()  # as it stands on the command lines, see RunRecord
        self.kubeconfig = self.state / "admin.kubeconfig"
        self.audit_log = audit_log
        self.start_seconds = 0.0
        self._binaries = binaries
        self._extra_flags = list(apiserver_flags)
        self._detached = detached
        self._ports: flags.Ports | None = None
        self._processes: dict[str, ManagedProcess] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def binaries(self) -> Binaries:
        """The programs; they are built when they are asked for first and the cache has none."""
        if self._binaries is None:
            self._binaries = ensure_built()
        return self._binaries

    @property
    def url(self) -> str:
        """Where the API server answers. It stays while the API server alone is stopped and started."""
        if self._ports is None:
            raise RuntimeError("the control plane was not started, so it has no URL yet")
        return f"https://127.0.0.1:{self._ports.apiserver}"

    @property
    def etcd(self) -> ManagedProcess:
        """The process, for tests that kill or freeze it."""
        return self._processes["etcd"]

    @property
    def apiserver(self) -> ManagedProcess:
        """The process, for tests that kill or freeze it."""
        return self._processes["kube-apiserver"]

    @property
    def pids(self) -> list[int]:
        """The ids of what runs now."""
        return [process.pid for process in self._processes.values() if process.running]

    @functools.cached_property
    def _files(self) -> StateFiles:
        return StateFiles(self.state)

    def start(self, timeout: float = 60.0) -> None:
        """Start both and wait until the API server is ready. `timeout` is for each of the two."""
        _ = self.binaries  # building takes long and is no part of the start
        began = time.monotonic()
        self._refuse_second_owner()
        files = self._files.write_for_servers()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                self._start_on(flags.Ports(*free_ports(3)), files, timeout)
                break
            except ProcessFailedError as error:
                if _PORT_TAKEN not in str(error) or attempt == _PORT_ATTEMPTS:
                    raise
        self.start_seconds = time.monotonic() - began

    def _refuse_second_owner(self) -> None:
        record = RunRecord.load(self.state)
        if record is not None and (alive := record.alive(self.state)):
            ids = ", ".join(f"{name} {process.pid}" for name, process in alive.items())
            raise ProcessFailedError(f"a control plane runs already in {self.state}: {ids}")

    def _start_on(self, ports: flags.Ports, files: flags.ServerFiles, timeout: float) -> None:
        self._ports = ports
        self._files.write_admin_kubeconfig(self.kubeconfig, self.url)
        etcd = flags.etcd_argv(self.binaries.etcd, self.state / "etcd", ports)
        apiserver = flags.apiserver_argv(self.binaries.apiserver, ports, files, self.audit_log, self._extra_flags)
        self._processes = {
            name: ManagedProcess(name, argv, log=self.state / f"{name}.log", detached=self._detached)
            for name, argv in (("etcd", etcd), ("kube-apiserver", apiserver))
        }
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self.etcd.start()
            with readiness.etcd_client() as client:
                self.etcd.wait_ready(lambda: readiness.etcd_lacks(client, ports.etcd), timeout, interval=0.05)
            self.start_apiserver(timeout)
            undo.pop_all()

    def start_apiserver(self, timeout: float = 60.0) -> None:
        """Start the API server (again) on its port, with the objects that etcd holds."""
        self.apiserver.start()
        self._record()
        files = self._files
        with readiness.apiserver_client(
            files.authority.certificate_file, files.admin_certificate, files.admin_key
        ) as client:
            self.apiserver.wait_ready(lambda: readiness.apiserver_lacks(client, self.url), timeout)

    def stop_apiserver(self, grace: float = 10.0) -> None:
        """Stop the API server alone; clients see their connections closed, and then refused."""
        self.apiserver.stop(grace)
        self._record()

    def stop(self) -> None:
        """End both. Nothing happens if nothing was started."""
        with contextlib.ExitStack() as ends:  # in reverse order, each whatever happens to the other
            if self._processes:
                ends.callback(RunRecord.erase, self.state)
            for process in self._processes.values():
                ends.callback(process.stop)

    def _record(self) -> None:
        pids = {name: process.pid for name, process in self._processes.items() if process.running}
        RunRecord(self.url, pids).save(self.state)

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 (as `subprocess.run` calls it)
        check: bool = True,
        kubeconfig: Path | None = None,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl against this control plane, as its administrator unless `kubeconfig` says otherwise."""
        kubectl = Kubectl(self.binaries.kubectl, self.state / "kubectl-cache")
        return kubectl.run(kubeconfig or self.kubeconfig, args, given=input, check=check, timeout=timeout)

    def get(self, *args: str, kubeconfig: Path | None = None) -> dict[str, Any]:
        """What `kubectl get ARGS` finds, as an object."""
        answer = self.kubectl("get", *args, "--output=json", kubeconfig=kubeconfig)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """`kubectl apply` these objects, with strict validation by the server."""
        # Not as one List: kubectl would validate that by itself, and differently.
        self.kubectl("apply", "--validate=strict", "--filename=-", input=yaml.safe_dump_all(objects))

    def install_crds(self, *definitions: dict[str, Any], timeout: float = 30.0) -> None:
        """Apply CRDs and wait until objects of them can be applied and validated."""
        self.apply(*definitions)
        names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
        self.kubectl("wait", "--for=condition=Established", f"--timeout={timeout:g}s", *names)
        for path, kind in sorted({pair for each in definitions for pair in _schemas(each)}):
            # Without the published schema kubectl does not ask the server to validate, and lets much pass.
            eventually(functools.partial(self._publishes, path, kind), timeout, retry_on=(KubectlError,))

    def _publishes(self, path: str, kind: str) -> bool:
        return f'"{kind}"' in self.kubectl("get", f"--raw={path}").stdout

    def create_namespace(self, name: str) -> None:
        """Make an empty namespace."""
        self.kubectl("create", "namespace", name)

    def delete_namespace(self, name: str) -> None:
        """Remove a namespace with everything in it, finalizers or not, and wait until it is gone."""
        namespaces.delete(self.kubectl, name)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = (), *, namespace: str | None = None) -> Path:
        """A kubeconfig that identifies its bearer as `user` in `groups` by a client certificate.

        The bearer may do nothing at first: bind roles to the user or to a group. Good until `stop`.
        """
        return self._files.kubeconfig_of_user(self.url, user, groups, namespace)

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """A kubeconfig with a token of a service account that exists, as a pod has it. Good until `stop`."""
        arguments = ("create", "token", name, f"--namespace={namespace}", f"--duration={seconds}s")
        token = self.kubectl(*arguments).stdout.strip()
        return self._files.kubeconfig_of_service_account(self.url, namespace, name, token)


def _schemas(definition: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where the schema of each served version of a CRD is published, and the kind to look for there."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version["served"]:
            yield f"/openapi/v3/apis/{spec['group']}/{version['name']}", spec["names"]["kind"]
