"""Generates the CustomResourceDefinitions from the kinds. Pure: returns data, writes nothing.

Kubernetes wants structural schemas (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema): every reference inlined, every node typed, no `anyOf`
with null, no titles. Pydantic's JSON schema is turned into that here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from labkeeper_api.kinds import KINDS, LabObject, PrinterColumn
from labkeeper_api.meta import GROUP, VERSION, ApiModel

CATEGORY = "lab"
_DROPPED = ("title", "additionalProperties", "discriminator")


def all_crds() -> dict[str, dict[str, Any]]:
    """Every CustomResourceDefinition by its file name."""
    return {f"{GROUP}_{kind.plural}.yaml": crd(kind) for kind in KINDS}


def crd(kind: type[LabObject]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    name = kind.kind_name()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short_name],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {"openAPIV3Schema": _object_schema(kind)},
                }
            ],
        },
    }


def _column(column: PrinterColumn) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.description:
        entry["description"] = column.description
    if column.priority:
        entry["priority"] = column.priority
    return entry


def _object_schema(kind: type[LabObject]) -> dict[str, Any]:
    schema = kind.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    rules = _cel_rules_by_definition(kind)
    properties = schema["properties"]
    return {
        "type": "object",
        "description": " ".join((inspect.getdoc(kind) or "").split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(properties["spec"], definitions, rules),
            "status": _structural(properties["status"], definitions, rules, defaults=False),
        },
    }


def _cel_rules_by_definition(kind: type[LabObject]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    pending: list[type[ApiModel]] = [kind]
    seen: set[type[ApiModel]] = set()
    while pending:
        model = pending.pop()
        if model in seen:
            continue
        seen.add(model)
        if model.cel_rules:
            found[model.__name__] = [rule.as_dict() for rule in model.cel_rules]
        for field in model.model_fields.values():
            pending.extend(_models_in(field.annotation))
    return found


def _models_in(annotation: Any) -> list[type[ApiModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, ApiModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _structural(
    node: Mapping[str, Any],
    definitions: Mapping[str, Any],
    rules: Mapping[str, list[dict[str, str]]],
    *,
    defaults: bool = True,
) -> dict[str, Any]:
    node, rule_entries = _resolved(dict(node), definitions, rules)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return free | ({"description": node["description"]} if "description" in node else {})
    result = {key: copy.deepcopy(value) for key, value in node.items() if key not in _DROPPED}
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if not defaults or result.get("default") in (None, {}, []):
        result.pop("default", None)
    _bounds(result)
    if "properties" in node:
        result["properties"] = {
            name: _structural(child, definitions, rules, defaults=defaults)
            for name, child in node["properties"].items()
        }
    if "items" in node:
        result["items"] = _structural(node["items"], definitions, rules, defaults=defaults)
    if rule_entries:
        result["x-kubernetes-validations"] = [*result.get("x-kubernetes-validations", []), *rule_entries]
    return result


def _resolved(
    node: dict[str, Any], definitions: Mapping[str, Any], rules: Mapping[str, list[dict[str, str]]]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Inline `$ref`, drop the null branch of an optional field; what stands beside them wins over what they say."""
    entries: list[dict[str, str]] = []
    while "$ref" in node or "anyOf" in node:
        beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[-1]
            entries.extend(rules.get(name, []))
            node = {**definitions[name], **beside}
        else:
            branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
            if len(branches) != 1:
                raise ValueError(f"a field of several types cannot be structural: {node}")
            node = {**branches[0], **beside}
    return node, entries


def _bounds(node: dict[str, Any]) -> None:
    """OpenAPI v3.0 has exclusive bounds as flags beside the bound, JSON schema as bounds of their own."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = node.get(exclusive)
        if value is not None and not isinstance(value, bool):
            node[bound] = value
            node[exclusive] = True
