"""What a control plane keeps in its folder besides its data: certificates, policies, kubeconfig files."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from tests.cluster.controlplane import flags
from tests.cluster.controlplane.pki import Authority, certificate_user, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class StateFiles:
    """The files of one state folder; making the object makes the folder and its certificate authority."""

    def __init__(self, state: Path) -> None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._state = state
        self.authority = Authority(state / "pki")
        self.admin_certificate = state / "pki" / "admin.crt"
        self.admin_key = state / "pki" / "admin.key"

    def write_for_servers(self) -> flags.ServerFiles:
        """Sign what the API server shows and what its administrator shows, and write the audit policy."""
        folder = self.authority.folder
        admin = self.authority.client("test-admin", ["system:masters"])
        write_private(self.admin_certificate, admin.certificate)
        write_private(self.admin_key, admin.key)
        server = self.authority.server(["127.0.0.1", flags.KUBERNETES_SERVICE])
        policy = json.dumps(flags.AUDIT_POLICY).encode()
        return flags.ServerFiles(
            certificate=write_private(folder / "apiserver.crt", server.certificate),
            key=write_private(folder / "apiserver.key", server.key),
            authority=self.authority.certificate_file,
            service_account_key=self.authority.service_account_key_file,
            audit_policy=write_private(self._state / "audit-policy.json", policy),
        )

    def write_admin_kubeconfig(self, path: Path, url: str) -> None:
        """The kubeconfig of the administrator whose certificate was written last."""
        user = {"client-certificate": str(self.admin_certificate), "client-key": str(self.admin_key)}
        write_private(path, self.authority.kubeconfig(url, user).encode())

    def kubeconfig_of_user(self, url: str, user: str, groups: Sequence[str], namespace: str | None) -> Path:
        """A kubeconfig with a client certificate made for the purpose."""
        shown = certificate_user(self.authority.client(user, groups))
        return self._kubeconfig(url, ["user", user, *groups], shown, namespace)

    def kubeconfig_of_service_account(self, url: str, namespace: str, name: str, token: str) -> Path:
        """A kubeconfig with a token."""
        return self._kubeconfig(url, ["service-account", namespace, name], {"token": token}, namespace)

    def _kubeconfig(self, url: str, identity: Sequence[str], user: dict[str, Any], namespace: str | None) -> Path:
        folder = self._state / "kubeconfigs"
        folder.mkdir(mode=0o700, exist_ok=True)
        words = re.sub(r"[^a-z0-9]+", "-", " ".join(identity).lower()).strip("-")[:60]
        unique = hashlib.sha256("\0".join([*identity, namespace or ""]).encode()).hexdigest()[:8]
        document = self.authority.kubeconfig(url, user, namespace)
        return write_private(folder / f"{words}-{unique}.kubeconfig", document.encode())
