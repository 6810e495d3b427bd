"""Walks the schemas of the CRDs and checks objects against them, as far as an API server would. No tests in here."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft4Validator

from labkeeper_api.crds import crd
from labkeeper_api.kinds import LabObject

Schema = dict[str, Any]


@cache
def definition_of(kind: type[LabObject]) -> Schema:
    """The CRD of a kind, generated once. Not to be changed."""
    return crd(kind)


def schema_of(kind: type[LabObject]) -> Schema:
    """The schema of a kind's only version."""
    schema: Schema = definition_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def part(schema: Schema, path: str) -> Schema:
    """The node at a path."""
    return dict(nodes(schema))[path]


def is_free(schema: Schema) -> bool:
    """Whether anything may stand there."""
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


@cache
def _validator(kind: type[LabObject]) -> Draft4Validator:
    """Checks as the API server does when kubectl asks it to refuse unknown fields."""
    closed = copy.deepcopy(schema_of(kind))
    for path, node in nodes(closed):
        if "properties" in node and path != ".metadata":
            node["additionalProperties"] = False
    # OpenAPI v3.0 is JSON schema draft 4 with regard to exclusive bounds.
    return Draft4Validator(closed)


def refusals(kind: type[LabObject], data: dict[str, Any]) -> list[str]:
    """What the schema of a kind's CRD has against an object on the wire."""
    errors = _validator(kind).iter_errors(data)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
