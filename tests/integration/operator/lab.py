"""One namespace of the lab as its user meets it, through kubectl; and the objects that tests put into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkeeper_api.kinds import KINDS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.controlplane import ControlPlane

Data = dict[str, Any]

MOVE = "plate-resort.activate-hotel"
"""A flow of the catalog that moves hardware; it needs parameter `hotel`."""
READ = "plate-resort.get-motor-health"
"""A flow of the catalog that only reads, so it may be tried again."""


def manifest(kind: str, name: str, **spec: Any) -> Data:
    """An object of one of the kinds."""
    return {"apiVersion": "labkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def pool(name: str = "pool", **spec: Any) -> Data:
    """A LabPool that device agents serve."""
    return manifest("LabPool", name, **{"type": "device", **spec})


def queues(*names: str) -> list[Data]:
    """Queues with the priorities 1, 2, 3 in this order."""
    return [{"name": name, "priority": priority} for priority, name in enumerate(names, 1)]


def workflow(name: str, **spec: Any) -> Data:
    """A LabWorkflow that moves hardware, on the pool of `pool()`."""
    return manifest("LabWorkflow", name, **{"flow": {"name": MOVE}, "placement": {"pool": "pool"}, **spec})


def run(name: str, of: str, **spec: Any) -> Data:
    """A LabRun of a LabWorkflow."""
    return manifest("LabRun", name, **{"workflowRef": {"name": of}, **spec})


@dataclass(frozen=True)
class LabNamespace:
    """A namespace and kubectl."""

    plane: ControlPlane
    name: str

    def kubectl(self, *args: str, check: bool = True, given: str | None = None) -> str:
        """Run kubectl in the namespace; what it printed."""
        done = self.plane.kubectl(*args, f"--namespace={self.name}", check=check, input=given)
        return done.stdout

    def apply(self, *objects: Data) -> None:
        """`kubectl apply`."""
        self.plane.apply(*({**each, "metadata": {**each["metadata"], "namespace": self.name}} for each in objects))

    def get(self, kind: str, name: str) -> Data:
        """The object."""
        return self.plane.get(kind, name, f"--namespace={self.name}")

    def exists(self, kind: str, name: str) -> bool:
        """Whether it is there, be it on its way out."""
        return bool(self.kubectl("get", kind, name, "--ignore-not-found", "--output=name"))

    def status(self, kind: str, name: str) -> Data:
        """The object's status, empty before the operator saw it."""
        return dict(self.get(kind, name).get("status", {}))

    def uid(self, kind: str, name: str) -> str:
        """The object's uid."""
        return str(self.get(kind, name)["metadata"]["uid"])

    def patch(self, kind: str, name: str, **spec: Any) -> None:
        """Change fields of the spec; None removes one."""
        self.kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """`kubectl delete`, which waits until the operator lets it go."""
        self.kubectl("delete", kind, name, f"--wait={str(wait).lower()}", "--timeout=30s")

    def wait(self, kind: str, *names: str, condition: str = "Ready", timeout: float = 30.0) -> None:
        """`kubectl wait --for=condition=...`."""
        self.kubectl("wait", f"--for=condition={condition}", f"--timeout={timeout:g}s", *(f"{kind}/{n}" for n in names))

    def condition(self, kind: str, name: str, type_: str = "Ready") -> Data:
        """One condition; empty when it was never said."""
        return self.conditions(kind, name).get(type_, {})

    def conditions(self, kind: str, name: str) -> dict[str, Data]:
        """All conditions by type."""
        return {condition["type"]: condition for condition in self.status(kind, name).get("conditions", [])}

    def wait_reason(self, kind: str, name: str, reason: str, *, timeout: float = 30.0) -> Data:
        """Wait until Ready has this reason and speaks of the present spec; the conditions by type."""

        def there() -> dict[str, Data] | str:
            found = self.get(kind, name)
            status = found.get("status", {})
            by_type = {condition["type"]: condition for condition in status.get("conditions", [])}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return by_type if current and by_type["Ready"]["reason"] == reason else {}

        return dict(self._eventually(kind, name, there, f"reason {reason}", timeout))

    def wait_stalled(self, kind: str, name: str, reason: str, *, timeout: float = 30.0) -> str:
        """Wait until it is Stalled with this reason, as kstatus asks; what it says."""
        found = self.wait_reason(kind, name, reason, timeout=timeout)
        assert found["Ready"]["status"] == "False"
        assert found["Stalled"]["status"] == "True"
        assert found["Stalled"]["reason"] == reason
        assert "Reconciling" not in found
        return str(found["Stalled"]["message"])

    def wait_current(self, kind: str, name: str, *, timeout: float = 30.0) -> Data:
        """Wait until it is Ready and says so of the present generation; the whole object."""

        def there() -> Data:
            found = self.get(kind, name)
            status = found.get("status", {})
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
            return found if ready and status["observedGeneration"] == found["metadata"]["generation"] else {}

        return dict(self._eventually(kind, name, there, "Ready of its present generation", timeout))

    def clear(self) -> None:
        """Delete every object of the lab, and wait until the operator has let all go."""
        kinds = [kind.plural for kind in KINDS if kind.plural not in ("labpools", "labworkflows")]
        for group in (",".join(kinds), "labworkflows", "labpools"):
            self.kubectl("delete", group, "--all", "--timeout=60s")

    def _eventually(self, kind: str, name: str, there: Callable[[], Any], what: str, timeout: float) -> Any:
        try:
            return eventually(there, timeout, what=f"{kind} {name}: {what}")
        except AssertionError as error:
            found = json.dumps(self.status(kind, name), indent=1) if self.exists(kind, name) else "it is gone"
            raise AssertionError(f"{error}\nits status: {found}") from None
