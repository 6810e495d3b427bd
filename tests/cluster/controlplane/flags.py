"""The command lines of etcd and kube-apiserver, as functions of ports and files. Starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""Who did what to which object, and whether it was allowed; no bodies."""


@dataclass(frozen=True)
class Ports:
    """What the control plane listens on, all on 127.0.0.1."""

    etcd: int
    etcd_peer: int
    apiserver: int


@dataclass(frozen=True)
class ServerFiles:
    """What the API server reads."""

    certificate: Path
    key: Path
    authority: Path
    service_account_key: Path
    audit_policy: Path


def etcd_argv(program: Path, data: Path, ports: Ports) -> list[str]:
    """One etcd member that does not wait for the disk: its data outlives a kill, but no power cut."""
    client = f"http://127.0.0.1:{ports.etcd}"
    peer = f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        str(program),
        "--name=test",
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_argv(
    program: Path, ports: Ports, files: ServerFiles, audit_log: Path | None, extra: Sequence[str]
) -> list[str]:
    """The API server with RBAC and the default admission, but ServiceAccount.

    That one refuses each pod whose service account does not exist, and without a controller manager nobody
    makes the `default` one of a namespace.
    """
    argv = [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports.apiserver}",
        f"--tls-cert-file={files.certificate}",
        f"--tls-private-key-file={files.key}",
        f"--client-ca-file={files.authority}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--profiling=false",
        "--shutdown-watch-termination-grace-period=1s",
    ]
    if audit_log is not None:
        argv += [f"--audit-policy-file={files.audit_policy}", f"--audit-log-path={audit_log}"]
    return [*argv, *extra]
