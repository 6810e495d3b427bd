"""The form that a node carries (`metadata.parameterGroups`, facts 1.1) as a second check of its parameters.

The node type's own model decides what a parameter means; the form can only be narrower. Groups are
`{name: {label, parameters: {name: {type, min, max, unit, options, required, dependsOn, ...}}}}`, or a list of such
groups. Read-only fields are shown by the user interface and never entered, so they are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkeeper_flows.canvas import units


@dataclass(frozen=True)
class Objection:
    """What a form has against a parameter."""

    parameter: str
    message: str
    hint: str = ""


def objections(groups: object, parameters: Mapping[str, Any]) -> Iterator[Objection]:
    """Everything that `parameters` of a node violate in the form it carries. Never raises, whatever the form holds."""
    fields = dict(_fields(groups))
    for name, field in fields.items():
        if field.get("readOnly") is True or not _asked_for(field, fields, parameters):
            continue
        if name not in parameters:
            if field.get("required") is True and field.get("defaultValue") is None:
                yield Objection(name, "is required by the node's own form", "enter it")
            continue
        yield from _value_objections(name, field, parameters[name])


def _fields(groups: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(groups, dict):
        groups = list(groups.values())
    if not isinstance(groups, list):
        return
    for group in groups:
        parameters = group.get("parameters") if isinstance(group, dict) else None
        if isinstance(parameters, dict):
            yield from ((name, field) for name, field in parameters.items() if isinstance(field, dict))


def _asked_for(field: dict[str, Any], fields: Mapping[str, dict[str, Any]], parameters: Mapping[str, Any]) -> bool:
    """Whether the field is shown at all: `dependsOn {parameter, value}` hides those of other techniques."""
    condition = field.get("dependsOn")
    if not isinstance(condition, dict) or not isinstance(condition.get("parameter"), str):
        return True
    other = condition["parameter"]
    value = parameters.get(other, fields.get(other, {}).get("defaultValue"))
    return bool(value == condition.get("value"))


def _value_objections(name: str, field: dict[str, Any], value: object) -> Iterator[Objection]:
    options = field.get("options")
    kind = field.get("type")
    if kind == "select" and isinstance(options, list):
        allowed = [option.get("value") if isinstance(option, dict) else option for option in options]
        # CSV and csv are the same format: the Zinc canvas writes it small, the form large.
        if _folded(value) not in [_folded(option) for option in allowed]:
            shown = ", ".join(str(option) for option in allowed)
            yield Objection(name, f"{_shown(value)} is no choice of the node's own form", f"one of {shown}")
    elif kind == "boolean" and not isinstance(value, bool):
        yield Objection(name, f"{_shown(value)} is not true or false, as the node's own form asks")
    elif kind == "string" and not isinstance(value, str):
        yield Objection(name, f"{_shown(value)} is not a text, as the node's own form asks")
    elif kind == "number":
        yield from _number_objections(name, field, value)


def _number_objections(name: str, field: dict[str, Any], value: object) -> Iterator[Objection]:
    unit = field.get("unit")
    unit = unit if isinstance(unit, str) and units.normal(unit) in units.UNITS else ""
    try:
        number = units.convert(value, unit)
    except units.UnitError as error:
        yield Objection(name, str(error))
        return
    low, high = _bound(field.get("min")), _bound(field.get("max"))
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"
        yield Objection(
            name, f"{_shown(value)} is outside of what the node's own form allows", f"{bounds} {unit}".strip()
        )


def _bound(value: object) -> float | None:
    return (
        float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300 else None
    )


def _folded(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
