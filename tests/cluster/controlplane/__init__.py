"""A real Kubernetes control plane for tests: etcd and kube-apiserver, built from Go modules, on 127.0.0.1.

Everything that the API server itself does is real: CRD schemas, CEL, admission, RBAC, audit, watches. There is no
controller manager, scheduler or node: no pod runs, nothing is garbage-collected through owner references, the
roles that are aggregated from others (`view`, `edit`, `admin`) are empty, and a namespace is emptied by
`ControlPlane.delete_namespace`. Those are for the cluster of `tests/e2e`.

    python -m tests.cluster.controlplane --help
"""

from tests.cluster.controlplane.binaries import Binaries, BuildError, ensure_built
from tests.cluster.controlplane.kubectl import KubectlError
from tests.cluster.controlplane.server import ControlPlane

__all__ = ["Binaries", "BuildError", "ControlPlane", "KubectlError", "ensure_built"]
