"""Reads manifests: YAML text to objects of the kinds, with everything that is wrong at once and on which line.

No I/O: text comes in, objects or problems come out. Not for what only a running lab knows (whether a pool exists).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import BY_KIND, LabObject
from labkeeper_api.meta import API_VERSION, DNS_LABEL
from labkeeper_api.suggestions import did_you_mean

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64

NodePath = tuple[str | int, ...]
"""Where something stands in a document: keys and indices."""


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
        return _line(self.lines, path)

    def problem(self, path: Sequence[str | int], message: str, hint: str = "") -> Problem:
        """A problem with the part at `path`."""
        return Problem(format_path(path), message, hint, self.line_of(*path), self.source)


@dataclass
class Parsed:
    """What a file holds, as far as it could be read."""

    manifests: list[Manifest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str | bytes, source: str = "") -> Parsed:
    """Read all objects of a manifest file. Never raises for bad input: what is wrong is in `problems`."""
    parsed = Parsed()
    try:
        content = _decoded(text)
        nodes = [node for node in yaml.compose_all(content, Loader=yaml.SafeLoader) if not _is_empty(node)]
    except (InvalidInput, yaml.YAMLError, RecursionError) as error:
        parsed.problems.append(_syntax_problem(error, source))
        return parsed
    if not nodes:
        parsed.problems.append(Problem("", "the file holds no object", "it is empty or only comments", 1, source))
    for node in nodes:
        _document(node, source, parsed)
    _distinct(parsed)
    return parsed


def load(text: str | bytes, source: str = "") -> list[Manifest]:
    """Read all objects of a manifest file. Raises `InvalidInput` with everything that is wrong."""
    parsed = parse(text, source)
    if parsed.problems:
        raise InvalidInput(parsed.problems)
    return parsed.manifests


def format_path(path: Sequence[str | int]) -> str:
    """`spec.schedules[0].cron` for ("spec", "schedules", 0, "cron")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


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
        problems.append(Problem(format_path(path), message, hint, _line(lines or {}, path), source))
    return problems


def _is_empty(node: Node | None) -> bool:
    """Whether nothing stands between two document marks."""
    return node is None or (isinstance(node, ScalarNode) and node.tag.endswith(":null"))


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise InvalidInput([Problem("", f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")])
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise InvalidInput([Problem("", "the file is not UTF-8 text", line=line)]) from error


def _syntax_problem(error: Exception, source: str) -> Problem:
    if isinstance(error, InvalidInput):
        first = error.problems[0]
        return Problem("", first.message, first.hint, first.line, source)
    if isinstance(error, RecursionError):
        return Problem("", "the document is nested too deeply", source=source)
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    text = f"not valid YAML: {message}" + (f" {context}" if context else "")
    line = mark.line + 1 if mark else getattr(error, "position", None) and 1
    return Problem("", text, "", line, source)


def _document(node: Node, source: str, parsed: Parsed) -> None:
    lines: dict[NodePath, int] = {}
    problems = list(_walk(node, (), lines, source))
    if problems:
        parsed.problems.extend(problems)
        return
    if not isinstance(node, MappingNode):
        parsed.problems.append(
            Problem(
                "",
                "a manifest is a mapping with apiVersion, kind, metadata and spec",
                "this one is a list or a single value",
                node.start_mark.line + 1,
                source,
            )
        )
        return
    try:
        data = _constructed(node)
    except (ConstructorError, ValueError, TypeError, OverflowError, RecursionError) as error:
        parsed.problems.append(_syntax_problem(error, source))
        return
    if data.get("kind") == "List" and isinstance(data.get("items"), list):
        for item in _list_items(node):
            _document(item, source, parsed)
        return
    _object(data, lines, source, parsed)


def _constructed(node: MappingNode) -> dict[str, Any]:
    loader = yaml.SafeLoader("")
    try:
        data = loader.construct_document(node)
    finally:
        loader.dispose()
    return dict(data)


def _list_items(node: MappingNode) -> list[Node]:
    for key, value in node.value:
        if getattr(key, "value", None) == "items" and isinstance(value, SequenceNode):
            return list(value.value)
    return []


def _walk(node: Node, path: NodePath, lines: dict[NodePath, int], source: str) -> Iterator[Problem]:
    """Note the line of every part; refuse what YAML allows and an API object cannot hold."""
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if len(path) > MAX_DEPTH:
        yield Problem(format_path(path[:3]) + "…", "is nested too deeply", "", line, source)
    elif isinstance(node, MappingNode):
        yield from _walk_mapping(node, path, lines, source)
    elif isinstance(node, SequenceNode):
        for index, child in enumerate(node.value):
            yield from _walk(child, (*path, index), lines, source)
    elif isinstance(node, ScalarNode) and node.tag.endswith(":float") and not math.isfinite(_number(node.value)):
        yield Problem(format_path(path), f"{node.value} is not a number that JSON can hold", "", line, source)
    elif isinstance(node, ScalarNode) and node.tag.endswith(":binary"):
        yield Problem(format_path(path), "binary data has no place here", "", line, source)


def _walk_mapping(node: MappingNode, path: NodePath, lines: dict[NodePath, int], source: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            yield Problem(format_path(path), "a key must be a single word", "", line, source)
            continue
        name = str(key.value)
        if name in seen:
            yield Problem(format_path((*path, name)), "stands twice", "keep one of the two", line, source)
        seen.add(name)
        lines[*path, name] = line
        yield from _walk(child, (*path, name), lines, source)


def _number(text: str) -> float:
    try:
        return float(text.replace("_", "").replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf"))
    except ValueError:
        return math.nan if "nan" in text.lower() else 0.0


def _object(data: dict[str, Any], lines: Mapping[NodePath, int], source: str, parsed: Parsed) -> None:
    line = lines.get((), 1)
    version, kind = data.get("apiVersion"), data.get("kind")
    if version != API_VERSION:
        found = "is missing" if version is None else f"is {version!r}"
        where = _line(lines, ("apiVersion",)) or line
        parsed.problems.append(Problem("apiVersion", found, f"Labkeeper's kinds are {API_VERSION}", where, source))
        return
    model = BY_KIND.get(kind) if isinstance(kind, str) else None
    if model is None:
        hint = did_you_mean(str(kind), BY_KIND) or f"the kinds are {', '.join(BY_KIND)}"
        message = "is missing" if kind is None else f"unknown kind {kind!r}"
        parsed.problems.append(Problem("kind", message, hint, _line(lines, ("kind",)) or line, source))
        return
    data.pop("status", None)
    problems = _name_problems(data, lines, source)
    try:
        built = model.model_validate(data)
    except ValidationError as error:
        parsed.problems.extend([*problems, *validation_problems(error, source, lines, model)])
        return
    except RecursionError:
        parsed.problems.append(Problem("", "the document is nested too deeply", "", line, source))
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
                    _line(lines, ("metadata", key)),
                    source,
                )
            )
    return problems


def _is_dns_label(text: str) -> bool:
    return re.fullmatch(DNS_LABEL.strip("^$"), text) is not None


def _distinct(parsed: Parsed) -> None:
    seen: dict[tuple[str, str, str], Manifest] = {}
    for manifest in parsed.manifests:
        meta = manifest.object.metadata
        key = (manifest.object.kind, meta.namespace, meta.name)
        if key in seen:
            first = seen[key].line_of("metadata", "name")
            parsed.problems.append(
                manifest.problem(
                    ("metadata", "name"), f"{key[0]} {meta.key} stands twice", f"the first is on line {first}"
                )
            )
        seen[key] = manifest


def _line(lines: Mapping[NodePath, int], path: Sequence[str | int]) -> int | None:
    for length in range(len(path), -1, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


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
