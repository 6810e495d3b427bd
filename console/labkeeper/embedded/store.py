"""Keeps the lab's objects where there is no Kubernetes: in memory, and in one file so that their uids survive.

The uids matter: they are how Prefect's objects know their owner. Behaves towards the controller as an API server does:
generations count changes of the spec, resource versions count changes, finalizers hold a deleted object back.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labkeeper_api.kinds import LabObject
from labkeeper_api.meta import FINALIZER
from labkeeper_operator.objects import Key

Listener = Callable[[dict[str, Any]], None]


class ObjectStore:
    """The objects of one embedded lab; a `labkeeper_operator.ports.Cluster`."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file that the objects are kept in; None keeps them in memory only."""
        self._path = path
        self._objects: dict[Key, dict[str, Any]] = {}
        self._version = 0
        self.on_change: Listener = _unheard
        self.on_delete: Listener = _unheard
        if path is not None and path.exists():
            for raw in json.loads(path.read_text(encoding="utf-8")):
                self._objects[_key(raw)] = raw
                self._version = max(self._version, int(raw["metadata"]["resourceVersion"]))

    def all(self) -> list[dict[str, Any]]:
        """Every object."""
        return [copy.deepcopy(raw) for raw in self._objects.values()]

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, or None."""
        raw = self._objects.get(Key(kind, namespace, name))
        return copy.deepcopy(raw) if raw is not None else None

    def apply(self, obj: LabObject) -> bool:
        """Create the object or give it that spec; whether that changed anything."""
        wanted = obj.model_dump(mode="json", by_alias=True, exclude_none=True)
        key = Key(obj.kind, obj.metadata.namespace, obj.metadata.name)
        old = self._objects.get(key)
        if old is not None and old["spec"] == wanted["spec"]:
            return False
        metadata = dict(old["metadata"]) if old is not None else self._new_metadata(obj)
        metadata["generation"] = metadata.get("generation", 0) + 1
        status = {"status": old["status"]} if old is not None and "status" in old else {}
        self._keep(
            {
                "apiVersion": wanted["apiVersion"],
                "kind": obj.kind,
                "metadata": metadata,
                "spec": wanted["spec"],
                **status,
            }
        )
        return True

    def remove(self, key: Key) -> None:
        """Ask for the deletion of an object."""
        raw = self._objects.get(key)
        if raw is None:
            return
        if not raw["metadata"].get("finalizers"):
            self._drop(key)
        elif "deletionTimestamp" not in raw["metadata"]:
            metadata = {**raw["metadata"], "deletionTimestamp": _now()}
            self._keep({**raw, "metadata": metadata})

    def keys(self, kinds: Iterable[str] | None = None) -> list[Key]:
        """The keys of all objects, or of those of some kinds."""
        return [key for key in self._objects if kinds is None or key.kind in kinds]

    # labkeeper_operator.ports.Cluster

    async def add_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Hold the object back on deletion."""
        return self._with_metadata(obj, finalizers=[*obj.metadata.finalizers, FINALIZER])

    async def remove_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Let a deleted object go."""
        left = [name for name in obj.metadata.finalizers if name != FINALIZER]
        key = Key(obj.kind, obj.metadata.namespace, obj.metadata.name)
        raw = self._with_metadata(obj, finalizers=left)
        if raw is not None and not left and "deletionTimestamp" in raw["metadata"]:
            self._drop(key)
            return None
        return raw

    async def write_status(self, obj: LabObject, status: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the object's status."""
        raw = self._same(obj)
        return self._keep({**raw, "status": status}, tell=False) if raw is not None else None

    async def delete(self, obj: LabObject) -> None:
        """Ask for the object's deletion."""
        self.remove(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))

    # Inside.

    def _same(self, obj: LabObject) -> dict[str, Any] | None:
        raw = self._objects.get(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))
        return raw if raw is not None and raw["metadata"]["uid"] == obj.metadata.uid else None

    def _with_metadata(self, obj: LabObject, **changes: Any) -> dict[str, Any] | None:
        raw = self._same(obj)
        if raw is None:
            return None
        return self._keep({**raw, "metadata": {**raw["metadata"], **changes}}, tell=False)

    def _new_metadata(self, obj: LabObject) -> dict[str, Any]:
        return {
            "name": obj.metadata.name,
            "namespace": obj.metadata.namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": _now(),
            "labels": obj.metadata.labels,
            "annotations": obj.metadata.annotations,
        }

    def _keep(self, raw: dict[str, Any], *, tell: bool = True) -> dict[str, Any]:
        self._version += 1
        raw = {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self._version)}}
        self._objects[_key(raw)] = raw
        self._save()
        if tell:
            self.on_change(copy.deepcopy(raw))
        return copy.deepcopy(raw)

    def _drop(self, key: Key) -> None:
        raw = self._objects.pop(key)
        self._save()
        self.on_delete(raw)

    def _save(self) -> None:
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(list(self._objects.values())), encoding="utf-8")
        temporary.replace(self._path)


def _key(raw: dict[str, Any]) -> Key:
    return Key(raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"])


def _now() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _unheard(raw: dict[str, Any]) -> None:
    """Nobody listens yet."""
