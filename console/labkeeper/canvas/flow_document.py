"""Checks the canvas or protocol that a LabWorkflow names: that it is there, and what is wrong with it, on which line.

Not for the operator, which reads documents from the cluster (`labkeeper_operator.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from labkeeper.canvas.checking import canvas_problems, protocol_problems
from labkeeper_api.document_flows import canvas_form_problems, protocol_form_problems
from labkeeper_api.documents import NodePath
from labkeeper_api.errors import Problem
from labkeeper_api.kinds import LabWorkflow
from labkeeper_api.kinds.labworkflow import ConfigMapRef
from labkeeper_api.manifests import ConfigMap, Manifest
from labkeeper_api.suggestions import did_you_mean

ConfigMaps = Mapping[tuple[str, str], ConfigMap]


@dataclass(frozen=True)
class Text:
    """A document's text, its name for messages, and where it begins if it stands inside of another file."""

    text: str
    source: str
    begins: int | None = None


def check(manifest: Manifest, workflow: LabWorkflow, config_maps: ConfigMaps) -> tuple[list[Problem], list[Problem]]:
    """Problems and notes: a ConfigMap that is not in these files may well be in the cluster."""
    flow = workflow.spec.flow
    part = "canvas" if flow.canvas is not None else "protocol"
    source = flow.canvas or flow.protocol
    if source is None:
        return [], []
    base = ("spec", "flow", part)
    if source.config_map_ref is not None:
        found = _in_config_map(manifest, workflow, source.config_map_ref, (*base, "configMapRef"), config_maps)
        if isinstance(found, Problem):
            return ([], [found]) if found.message.endswith("not in these files") else ([found], [])
    elif source.file is not None:
        found = _in_file(manifest, source.file, (*base, "file"))
        if isinstance(found, Problem):
            return [found], []
    else:
        line = manifest.line_of(*base, "inline")
        found = Text(flow.canvas.inline or "" if flow.canvas else "", manifest.source, line)
    return list(_problems(found, part)), []


def _problems(found: Text, part: str) -> Iterable[Problem]:
    form = canvas_form_problems if part == "canvas" else protocol_form_problems
    whole = canvas_problems if part == "canvas" else protocol_problems
    problems = whole(found.text, found.source) or [replace(p, source=found.source) for p in form(found.text)]
    for problem in problems:
        # The text of a block scalar begins on the line after its key.
        line = problem.line + found.begins if problem.line and found.begins else problem.line or found.begins
        yield replace(problem, line=line)


def _in_config_map(
    manifest: Manifest, workflow: LabWorkflow, ref: ConfigMapRef, path: NodePath, config_maps: ConfigMaps
) -> Text | Problem:
    found = config_maps.get((workflow.metadata.namespace, ref.name))
    if found is None:
        hint = "fine if it is applied elsewhere"
        return manifest.problem((*path, "name"), f"ConfigMap {ref.name!r} is not in these files", hint)
    if ref.key not in found.data:
        hint = did_you_mean(ref.key, sorted(found.data))
        return manifest.problem((*path, "key"), f"ConfigMap {ref.name!r} has no key {ref.key!r}", hint)
    return Text(found.data[ref.key], found.source, found.lines.get(("data", ref.key)))


def _in_file(manifest: Manifest, name: str, path: NodePath) -> Text | Problem:
    file = manifest.folder / name
    try:
        return Text(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        return manifest.problem(path, f"{file} cannot be read: {error.strerror}", "a path relative to this manifest")
    except UnicodeDecodeError:
        return manifest.problem(path, f"{file} is not UTF-8 text")
