"""Gets the text of a canvas or protocol to the decisions: from the resource, a ConfigMap or, on one computer, a file.

What a text must be is decided here only as far as the operator knows it (size, JSON); `Surroundings.canvas_problems`
brings the canvas engine's own check where the operator was started by a process that has it, as `labkeeper operator
run` and the embedded lab are. Texts are read when their workflow is reconciled; nothing follows the ConfigMaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from labkeeper_api.conditions import Reason
from labkeeper_api.document_flows import canvas_form_problems, protocol_form_problems
from labkeeper_api.errors import Problem, Stalled, Waiting
from labkeeper_api.kinds import LabWorkflow
from labkeeper_api.kinds.labworkflow import ConfigMapRef
from labkeeper_api.suggestions import did_you_mean

RETRY_SECONDS = 5.0

CanvasCheck = Callable[[str], Sequence[Problem]]
"""Everything that is wrong with the text of a canvas."""


class DocumentSource(Protocol):
    """Where documents are kept."""

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The `data` of a ConfigMap; None if there is none. Raises `Waiting`."""

    async def file(self, workflow: LabWorkflow, path: str) -> str:
        """The text of a file that a workflow names. Raises `Stalled`."""


async def document(workflow: LabWorkflow, source: DocumentSource | None, check: CanvasCheck | None) -> str | None:
    """The text of the workflow's canvas or protocol; None where the flow is given otherwise.

    Raises `Stalled` with everything that is wrong with it, and `Waiting` while it is not there.
    """
    flow = workflow.spec.flow
    if flow.canvas is not None:
        inline, ref, path = flow.canvas.inline, flow.canvas.config_map_ref, flow.canvas.file
    elif flow.protocol is not None:
        inline, ref, path = None, flow.protocol.config_map_ref, flow.protocol.file
    else:
        return None
    if inline is not None:
        text = inline
    elif source is None:
        raise Stalled(Reason.INVALID_DOCUMENT, "this operator was started without a place that it reads documents from")
    elif ref is not None:
        text = await _from_config_map(workflow, ref, source)
    else:
        text = await source.file(workflow, str(path))
    if flow.canvas is not None:
        problems = canvas_form_problems(text) or list(check(text) if check is not None else ())
    else:
        problems = protocol_form_problems(text)
    if problems:
        raise Stalled(Reason.INVALID_DOCUMENT, "; ".join(str(problem) for problem in problems))
    return text


async def _from_config_map(workflow: LabWorkflow, ref: ConfigMapRef, source: DocumentSource) -> str:
    data = await source.config_map(workflow.metadata.namespace, ref.name)
    if data is None:
        message = f"there is no ConfigMap {ref.name!r} in this namespace"
        raise Waiting(Reason.DOCUMENT_NOT_FOUND, message, retry_after=RETRY_SECONDS)
    if ref.key not in data:
        hint = did_you_mean(ref.key, sorted(data)) or "its data is empty"
        message = f"ConfigMap {ref.name!r} has no key {ref.key!r}: {hint}"
        raise Waiting(Reason.DOCUMENT_NOT_FOUND, message, retry_after=RETRY_SECONDS)
    return data[ref.key]
