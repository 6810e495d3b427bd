"""Reads manifests: YAML text to objects of the kinds, with everything that is wrong at once and on which line.

No I/O: text comes in, objects or problems come out. Not for what only a running lab knows (whether a pool exists).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labkeeper_api.documents import Document, NodePath, format_path, nearest_line, read
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import BY_KIND, LabObject
from labkeeper_api.meta import API_VERSION, DNS_LABEL, GROUP
from labkeeper_api.suggestions import did_you_mean


@dataclass(frozen=True)
class Manifest:
    """One object of a manifest file and where its parts stand."""

    object: LabObject
    source: str
    lines: Mapping[NodePath, int]

    @property
    def folder(self) -> Path:
        """The folder of the file, which paths in the object are relative to."""
        return Path(self.source).absolute().parent

    def line_of(self, *path: str | int) -> int | None:
        """Line of the part at `path`, or of the nearest part around it that is there."""
        return nearest_line(self.lines, path)

    def problem(self, path: Sequence[str | int], message: str, hint: str = "") -> Problem:
        """A problem with the part at `path`."""
        return Problem(format_path(path), message, hint, self.line_of(*path), self.source)


@dataclass(frozen=True)
class ConfigMap:
    """A ConfigMap that stands beside the manifests: canvases and protocols are kept in them."""

    namespace: str
    name: str
    data: Mapping[str, str]
    source: str = ""
    lines: Mapping[NodePath, int] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        """As JSON-ready data, for `of`."""
        return {"namespace": self.namespace, "name": self.name, "data": dict(self.data)}

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> ConfigMap:
        """From what `wire` gave."""
        return cls(raw["namespace"], raw["name"], raw["data"])


@dataclass
class Parsed:
    """What a file holds, as far as it could be read.

    `foreign` counts the objects that are not Labkeeper's; ConfigMaps, which it only reads, are among them.
    """

    manifests: list[Manifest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    config_maps: list[ConfigMap] = field(default_factory=list)
    foreign: int = 0


def parse(text: str | bytes, source: str = "", *, among_others: bool = False) -> Parsed:
    """Read all objects of a manifest file. Never raises for bad input: what is wrong is in `problems`.

    With `among_others`, documents that clearly are not Labkeeper's (another API group, or neither `apiVersion` nor
    `kind`) are counted and passed over.
    """
    found = read(text, source)
    parsed = Parsed(problems=list(found.problems))
    for document in found.documents:
        if _is_config_map(document.data):
            parsed.foreign += 1
            _config_map(document, source, parsed)
        elif among_others and _is_foreign(document.data):
            parsed.foreign += 1
        else:
            _object(document, source, parsed)
    parsed.problems.extend(repeated(parsed.manifests))
    return parsed


def repeated(manifests: Sequence[Manifest]) -> list[Problem]:
    """Objects that stand in these manifests more than once."""
    first: dict[tuple[str, str], Manifest] = {}
    problems = []
    for manifest in manifests:
        meta = manifest.object.metadata
        earlier = first.setdefault((manifest.object.kind, meta.key), manifest)
        if earlier is not manifest:
            line = earlier.line_of("metadata", "name")
            where = f"on line {line}" if earlier.source == manifest.source else f"in {earlier.source}:{line}"
            message = f"{manifest.object.kind} {meta.key} stands twice"
            problems.append(manifest.problem(("metadata", "name"), message, f"the first is {where}"))
    return problems


def load(text: str | bytes, source: str = "") -> list[Manifest]:
    """Read all objects of a manifest file. Raises `InvalidInput` with everything that is wrong."""
    parsed = parse(text, source)
    if parsed.problems:
        raise InvalidInput(parsed.problems)
    return parsed.manifests


def validation_problems(
    error: ValidationError, source: str = "", lines: Mapping[NodePath, int] | None = None, model: Any = None
) -> list[Problem]:
    """Pydantic's findings as problems with path, line and, for unknown fields, what was probably meant."""
    problems = []
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        message, hint = item["msg"].removeprefix("Value error, "), ""
        if item["type"] == "extra_forbidden":
            message = f"unknown field {path[-1]!r}"
            hint = did_you_mean(str(path[-1]), _siblings(model, path[:-1]))
        elif item["type"] == "missing":
            message = "is missing"
        problems.append(Problem(format_path(path), message, hint, nearest_line(lines or {}, path), source))
    return problems


def _is_foreign(data: Any) -> bool:
    if not isinstance(data, dict):
        return True
    version, kind = data.get("apiVersion"), data.get("kind")
    ours = str(version).startswith(f"{GROUP}/") or (isinstance(kind, str) and kind.lower().startswith("lab"))
    return not ours


def _is_config_map(data: Any) -> bool:
    return isinstance(data, dict) and data.get("apiVersion") == "v1" and data.get("kind") == "ConfigMap"


def _config_map(document: Document, source: str, parsed: Parsed) -> None:
    metadata, data = document.data.get("metadata"), document.data.get("data") or {}
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        where = nearest_line(document.lines, ("metadata", "name"))
        parsed.problems.append(Problem("metadata.name", "is missing", "", where, source))
        return
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        where = nearest_line(document.lines, ("data",))
        parsed.problems.append(Problem("data", "must be a mapping of names to texts", "", where, source))
        return
    namespace = str(metadata.get("namespace") or "default")
    parsed.config_maps.append(ConfigMap(namespace, name, data, source, document.lines))


def _object(document: Document, source: str, parsed: Parsed) -> None:
    data, lines = document.data, document.lines
    line = lines[()]
    if not isinstance(data, dict):
        message = "a manifest is a mapping with apiVersion, kind, metadata and spec"
        parsed.problems.append(Problem("", message, "this one is a list or a single value", line, source))
        return
    version, kind = data.get("apiVersion"), data.get("kind")
    if version != API_VERSION:
        found = "is missing" if version is None else f"is {version!r}"
        where = nearest_line(lines, ("apiVersion",))
        parsed.problems.append(Problem("apiVersion", found, f"Labkeeper's kinds are {API_VERSION}", where, source))
        return
    model = BY_KIND.get(kind) if isinstance(kind, str) else None
    if model is None:
        hint = did_you_mean(str(kind), BY_KIND) or f"the kinds are {', '.join(BY_KIND)}"
        message = "is missing" if kind is None else f"unknown kind {kind!r}"
        parsed.problems.append(Problem("kind", message, hint, nearest_line(lines, ("kind",)), source))
        return
    data.pop("status", None)
    problems = _name_problems(data, lines, source)
    try:
        # By way of JSON and strictly, as the API server would take it: no text for a number, no Python names.
        built = model.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        parsed.problems.extend([*problems, *validation_problems(error, source, lines, model)])
        return
    parsed.problems.extend(problems)
    if not problems:
        parsed.manifests.append(Manifest(built, source, lines))


def _name_problems(data: Mapping[str, Any], lines: Mapping[NodePath, int], source: str) -> list[Problem]:
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        return []
    problems = []
    for key in ("name", "namespace"):
        value = metadata.get(key)
        if isinstance(value, str) and (len(value) > 63 or not _is_dns_label(value)):
            problems.append(
                Problem(
                    f"metadata.{key}",
                    f"{value!r} is no valid name",
                    "lower-case letters, digits and hyphens, at most 63",
                    nearest_line(lines, ("metadata", key)),
                    source,
                )
            )
    return problems


def _is_dns_label(text: str) -> bool:
    return re.fullmatch(DNS_LABEL.strip("^$"), text) is not None


def _siblings(model: Any, path: Sequence[str | int]) -> list[str]:
    """Names of the fields that stand where `path` leads."""
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        found = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        model = _model_of(found.annotation) if found else None
    return [f.alias or n for n, f in model.model_fields.items()] if model is not None else []


def _model_of(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_of(part)
        if found is not None:
            return found
    return None
