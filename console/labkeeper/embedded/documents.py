"""Where an embedded lab has its canvases and protocols: ConfigMaps of its manifests, and files beside these.

Kept in one file, so that a lab that is started again on its objects alone finds them. A `labkeeper_operator.sources.
DocumentSource`. Not for checking what the documents say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled
from labkeeper_api.kinds import LabWorkflow


class Documents:
    """ConfigMaps by namespace and name, and the folder that each workflow's file is relative to."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file that they are kept in; None keeps them in memory only."""
        self._path = path
        self._config_maps: dict[str, dict[str, str]] = {}
        self._folders: dict[str, str] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            self._config_maps, self._folders = kept["configMaps"], kept["folders"]

    def put(self, namespace: str, name: str, data: Mapping[str, str]) -> None:
        """Create or replace a ConfigMap."""
        if self._config_maps.get(f"{namespace}/{name}") != data:
            self._config_maps[f"{namespace}/{name}"] = dict(data)
            self._save()

    def place(self, workflow: LabWorkflow, folder: Path) -> None:
        """Note the folder of the manifest that a workflow came from."""
        if self._folders.get(workflow.metadata.key) != str(folder):
            self._folders[workflow.metadata.key] = str(folder)
            self._save()

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The `data` of a ConfigMap; None if there is none."""
        return self._config_maps.get(f"{namespace}/{name}")

    async def file(self, workflow: LabWorkflow, path: str) -> str:
        """The text of a file that a workflow names. Raises `Stalled`."""
        file = Path(self._folders.get(workflow.metadata.key, ".")) / path
        try:
            return await asyncio.to_thread(file.read_text, "utf-8")
        except OSError as error:
            raise Stalled(Reason.DOCUMENT_NOT_FOUND, f"{file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Stalled(Reason.INVALID_DOCUMENT, f"{file} is not UTF-8 text") from error

    def _save(self) -> None:
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps({"configMaps": self._config_maps, "folders": self._folders}), encoding="utf-8")
        temporary.replace(self._path)
