"""A canvas document -> one `Canvas`, whichever of the shapes of facts 1.1 and 1.7 it was drawn in.

Reads structure only: what a node's type means is the registry's (`nodes`), what the edges mean is `graph`'s and
`loops`'. Goes on after a problem, so that `Canvas.problems` holds all of them; raises only when there is no canvas at
all. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas import jsontext
from labkeeper_flows.canvas.jsontext import JsonText


class Shape(StrEnum):
    """How a document is laid out."""

    NESTED = "nested"
    """`metadata`, `workflow{nodes,edges}`; parameters in `params` (facts 1.1)."""
    TOP_LEVEL = "top-level"
    """`workflow{id,name}`, `nodes`, `edges`, `metadata`; parameters in `data.parameters` (facts 1.1)."""
    CATALYST = "catalyst"
    """`global_config`, `nodes`, `edges` (facts 1.7)."""


@dataclass(frozen=True)
class CanvasNode:
    """One node as drawn. `path` and `parameters_path` say where it and its parameters stand in the document."""

    id: str
    type: str
    label: str
    parameters: Mapping[str, Any]
    path: NodePath
    parameters_path: NodePath
    groups: Any = None
    """The form that the node carries, `metadata.parameterGroups`, unchecked."""


@dataclass(frozen=True)
class CanvasEdge:
    """One edge as drawn, between nodes that exist."""

    source: str
    target: str
    source_handle: str = ""
    target_handle: str = ""
    path: NodePath = ()


@dataclass(frozen=True)
class Canvas:
    """What a person drew. Nodes in the order of the document, ids unique; only edges between existing nodes."""

    shape: Shape
    id: str
    name: str
    version: str
    description: str
    metadata: Mapping[str, Any]
    nodes: tuple[CanvasNode, ...]
    edges: tuple[CanvasEdge, ...]
    global_config: Mapping[str, Any]
    text: JsonText = field(compare=False, repr=False)
    problems: tuple[Problem, ...] = ()

    def problem(self, path: NodePath, message: str, hint: str = "") -> Problem:
        """Something wrong with this canvas at `path`, with its line."""
        return self.text.problem(path, message, hint)


def read(text: str | bytes, source: str = "") -> Canvas:
    """Read the text of a canvas. Raises InvalidInput when it is no JSON or holds no canvas."""
    return interpret(jsontext.read(text, source))


def from_data(data: object, source: str = "") -> Canvas:
    """A canvas that came as data, for example inside a LabWorkflow. Raises InvalidInput when it is no canvas."""
    return interpret(JsonText(data, "", source))


def interpret(text: JsonText) -> Canvas:
    """Find the canvas in JSON data. Raises InvalidInput when there is none."""
    data = text.data
    if not isinstance(data, dict):
        said = f"is {_kind(data)}, and a canvas is an object with nodes"
        raise InvalidInput([text.problem((), said, 'such as {"nodes": [...], "edges": [...]}')])
    return _Reader(text, data).canvas()


class _Reader:
    """Reads one document; collects problems on the way."""

    def __init__(self, text: JsonText, data: dict[str, Any]) -> None:
        self._text = text
        self._data = data
        self._problems: list[Problem] = []
        self._shape, self._base = self._layout()

    def canvas(self) -> Canvas:
        container = self._data
        for part in self._base:
            container = container[str(part)]
        nodes = self._nodes(container.get("nodes"))
        edges = tuple(self._edges(container.get("edges"), {node.id for node in nodes}))
        workflow, metadata = self._data.get("workflow"), self._data.get("metadata")
        identity = {Shape.NESTED: metadata, Shape.TOP_LEVEL: workflow, Shape.CATALYST: self._data}[self._shape]
        said = identity if isinstance(identity, dict) else {}
        return Canvas(
            shape=self._shape,
            id=_word(said.get("id")),
            name=_word(said.get("name")) or "canvas",
            version=_word(said.get("version")),
            description=_word(said.get("description")),
            metadata=metadata if isinstance(metadata, dict) else {},
            nodes=nodes,
            edges=edges,
            global_config=self._mapping(self._data.get("global_config"), ("global_config",)),
            text=self._text,
            problems=tuple(self._problems),
        )

    def _layout(self) -> tuple[Shape, NodePath]:
        workflow = self._data.get("workflow")
        inside = isinstance(workflow, dict) and "nodes" in workflow
        if inside and "nodes" in self._data:
            raise InvalidInput(
                [self._text.problem(("nodes",), "nodes stand both here and under workflow", "keep one of the two")]
            )
        if inside:
            return Shape.NESTED, ("workflow",)
        if "nodes" in self._data:
            return (Shape.CATALYST if "global_config" in self._data else Shape.TOP_LEVEL), ()
        if isinstance(self._data.get("experiments"), list):
            raise InvalidInput(list(_experiment_form(self._text, self._data["experiments"])))
        known = ", ".join(list(self._data)[:8]) or "nothing"
        raise InvalidInput([self._text.problem((), "the document holds no nodes", f"it holds {known}")])

    def _nodes(self, given: object) -> tuple[CanvasNode, ...]:
        path = (*self._base, "nodes")
        if not isinstance(given, list):
            self._tell(path, f"is {_kind(given)}, and must be a list of nodes")
            return ()
        if not given:
            self._tell(path, "the canvas has no nodes", "draw at least one")
        found: dict[str, CanvasNode] = {}
        for at, entry in enumerate(given):
            node = self._node(entry, (*path, at), at)
            if node is None:
                continue
            if node.id in found:
                first = found[node.id].path[-1]
                self._tell((*path, at, "id"), f"the id {node.id!r} is already that of nodes[{first}]", "ids are unique")
                continue
            found[node.id] = node
        return tuple(found.values())

    def _node(self, entry: object, path: NodePath, at: int) -> CanvasNode | None:
        if not isinstance(entry, dict):
            self._tell(path, f"is {_kind(entry)}, and a node is an object")
            return None
        inner = self._mapping(entry.get("data"), (*path, "data"))
        # The forms for `/validate` (facts 1.3) send nodes without ids: their place names them.
        identity = entry.get("id", f"node-{at}" if "workflow" not in self._data else None)
        if not isinstance(identity, str) or not identity.strip():
            said = "has no id" if identity is None else f"the id must be text, not {_kind(identity)}"
            self._tell((*path, "id"), said, "give it one that no other node has")
            identity = f"nodes[{at}]"
        name, place = (
            ("params", (*path, "params")) if "params" in entry else ("parameters", (*path, "data", "parameters"))
        )
        parameters = self._mapping((entry if name == "params" else inner).get(name), place)
        metadata = entry.get("metadata")
        return CanvasNode(
            id=identity,
            type=self._type(entry, inner, path),
            label=_word(entry.get("label")) or _word(inner.get("label")) or identity,
            parameters=parameters,
            path=path,
            parameters_path=place,
            groups=metadata.get("parameterGroups") if isinstance(metadata, dict) else None,
        )

    def _type(self, entry: dict[str, Any], inner: Mapping[str, Any], path: NodePath) -> str:
        given = entry.get("type", inner.get("nodeType"))
        if given is not None and not isinstance(given, str):
            self._tell((*path, "type"), f"the type must be text, not {_kind(given)}")
        word = given if isinstance(given, str) else ""
        also = inner.get("nodeType")
        if word and isinstance(also, str) and also != word:
            self._tell((*path, "data", "nodeType"), f"says {also!r}, and type says {word!r}", "both must be the same")
        # A catalyst node without a type only moves (facts 1.7).
        if given in (None, "") and self._shape is not Shape.CATALYST:
            self._tell((*path, "type"), "has no type", "say what the node does")
        return word

    def _edges(self, given: object, known: set[str]) -> Iterator[CanvasEdge]:
        path = (*self._base, "edges")
        if given is not None and not isinstance(given, list):
            self._tell(path, f"is {_kind(given)}, and must be a list of edges")
            return
        ids: dict[str, int] = {}
        for at, entry in enumerate(given or []):
            here = (*path, at)
            if not isinstance(entry, dict):
                self._tell(here, f"is {_kind(entry)}, and an edge is an object with source and target")
                continue
            self._edge_id(entry.get("id"), here, ids)
            ends = [self._end(entry, end, here, known) for end in ("source", "target")]
            self._condition(entry, here)
            source, target = ends
            if source is not None and target is not None:
                handles = _word(entry.get("sourceHandle")), _word(entry.get("targetHandle"))
                yield CanvasEdge(source, target, *handles, path=here)

    def _edge_id(self, identity: object, here: NodePath, ids: dict[str, int]) -> None:
        if not isinstance(identity, str):
            return
        if identity in ids:
            self._tell(
                (*here, "id"), f"the id {identity!r} is already that of edges[{ids[identity]}]", "ids are unique"
            )
        ids.setdefault(identity, int(here[-1]))

    def _end(self, entry: dict[str, Any], end: str, here: NodePath, known: set[str]) -> str | None:
        name = entry.get(end)
        if not isinstance(name, str):
            self._tell((*here, end), f"the edge has no {end}" if name is None else f"is {_kind(name)}, not a node's id")
            return None
        if name not in known:
            self._tell((*here, end), f"the edge's {end} {name!r} is no node of this canvas", _nearest(name, known))
            return None
        return name

    def _condition(self, entry: dict[str, Any], here: NodePath) -> None:
        inner = entry.get("data")
        condition = inner.get("condition") if isinstance(inner, dict) else None
        if condition not in (None, "", False):
            # Following the edge anyway would run what the person made conditional.
            hint = "take it away; a loop with a break_condition is the way to make something depend on a measurement"
            self._tell((*here, "data", "condition"), "conditions on edges are not carried out", hint)

    def _mapping(self, given: object, path: NodePath) -> Mapping[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self._tell(path, f"is {_kind(given)}, and must be an object")
            return {}
        for name in given:
            if not isinstance(name, str):
                self._tell(path, f"the name {name!r} is not text")
        return {name: value for name, value in given.items() if isinstance(name, str)}

    def _tell(self, path: NodePath, message: str, hint: str = "") -> None:
        self._problems.append(self._text.problem(path, message, hint))


def _experiment_form(text: JsonText, experiments: list[Any]) -> Iterator[Problem]:
    """What is wrong with an experiment form (facts 1.7) as a canvas: that it is one, and what it would lack anyway."""
    hint = "draw the experiments as nodes, and their dependencies as edges"
    yield text.problem(("experiments",), "this is an experiment form, not a canvas: it has no nodes", hint)
    for at, entry in enumerate(experiments):
        path = ("experiments", at)
        if not isinstance(entry, dict):
            yield text.problem(path, f"is {_kind(entry)}, and an experiment is an object")
        elif not entry.get("uo_type"):
            yield text.problem((*path, "uo_type"), "the experiment has no uo_type", "say what it measures")


def _nearest(name: str, known: set[str]) -> str:
    guess = did_you_mean(name, sorted(known))
    return guess if guess.startswith("did") or len(known) <= 12 else ""


def _kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _word(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else ""
