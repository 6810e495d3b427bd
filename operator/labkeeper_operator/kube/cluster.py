"""Writes to the Kubernetes API through the official client, in threads, since that client blocks. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import BY_KIND, LabObject, LabWorkflow
from labkeeper_api.meta import FINALIZER, GROUP, VERSION

T = TypeVar("T")

THREADS = 4
TIMEOUT_SECONDS = 30


class KubernetesCluster:
    """The objects of a cluster, as `ports.Cluster`."""

    def __init__(self, namespaces: tuple[str, ...] = ()) -> None:
        self._namespaces = namespaces
        self._api = client.CustomObjectsApi(client.ApiClient())
        self._core = client.CoreV1Api(self._api.api_client)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kubernetes")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True)
        self._api.api_client.close()

    async def list_all(self) -> list[dict[str, Any]]:
        """Every object of every kind. Raises `Waiting`."""
        found: list[dict[str, Any]] = []
        for kind in BY_KIND.values():
            for namespace in self._namespaces or (None,):
                listed = await self._call(self._list, kind.plural, namespace)
                if listed is None:
                    raise Waiting(
                        Reason.PROGRESSING,
                        f"the cluster does not know {kind.plural}.{GROUP}: apply the CustomResourceDefinitions of "
                        "charts/labkeeper/crds",
                        retry_after=5.0,
                    )
                # The items of a list carry no kind of their own.
                found.extend({**item, "kind": kind.kind_name()} for item in listed["items"])
        return found

    async def add_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Add ours to the finalizers, unless the object changed meanwhile."""
        return await self._patch_finalizers(obj, [*obj.metadata.finalizers, FINALIZER])

    async def remove_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Take ours out of the finalizers, unless the object changed meanwhile."""
        return await self._patch_finalizers(obj, [name for name in obj.metadata.finalizers if name != FINALIZER])

    async def write_status(self, obj: LabObject, status: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the status of this very object: one of the same name made since is left alone."""
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": obj.metadata.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        method = self._api.patch_namespaced_custom_object_status
        return await self._patch(method, obj, patch, "application/json-patch+json")

    async def delete(self, obj: LabObject) -> None:
        """Delete this very object."""
        precondition = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=obj.metadata.uid))
        await self._call(self._api.delete_namespaced_custom_object, *self._where(obj), body=precondition)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The `data` of a ConfigMap; None if there is none. Raises `Waiting`."""
        found = await self._call(self._core.read_namespaced_config_map, name, namespace)
        return None if found is None else dict(found.data or {})

    async def file(self, workflow: LabWorkflow, path: str) -> str:
        """Files of whoever wrote the manifest cannot be read here: says what to use instead. Raises `Stalled`."""
        raise Stalled(
            Reason.INVALID_DOCUMENT,
            f"a cluster cannot read the file {path!r} of LabWorkflow {workflow.metadata.name!r}: put it into a "
            "ConfigMap and name that with configMapRef",
        )

    async def _patch_finalizers(self, obj: LabObject, names: list[str]) -> dict[str, Any] | None:
        patch = {"metadata": {"finalizers": names, "resourceVersion": obj.metadata.resource_version}}
        method = self._api.patch_namespaced_custom_object
        return await self._patch(method, obj, patch, "application/merge-patch+json")

    async def _patch(
        self, method: Callable[..., Any], obj: LabObject, patch: Any, content_type: str
    ) -> dict[str, Any] | None:
        answer = await self._call(method, *self._where(obj), patch, _content_type=content_type)
        return None if answer is None else {**answer, "kind": obj.kind}

    def _list(self, plural: str, namespace: str | None, **options: Any) -> Any:
        if namespace is None:
            return self._api.list_cluster_custom_object(GROUP, VERSION, plural, **options)
        return self._api.list_namespaced_custom_object(GROUP, VERSION, namespace, plural, **options)

    def _where(self, obj: LabObject) -> tuple[str, str, str, str, str]:
        return GROUP, VERSION, obj.metadata.namespace, BY_KIND[obj.kind].plural, obj.metadata.name

    async def _call(self, method: Callable[..., T], *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        options["_request_timeout"] = TIMEOUT_SECONDS
        try:
            return await loop.run_in_executor(self._threads, lambda: method(*args, **options))
        except ApiException as error:
            if error.status == 404:
                return None
            raise _translated(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Waiting(
                Reason.PROGRESSING, f"the Kubernetes API does not answer: {error}", retry_after=1.0
            ) from error


def load_configuration() -> None:
    """Find the cluster: the service account of our pod, else KUBECONFIG or ~/.kube/config."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        config.load_kube_config()  # type: ignore[no-untyped-call]


def _translated(error: ApiException) -> Waiting:
    if error.status in (409, 422):
        return Waiting(Reason.PROGRESSING, "the object changed meanwhile", retry_after=0.2)
    return Waiting(Reason.PROGRESSING, f"the Kubernetes API answered {error.status}: {error.reason}", retry_after=1.0)
