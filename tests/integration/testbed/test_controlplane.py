"""What the control plane does with objects: it is a real API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.controlplane import ControlPlane, KubectlError
from tests.cluster.controlplane.binaries import kubernetes_version
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

CEL_MESSAGE = "a shelf has at least as many levels as plates: raise levels or take plates away"

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shelves.testbed.labkeeper.dev"},
    "spec": {
        "group": "testbed.labkeeper.dev",
        "scope": "Namespaced",
        "names": {"kind": "Shelf", "plural": "shelves", "singular": "shelf", "listKind": "ShelfList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "levels": {"type": "integer"},
                                    "plates": {"type": "integer", "default": 0},
                                },
                                "required": ["levels"],
                                "x-kubernetes-validations": [
                                    {"rule": "self.plates <= self.levels", "message": CEL_MESSAGE}
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


def shelf(namespace: str, name: str = "left", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "testbed.labkeeper.dev/v1",
        "kind": "Shelf",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def config_map(namespace: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"volume": "200 ul"},
    }


@pytest.fixture(scope="module")
def shelves(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The shared control plane with the CRD applied."""
    control_plane.install_crds(CRD)
    yield control_plane
    control_plane.kubectl("delete", "crd", CRD["metadata"]["name"])


def test_server_and_kubectl_are_the_pinned_version(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "--output=json").stdout)
    assert versions["serverVersion"]["gitVersion"] == kubernetes_version()
    assert versions["clientVersion"]["gitVersion"] == kubernetes_version()
    assert versions["serverVersion"]["minor"] == kubernetes_version().split(".")[1]


def test_a_crd_gives_its_defaults(shelves: ControlPlane, namespace: str) -> None:
    shelves.apply(shelf(namespace, levels=4))
    assert shelves.get("shelf", "left", f"--namespace={namespace}")["spec"] == {"levels": 4, "plates": 0}


def test_an_unknown_field_is_refused_by_strict_validation(shelves: ControlPlane, namespace: str) -> None:
    with pytest.raises(KubectlError, match=r'strict decoding error: unknown field "spec\.colour"'):
        shelves.apply(shelf(namespace, levels=4, colour="red"))


def test_a_cel_rule_answers_with_its_message(shelves: ControlPlane, namespace: str) -> None:
    with pytest.raises(KubectlError, match=CEL_MESSAGE):
        shelves.apply(shelf(namespace, levels=4, plates=5))


def test_kubectl_fails_with_what_it_said_or_returns_it(control_plane: ControlPlane) -> None:
    answer = control_plane.kubectl("get", "namespace", "nowhere", check=False)
    assert answer.returncode == 1
    assert "NotFound" in answer.stderr
    with pytest.raises(KubectlError, match="kubectl get namespace nowhere ended with exit code 1"):
        control_plane.kubectl("get", "namespace", "nowhere")


def test_a_named_user_may_do_only_what_is_bound_and_is_audited(control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = control_plane.kubeconfig_for("ada", ["scientists"], namespace=namespace)
    who = control_plane.kubectl("auth", "whoami", "--output=json", kubeconfig=kubeconfig)
    info = json.loads(who.stdout)["status"]["userInfo"]
    assert info["username"] == "ada"
    assert info["groups"] == ["scientists", "system:authenticated"]

    with pytest.raises(KubectlError, match=r'Forbidden.*User "ada" cannot list resource "configmaps"'):
        control_plane.get("configmaps", kubeconfig=kubeconfig)
    assert ("ada", "list", "configmaps", 403) in audited(control_plane, namespace)

    where = f"--namespace={namespace}"
    control_plane.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps", where)
    control_plane.kubectl("create", "rolebinding", "readers", "--role=reader", "--group=scientists", where)
    # The API server learns of a new binding by watching, a moment later.
    found = eventually(lambda: control_plane.get("configmaps", kubeconfig=kubeconfig), retry_on=(KubectlError,))
    assert found["items"] == []
    with pytest.raises(KubectlError, match="configmaps is forbidden"):
        control_plane.kubectl("create", "configmap", "mine", kubeconfig=kubeconfig)


def audited(plane: ControlPlane, namespace: str) -> set[tuple[str, str, str, int]]:
    """User, verb, resource and status of each request to a namespace."""
    assert plane.audit_log is not None
    entries = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    assert {entry["level"] for entry in entries} == {"Metadata"}
    return {
        (entry["user"]["username"], entry["verb"], entry["objectRef"]["resource"], entry["responseStatus"]["code"])
        for entry in entries
        if entry.get("objectRef", {}).get("namespace") == namespace and "responseStatus" in entry
    }


def test_a_service_account_is_known_by_its_token(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "agent", f"--namespace={namespace}")
    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "agent")
    who = control_plane.kubectl("auth", "whoami", "--output=json", kubeconfig=kubeconfig)
    assert json.loads(who.stdout)["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:agent"
    with pytest.raises(KubectlError, match="Forbidden"):
        control_plane.get("secrets", kubeconfig=kubeconfig)


def test_a_namespace_goes_with_all_that_is_in_it(shelves: ControlPlane) -> None:
    name = "testbed-doomed"
    shelves.create_namespace(name)
    shelves.apply(
        shelf(name, levels=1),
        config_map(name, "held", finalizers=["testbed.labkeeper.dev/nobody-answers"]),
        config_map(name, "free"),
    )
    shelves.delete_namespace(name)
    shelves.delete_namespace(name)  # again: nothing is there, and that is fine
    shelves.create_namespace(name)
    assert shelves.get("shelf,configmap", f"--namespace={name}")["items"] == []
    shelves.delete_namespace(name)
