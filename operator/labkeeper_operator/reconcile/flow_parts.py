"""What a deployment says of its flow, by the kind of source: catalog, entrypoint, canvas or protocol. Pure."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from labkeeper_api.catalog import CatalogEntry
from labkeeper_api.document_flows import deployment_schema, document_parameter, entrypoint
from labkeeper_api.kinds import LabWorkflow


def parameters(workflow: LabWorkflow, document: str | None) -> dict[str, Any]:
    """Parameters of every run; a document travels in them."""
    spec = workflow.spec
    if document is None:
        return spec.parameters
    given = {"name": _name(workflow), "namespace": workflow.metadata.namespace, "dry_run": spec.dry_run}
    return {**given, **spec.parameters, document_parameter(spec.flow): document}


def parameter_schema(workflow: LabWorkflow, entry: CatalogEntry | None) -> dict[str, Any]:
    """The JSON schema of the parameters; empty where nobody knows them."""
    if entry is None:
        return {"type": "object", "properties": {}}
    return entry.parameter_schema if workflow.spec.flow.name else deployment_schema(workflow.spec.flow)


def entrypoint_of(workflow: LabWorkflow, entry: CatalogEntry | None) -> str | None:
    """What is carried out: a driver operation, or a function by its module path."""
    flow = workflow.spec.flow
    if entry is not None:
        return entry.operation if flow.name else entrypoint(flow)
    return flow.entrypoint


def _name(workflow: LabWorkflow) -> str:
    """What a document is called. A protocol needs its file's: the ending tells the robot what it is."""
    protocol = workflow.spec.flow.protocol
    if protocol is None:
        return workflow.metadata.key
    return protocol.config_map_ref.key if protocol.config_map_ref is not None else PurePath(str(protocol.file)).name
