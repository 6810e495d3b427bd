"""Delete a namespace the way the namespace controller does, for a control plane that has no controllers.

Unlike the controller it also strips finalizers: the operator that would answer them ended with its test.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import subprocess

_NO_FINALIZERS = json.dumps({"metadata": {"finalizers": None}})


class RunKubectl(Protocol):
    """`ControlPlane.kubectl`."""

    def __call__(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 (the name that it has there)
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]: ...


def delete(kubectl: RunKubectl, name: str) -> None:
    """Delete the namespace, so that nothing new gets in; empty it; and finalize it."""
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
    _empty(kubectl, name)
    _finalize(kubectl, name)


def _empty(kubectl: RunKubectl, name: str) -> None:
    listed = kubectl("api-resources", "--namespaced", "--verbs=list,delete", "--output=name", "--cached=false")
    kinds = ",".join(sorted(listed.stdout.split()))
    if items := _items(kubectl, kinds, name):
        options = ("--wait=false", "--grace-period=0", "--force", "--ignore-not-found")
        kubectl("delete", f"--namespace={name}", *options, *(_reference(item) for item in items))
        items = _items(kubectl, kinds, name)
    for item in items:
        # An object can end between the two calls: whether all are gone is asked below.
        arguments = (_reference(item), f"--namespace={name}", "--type=merge", f"--patch={_NO_FINALIZERS}")
        kubectl("patch", *arguments, check=False)
    if items and (left := _items(kubectl, kinds, name)):
        found = ", ".join(_reference(item) for item in left)
        raise RuntimeError(f"namespace {name} cannot be emptied; left: {found}")


def _items(kubectl: RunKubectl, kinds: str, name: str) -> list[dict[str, Any]]:
    answer = kubectl("get", kinds, f"--namespace={name}", "--output=json")
    items: list[dict[str, Any]] = json.loads(answer.stdout)["items"]
    return items


def _reference(item: dict[str, Any]) -> str:
    """As kubectl takes it: `LabPool.v1alpha1.labkeeper.dev/name`."""
    group, _, version = item["apiVersion"].rpartition("/")
    return f"{item['kind']}.{version}.{group}/{item['metadata']['name']}"


def _finalize(kubectl: RunKubectl, name: str) -> None:
    answer = kubectl("get", "namespace", name, "--output=json", "--ignore-not-found")
    if not answer.stdout:
        return
    namespace = json.loads(answer.stdout)
    namespace["spec"]["finalizers"] = []
    kubectl("replace", f"--raw=/api/v1/namespaces/{name}/finalize", "--filename=-", input=json.dumps(namespace))
