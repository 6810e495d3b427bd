"""Reads YAML and JSON as kubectl does: JSON data, the line of every part, and all that cannot be such data.

No I/O. Values are resolved as by `sigs.k8s.io/yaml`, which kubectl uses, and not as by PyYAML: `12:30` and `2026-01-02`
are text, `1e-6` is a number. Not for what the data mean: that is `manifests`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from labkeeper_api.errors import Problem

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Values of a file once its aliases are followed; an object that a cluster keeps holds far fewer."""

NodePath = tuple[str | int, ...]
"""Where something stands in a document: keys and indices."""

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TAG = "tag:yaml.org,2002:"
_RESOLVED = {
    "merge": r"<<",
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF",
    "int": r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


@dataclass
class Document:
    """One document: its data, and the line of each part, counted from 1 at the start of the file."""

    data: Any
    lines: dict[NodePath, int]


@dataclass
class Documents:
    """What a file holds, as far as it could be read."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read(text: str | bytes, source: str = "") -> Documents:
    """Read all documents of a file, those in a `List` each for itself. Never raises for bad input."""
    found = Documents()
    try:
        roots = _composed(_decoded(text))
        if not roots:
            found.problems.append(Problem("", "the file holds no object", "it is empty or only comments", 1, source))
        builder = _Builder(source)
        for root in roots:
            for node in _objects(root, source, found.problems):
                _build(node, builder, found)
    except _Refused as error:
        found.problems.append(Problem("", str(error), "", error.line, source))
    return found


def format_path(path: Sequence[str | int]) -> str:
    """`spec.schedules[0].cron` for ("spec", "schedules", 0, "cron")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def nearest_line(lines: Mapping[NodePath, int], path: Sequence[str | int]) -> int | None:
    """Line of the part at `path`, or of the nearest part around it that is there."""
    for length in range(len(path), -1, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


class _Refused(Exception):
    """The whole file is refused; on which line, if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class DocumentLoader(yaml.SafeLoader):
    """PyYAML's reader with kubectl's idea of plain values and a bound on nesting."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                raise _Refused("is nested too deeply", self.line + 1)
            node: Node | None = super().compose_node(parent, index)
            return node
        finally:
            self.depth -= 1


for _name, _pattern in _RESOLVED.items():
    DocumentLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), None)


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise _Refused(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    if isinstance(text, str):
        return _without_tabs(text)
    try:
        return _without_tabs(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _Refused("the file is not UTF-8 text", text.count(b"\n", 0, error.start) + 1) from error


def _without_tabs(text: str) -> str:
    """JSON may be indented with tabs, and a string in JSON holds none. YAML is left as it is."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _composed(text: str) -> list[Node]:
    loader = None
    roots: list[Node] = []
    try:
        loader = DocumentLoader(text)
        while loader.check_node():
            root = loader.get_node()
            if root is not None and root.tag != _TAG + "null":
                roots.append(root)
    except yaml.YAMLError as error:
        raise _Refused(*_syntax(error, text)) from error
    except (ValueError, OverflowError) as error:
        # PyYAML converts the digits of escapes and directives without looking at their size.
        raise _Refused(f"not valid YAML: {error}", loader.line + 1 if loader else 1) from error
    finally:
        if loader is not None:
            loader.dispose()
    return roots


def _syntax(error: yaml.YAMLError, text: str) -> tuple[str, int | None]:
    if isinstance(error, yaml.reader.ReaderError):
        return f"not valid YAML: {error.reason}", text.count("\n", 0, error.position) + 1
    mark = getattr(error, "problem_mark", None)
    message = " ".join(part for part in (getattr(error, "problem", None), getattr(error, "context", None)) if part)
    return f"not valid YAML: {message or error}", mark.line + 1 if mark else None


def _objects(node: Node, source: str, problems: list[Problem], around: tuple[int, ...] = ()) -> Iterator[Node]:
    """The node itself, or the items of a `List`, such as `kubectl get -o yaml` prints."""
    fields = {key.value: value for key, value in node.value} if _has_plain_keys(node) else {}
    kind, items = fields.get("kind"), fields.get("items")
    if not (isinstance(kind, ScalarNode) and kind.value == "List" and isinstance(items, SequenceNode)):
        yield node
        return
    line = node.start_mark.line + 1
    if not items.value:
        problems.append(Problem("items", "the list holds no object", "", line, source))
    if id(node) in around:
        problems.append(Problem("items", "the list holds itself", "", line, source))
        return
    for item in items.value:
        yield from _objects(item, source, problems, (*around, id(node)))


def _has_plain_keys(node: Node) -> bool:
    return isinstance(node, MappingNode) and all(isinstance(key, ScalarNode) for key, _ in node.value)


def _build(node: Node, builder: _Builder, found: Documents) -> None:
    before = len(builder.problems)
    lines: dict[NodePath, int] = {}
    data = builder.value(node, (), lines)
    if len(builder.problems) > before:
        found.problems.extend(builder.problems[before:])
    else:
        found.documents.append(Document(data, lines))


class _Builder:
    """Makes JSON data of nodes. Goes on after a problem, so that all of them are found."""

    def __init__(self, source: str) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._values = 0
        self._around: set[int] = set()

    def value(self, node: Node, path: NodePath, lines: dict[NodePath, int]) -> Any:
        """What a node says. `lines` takes the line of each part."""
        line = node.start_mark.line + 1
        lines.setdefault(path, line)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _Refused(f"holds more than {MAX_VALUES} values once its aliases are followed", line)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._around:
            return self._tell(node, path, "is an alias of what it stands in")
        if len(path) > MAX_DEPTH:
            return self._tell(node, path[:3], "is nested too deeply")
        self._around.add(id(node))
        try:
            if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
                return [self.value(child, (*path, index), lines) for index, child in enumerate(node.value)]
            if isinstance(node, MappingNode) and node.tag == _TAG + "map":
                return self._mapping(node, path, lines)
        finally:
            self._around.discard(id(node))
        return self._tell(node, path, f"not valid YAML: the tag {_short(node.tag)} has no place here")

    def _mapping(self, node: MappingNode, path: NodePath, lines: dict[NodePath, int]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _TAG + "merge":
                merged |= self._merged(child, path, lines)
                continue
            name = self._key(key, path)
            if name is None:
                continue
            line = key.start_mark.line + 1
            lines[*path, name] = line
            if name in own:
                here = format_path((*path, name))
                self.problems.append(Problem(here, "stands twice", "keep one of the two", line, self._source))
            own[name] = self.value(child, (*path, name), lines)
        return {**merged, **own}

    def _merged(self, node: Node, path: NodePath, lines: dict[NodePath, int]) -> dict[str, Any]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        if not all(isinstance(part, MappingNode) for part in parts):
            self._tell(node, path, "not valid YAML: << merges mappings")
            return {}
        result: dict[str, Any] = {}
        # Of several, the first that has a key gives its value.
        for part in reversed(parts):
            result |= self.value(part, path, lines) or {}
        return result

    def _key(self, key: Node, path: NodePath) -> str | None:
        if not isinstance(key, ScalarNode):
            self._tell(key, path, "a key must be a single word")
            return None
        count = len(self.problems)
        value = self._scalar(key, path)
        if len(self.problems) > count:
            return None
        if value is None:
            self._tell(key, path, "a key must be a single word")
            return None
        return value if isinstance(value, str) else str(key.value)

    def _scalar(self, node: ScalarNode, path: NodePath) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp" | "value":
                return self._text(node, text, path)
            case "null":
                return None
            case "bool" if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
            case "int" | "float":
                return self._number(node, text, path)
            case "binary":
                return self._tell(node, path, "binary data has no place here")
            case "merge":
                return self._tell(node, path, "not valid YAML: << has no place here")
        return self._tell(node, path, f"not valid YAML: {text!r} is no {_short(node.tag)}")

    def _text(self, node: ScalarNode, text: str, path: NodePath) -> Any:
        try:
            # JSON writes a character beyond the first plane as two escapes.
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._tell(node, path, "not valid YAML: half of a surrogate pair is no character")

    def _number(self, node: ScalarNode, text: str, path: NodePath) -> Any:
        try:
            number = _number(text, node.tag)
        except ValueError:
            said = f"{text[:40]!r} is no {_short(node.tag)}" if len(text) <= 400 else "the number has too many digits"
            return self._tell(node, path, f"not valid YAML: {said}")
        if isinstance(number, float) and not math.isfinite(number):
            return self._tell(node, path, f"{text} is not a number that JSON can hold")
        return number

    def _tell(self, node: Node, path: NodePath, message: str) -> None:
        self.problems.append(Problem(format_path(path), message, "", node.start_mark.line + 1, self._source))


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def _number(text: str, tag: str) -> int | float:
    """A number as JSON has it: what has no fraction is an integer, as after kubectl's way through JSON."""
    plain = text.replace("_", "").lower()
    if tag == _TAG + "int":
        sign, digits = (plain[:1], plain[1:]) if plain[:1] in "+-" else ("", plain)
        octal = re.fullmatch(r"0[0-7]+", digits) is not None
        return int(sign + digits, 8 if octal else 0)
    value = float(plain.replace(".inf", "inf").replace(".nan", "nan"))
    return int(value) if value.is_integer() and abs(value) < 1e21 else value
