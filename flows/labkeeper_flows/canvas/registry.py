"""All node types by the names that canvases use, and a node's parameters checked against its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from labkeeper_api.documents import NodePath
from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas.context import Finding
from labkeeper_flows.canvas.nodes import (
    catalyst,
    control,
    electrodes,
    export,
    liquids,
    measurement,
    primitives,
    setup,
    washing,
)
from labkeeper_flows.canvas.nodes.base import NodeParameters, NodeType, Unit

_MODULES = (setup, liquids, electrodes, measurement, washing, export, control, primitives, catalyst)
TYPES: dict[str, NodeType] = {kind.name: kind for module in _MODULES for kind in module.TYPES}
"""Every node type by its name."""

PREFIX = "sdl1"


def find(name: str, *, catalyst_canvas: bool = False) -> NodeType | None:
    """The type of a node. The prefix `sdl1` may be left out; in a catalyst canvas no type means motion only."""
    if not name:
        return TYPES[catalyst.MOTION] if catalyst_canvas else None
    return TYPES.get(name) or TYPES.get(PREFIX + name)


def suggestion(name: str) -> str:
    """What was probably meant by an unknown type."""
    known = [kind for kind in TYPES if kind != catalyst.MOTION]
    return did_you_mean(name, known)


def check(kind: NodeType, given: Mapping[str, Any]) -> tuple[NodeParameters | None, list[Finding]]:
    """A node's parameters, and what is wrong with them.

    With findings, the parameters are a stand-in: what is wrong gives way to its default, so that the rest can be looked
    at too. None where even that is not possible.
    """
    findings: list[Finding] = []
    own = dict(_own_names(kind, given, findings))
    try:
        return kind.parameters.model_validate(own), findings
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    findings.extend(_explained(kind, dict(problem)) for problem in wrong)
    rest = {name: value for name, value in own.items() if name not in {problem["loc"][0] for problem in wrong}}
    try:
        return kind.parameters.model_validate(rest), findings
    except ValidationError:
        return None, findings


def _own_names(kind: NodeType, given: Mapping[str, Any], findings: list[Finding]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        own = kind.aliases.get(name, name)
        if own != name and own in given:
            findings.append(Finding((name,), f"says the same as {own}", "keep one of the two"))
        else:
            yield own, value


def _explained(kind: NodeType, problem: Mapping[str, Any]) -> Finding:
    place: NodePath = tuple(problem["loc"])
    value, context = problem["input"], problem.get("ctx", {})
    match str(problem["type"]):
        case "extra_forbidden":
            known = kind.parameters.model_fields
            hint = did_you_mean(str(place[-1]), known) if len(place) == 1 else ""
            return Finding(place, f"is no parameter of {kind.name}", hint)
        case "missing":
            return Finding(place, "is missing", _documentation(kind, place))
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            return Finding(place, f"{_shown(value)} is out of range", _range(kind, place, context))
        case "literal_error":
            return Finding(place, f"{_shown(value)} is no choice", f"one of {context.get('expected', '')}")
        case "value_error":
            return Finding(place, str(context.get("error", problem["msg"])), _documentation(kind, place))
    return Finding(place, f"{problem['msg'].lower()}, not {_shown(value)}", _documentation(kind, place))


def _range(kind: NodeType, place: NodePath, context: Mapping[str, Any]) -> str:
    field = kind.parameters.model_fields.get(str(place[0])) if len(place) == 1 else None
    if field is None:
        words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
        return ", ".join(f"{words[name]} {bound}" for name, bound in context.items() if name in words)
    bounds: dict[str, Any] = {}
    unit = ""
    for mark in field.metadata:
        unit = mark.name if isinstance(mark, Unit) else unit
        bounds.update({name: getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)})
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None or high is None:
        said = f"more than {low}" if "gt" in bounds else f"at least {low}" if low is not None else f"at most {high}"
    else:
        said = f"{low:g} to {high:g}"
    return f"{said} {unit}".strip()


def _documentation(kind: NodeType, place: NodePath) -> str:
    field = kind.parameters.model_fields.get(str(place[0])) if len(place) == 1 else None
    return (field.description or "").split("\n")[0].rstrip(".") if field is not None else ""


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
