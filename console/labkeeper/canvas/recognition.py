"""Tells manifests, canvases and protocols apart by what they hold. Not for checking them. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Kind(StrEnum):
    """What a file is."""

    MANIFEST = "manifest"
    CANVAS = "canvas"
    PROTOCOL = "protocol"


@dataclass(frozen=True)
class Document:
    """A canvas or protocol with its text. `source` is the file's name for messages."""

    kind: Kind
    source: str
    text: bytes

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.source)


_CANVAS_KEYS = frozenset({"nodes", "workflow", "global_config", "experiments"})
_PROTOCOL_KEYS = frozenset({"schemaVersion", "$otSharedSchema", "designerApplication"})


def recognise(name: str, text: bytes, *, among_others: bool = False) -> Kind:
    """What a file of that name with that text is.

    A file that is none of them clearly is taken for what its name suggests, so that what is wrong is said in words that
    fit. With `among_others`, as in a folder, only what clearly is a canvas is one, and Python files are not looked at.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".py":
        return Kind.MANIFEST if among_others else Kind.PROTOCOL
    if suffix in (".yaml", ".yml"):
        return Kind.MANIFEST
    unclear = Kind.CANVAS if suffix == ".json" and not among_others else Kind.MANIFEST
    if b"apiVersion" in text and not _is_json_without_it(text):
        return Kind.MANIFEST
    data = _data(text)
    if isinstance(data, dict):
        if _PROTOCOL_KEYS & set(data):
            return Kind.PROTOCOL
        if _CANVAS_KEYS & set(data):
            return Kind.CANVAS
    return unclear


def _is_json_without_it(text: bytes) -> bool:
    """Whether `apiVersion` only stands deeper in the text, as in a canvas that tells of an API."""
    data = _data(text)
    return isinstance(data, dict) and not {"apiVersion", "kind"} & set(data)


def _data(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
