"""Flows that a LabWorkflow gives as a document, a canvas or a protocol: what the operator and their runners share.

Not for reading what the documents say: canvases are `labkeeper_flows.canvas`'s, protocols the robot's. Only the form
that every document has to have is checked here, because the operator may look no further.
"""

from __future__ import annotations

import json
from typing import Any

from labkeeper_api.catalog import Catalog, CatalogEntry
from labkeeper_api.errors import Problem
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_api.kinds.labworkflow import FlowSource

CANVAS_ENTRYPOINT = "labkeeper.canvas.flow:run_canvas"
PROTOCOL_ENTRYPOINT = "labkeeper.canvas.flow:run_protocol"

MAX_DOCUMENT_BYTES = 384 * 1024
"""Most bytes of a document in a deployment: it travels as a parameter, and Prefect keeps those up to 512 KiB."""

_CHOICES: dict[str, Any] = {
    "dry_run": {
        "type": "boolean",
        "title": "dry_run",
        "default": False,
        "description": "Run on simulated devices only; one that is not simulated refuses the run.",
    },
}
"""What a LabWorkflow or a LabRun may say; the rest is the operator's."""
_OURS: dict[str, Any] = {
    "name": {"type": "string", "title": "name", "description": "File or resource that the document is from."},
    "namespace": {
        "type": "string",
        "title": "namespace",
        "default": "default",
        "description": "Namespace of the LabDevices that are used.",
    },
}


def document_entry(flow: FlowSource) -> CatalogEntry | None:
    """What the catalog would say of a flow that is given as a document; None for other flows.

    Its parameter schema holds what a person may say; `deployment_schema` has all of them.
    """
    if flow.canvas is not None:
        return CatalogEntry(
            name="canvas.run",
            flow_name="run-canvas",
            description="Carry out a canvas, each of its nodes a task.",
            pool_type=PoolType.KUBERNETES,
            physical=True,
            idempotent=False,
            parameter_schema=_closed(_CHOICES),
        )
    if flow.protocol is not None:
        return CatalogEntry(
            name="protocol.run",
            flow_name="run-protocol",
            description="Analyse an Opentrons protocol and run it.",
            pool_type=PoolType.KUBERNETES,
            physical=True,
            idempotent=False,
            parameter_schema=_closed(_CHOICES),
        )
    return None


def flow_entry(flow: FlowSource, catalog: Catalog) -> CatalogEntry | None:
    """What is known of a flow: the catalog's entry of its name, or that of a document; None for an entrypoint of
    somebody's own, and for a name that the catalog has not."""
    return catalog.get(flow.name) if flow.name is not None else document_entry(flow)


def entrypoint(flow: FlowSource) -> str:
    """The function that carries a document out."""
    return CANVAS_ENTRYPOINT if flow.canvas is not None else PROTOCOL_ENTRYPOINT


def document_parameter(flow: FlowSource) -> str:
    """The parameter that its text travels in."""
    return "canvas" if flow.canvas is not None else "protocol"


def deployment_schema(flow: FlowSource) -> dict[str, Any]:
    """The schema of all parameters, as Prefect gets it."""
    name = document_parameter(flow)
    what = "Text of the canvas, JSON." if name == "canvas" else "Text of the protocol, Python or JSON."
    text = {"type": "string", "title": name, "description": what}
    return _closed({name: text, **_OURS, **_CHOICES}, required=(name,))


def canvas_form_problems(text: str, path: str = "spec.flow.canvas") -> list[Problem]:
    """What keeps a text from being a canvas at all: its size, JSON, and that it is an object."""
    found = _size_problems(text, path)
    if found:
        return found
    try:
        data = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return [Problem(path, f"no JSON: {error.msg}, in line {error.lineno}, column {error.colno} of the canvas")]
    except (ValueError, RecursionError) as error:
        return [Problem(path, f"no JSON: {error}")]
    if not isinstance(data, dict):
        return [Problem(path, "a canvas is a JSON object with nodes", 'such as {"nodes": [...], "edges": [...]}')]
    return []


def protocol_form_problems(text: str, path: str = "spec.flow.protocol") -> list[Problem]:
    """What keeps a text from being a protocol at all: its size, and JSON where it begins like JSON."""
    found = _size_problems(text, path)
    if not found and text.lstrip().startswith("{"):
        found = [
            Problem(path, p.message.replace("of the canvas", "of the protocol")) for p in canvas_form_problems(text)
        ]
    return found


def _size_problems(text: str, path: str) -> list[Problem]:
    size = len(text.encode())
    if not text.strip():
        return [Problem(path, "the document is empty")]
    if size > MAX_DOCUMENT_BYTES:
        hint = f"at most {MAX_DOCUMENT_BYTES // 1024} KiB fit into a deployment; `labkeeper run FILE` has no such limit"
        return [Problem(path, f"the document has {size / 1024:.0f} KiB", hint)]
    return []


def _closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that JSON can hold")
