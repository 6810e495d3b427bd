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


_APPLIED = ("apiVersion", "kind", "metadata", "spec")


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
        told = {"labels": obj.metadata.labels, "annotations": obj.metadata.annotations}
        if old is None:
            metadata = {**self._new_metadata(obj), **told}
            self._keep({name: metadata if name == "metadata" else wanted[name] for name in _APPLIED})
            return True
        changed = old["spec"] != wanted["spec"]
        metadata = {**old["metadata"], **told, "generation": old["metadata"]["generation"] + changed}
        if not changed and metadata == old["metadata"]:
            return False
        self._keep({**old, "metadata": metadata, "spec": wanted["spec"]})
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
        return self._with_finalizers(obj, lambda names: [*(name for name in names if name != FINALIZER), FINALIZER])

    async def remove_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Let a deleted object go."""
        raw = self._with_finalizers(obj, lambda names: [name for name in names if name != FINALIZER])
        if raw is not None and not raw["metadata"]["finalizers"] and "deletionTimestamp" in raw["metadata"]:
            self._drop(_key(raw))
            return None
        return raw

    async def write_status(self, obj: LabObject, status: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the object's status."""
        raw = self._same(obj)
        written = {**raw, "status": copy.deepcopy(status)} if raw is not None else None
        return self._keep(written, tell=False) if written is not None else None

    async def delete(self, obj: LabObject) -> None:
        """Ask for the object's deletion."""
        if self._same(obj) is not None:
            self.remove(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))

    # Inside.

    def _same(self, obj: LabObject) -> dict[str, Any] | None:
        raw = self._objects.get(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))
        return raw if raw is not None and raw["metadata"]["uid"] == obj.metadata.uid else None

    def _with_finalizers(self, obj: LabObject, change: Callable[[list[str]], list[str]]) -> dict[str, Any] | None:
        raw = self._same(obj)
        if raw is None:
            return None
        names = change(raw["metadata"].get("finalizers", []))
        return self._keep({**raw, "metadata": {**raw["metadata"], "finalizers": names}}, tell=False)

    def _new_metadata(self, obj: LabObject) -> dict[str, Any]:
        return {
            "name": obj.metadata.name,
            "namespace": obj.metadata.namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": _now(),
            "generation": 1,
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
