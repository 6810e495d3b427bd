"""How a command reaches the lab: the one it keeps itself, or one that another process keeps in the same home."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from labkeeper.embedded.lab import EmbeddedLab, LabPaths
from labkeeper_api.kinds import LabObject
from labkeeper_api.manifests import ConfigMap
from labkeeper_operator.objects import Key


class LabAccess(Protocol):
    """What a command needs of a lab."""

    home: Path
    ui_url: str
    api_url: str

    def apply(self, objects: Iterable[LabObject], folder: Path, config_maps: Iterable[ConfigMap] = ()) -> None:
        """Take in objects; paths in them are relative to `folder`."""

    def read(self, key: Key) -> dict[str, Any] | None:
        """An object as it is now."""

    def delete(self, obj: LabObject) -> None:
        """Ask for the deletion of an object."""


class OwnLab:
    """The lab that this process keeps."""

    def __init__(self, lab: EmbeddedLab) -> None:
        self._lab = lab
        self.home = lab.paths.home
        self.ui_url = lab.server.url
        self.api_url = lab.server.api_url

    def apply(self, objects: Iterable[LabObject], folder: Path, config_maps: Iterable[ConfigMap] = ()) -> None:
        """Take in objects; paths in them are relative to `folder`."""
        self._lab.apply(objects, folder, config_maps)

    def read(self, key: Key) -> dict[str, Any] | None:
        """An object as it is now."""
        return self._lab.store.get(key.kind, key.namespace, key.name)

    def delete(self, obj: LabObject) -> None:
        """Ask for the deletion of an object."""
        self._lab.remove(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))


@dataclass
class JoinedLab:
    """A lab that another process keeps: objects go in through its inbox and are read from its file."""

    home: Path
    ui_url: str
    api_url: str

    def apply(self, objects: Iterable[LabObject], folder: Path, config_maps: Iterable[ConfigMap] = ()) -> None:
        """Take in objects; paths in them are relative to `folder`."""
        raw = [obj.model_dump(mode="json", by_alias=True, exclude_none=True) for obj in objects]
        self._send({"objects": raw, "folder": str(folder), "configMaps": [found.wire() for found in config_maps]})

    def read(self, key: Key) -> dict[str, Any] | None:
        """An object as it is now."""
        path = LabPaths(self.home).objects
        if not path.exists():
            return None
        for raw in json.loads(path.read_text(encoding="utf-8")):
            metadata = raw["metadata"]
            if (raw["kind"], metadata["namespace"], metadata["name"]) == (key.kind, key.namespace, key.name):
                return dict(raw)
        return None

    def delete(self, obj: LabObject) -> None:
        """Ask for the deletion of an object."""
        self._send({"delete": {"kind": obj.kind, "namespace": obj.metadata.namespace, "name": obj.metadata.name}})

    def _send(self, letter: dict[str, Any]) -> None:
        inbox = LabPaths(self.home).inbox
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        (inbox / f"{name}.part").write_text(json.dumps(letter), encoding="utf-8")
        (inbox / f"{name}.part").rename(inbox / f"{name}.json")
