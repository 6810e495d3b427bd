"""What is wrong with manifests taken together: references, flow parameters, device configuration. Starts nothing.

Everything found is a `Problem` with the line it stands on. What may well be right elsewhere, such as a pool that is not
in these files, is a note and not a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkeeper.canvas import flow_document
from labkeeper_api.catalog import Catalog, CatalogEntry, parameter_problems
from labkeeper_api.document_flows import flow_entry
from labkeeper_api.errors import Problem, Stalled
from labkeeper_api.kinds import LabDevice, LabPool, LabRun, LabWorkflow
from labkeeper_api.kinds.labpool import DEFAULT_QUEUE, PoolType
from labkeeper_api.manifests import ConfigMap, Manifest
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers.registry import DRIVERS
from labkeeper_operator.reconcile.workflows import names

INLINE = "spec.config.inline"
"""How drivers name the text that stands in the LabDevice itself."""


@dataclass
class Findings:
    """What was found: problems, and notes on what could not be told from the files alone."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


class World:
    """All objects of the files by kind and name."""

    def __init__(self, manifests: Iterable[Manifest], config_maps: Iterable[ConfigMap] = ()) -> None:
        self.manifests = list(manifests)
        self.config_maps = {(found.namespace, found.name): found for found in config_maps}
        self.pools = {m.object.metadata.key: m.object for m in self.manifests if isinstance(m.object, LabPool)}
        self.workflows = {m.object.metadata.key: m.object for m in self.manifests if isinstance(m.object, LabWorkflow)}
        self.devices = [m for m in self.manifests if isinstance(m.object, LabDevice)]

    def pool(self, namespace: str, name: str) -> LabPool | None:
        """The pool of that name."""
        return self.pools.get(f"{namespace}/{name}")

    def devices_of(self, namespace: str, pool: str) -> list[tuple[LabDevice, Path]]:
        """The devices that serve a pool, each with the folder that its paths are relative to."""
        return [
            (m.object, m.folder)
            for m in self.devices
            if isinstance(m.object, LabDevice)
            and (m.object.metadata.namespace, m.object.spec.pool) == (namespace, pool)
        ]


def check(
    manifests: Iterable[Manifest],
    catalog: Catalog,
    *,
    beside: Iterable[Manifest] = (),
    config_maps: Iterable[ConfigMap] = (),
    on_this_host: bool = False,
) -> Findings:
    """Check manifests against each other and against what stands beside them.

    With `on_this_host`, a device whose hardware is not on this host is a problem; else that is only noted.
    """
    checked = list(manifests)
    world = World([*checked, *beside], config_maps)
    findings = Findings()
    for manifest in checked:
        match manifest.object:
            case LabWorkflow():
                _check_workflow(manifest, manifest.object, world, catalog, findings)
            case LabDevice():
                _check_device(manifest, manifest.object, world, findings, on_this_host=on_this_host)
            case LabRun():
                _check_run(manifest, manifest.object, world, catalog, findings)
    _check_names(world, catalog, findings)
    return findings


def _check_workflow(
    manifest: Manifest, workflow: LabWorkflow, world: World, catalog: Catalog, findings: Findings
) -> None:
    entry = _entry(manifest, workflow, catalog, findings)
    pool = world.pool(workflow.metadata.namespace, workflow.spec.placement.pool)
    if pool is None:
        findings.notes.append(_missing(manifest, "LabPool", ("spec", "placement", "pool"), world.pools))
    else:
        _check_placement(manifest, workflow, pool, entry, findings)
    if entry is None:
        return
    problems, notes = flow_document.check(manifest, workflow, world.config_maps)
    findings.problems += problems
    findings.notes += notes
    if workflow.spec.retries and entry.physical and not entry.idempotent:
        message = f"flow {entry.name!r} moves hardware and is not idempotent, so it is never tried again by itself"
        findings.problems.append(manifest.problem(("spec", "retries"), message, "remove retries"))
    spec = workflow.spec
    found = parameter_problems(entry.parameter_schema, spec.parameters, complete=False)
    for index, schedule in enumerate(spec.schedules):
        merged = {**spec.parameters, **schedule.parameters}
        path = f"spec.schedules[{index}].parameters"
        found += parameter_problems(entry.parameter_schema, merged, complete=True, path=path)
    if not found:
        found = device_problems(workflow, spec.parameters, world, entry)
    findings.problems.extend(_placed(manifest, found))


def _entry(manifest: Manifest, workflow: LabWorkflow, catalog: Catalog, findings: Findings) -> CatalogEntry | None:
    name, entry = workflow.spec.flow.name, flow_entry(workflow.spec.flow, catalog)
    if entry is None and name is not None:
        hint = did_you_mean(name, catalog.names())
        findings.problems.append(manifest.problem(("spec", "flow", "name"), f"the catalog has no flow {name!r}", hint))
    return entry


def _check_placement(
    manifest: Manifest, workflow: LabWorkflow, pool: LabPool, entry: CatalogEntry | None, findings: Findings
) -> None:
    wanted = entry.pool_type if entry else PoolType.KUBERNETES
    name = workflow.spec.placement.pool
    if (entry is not None or workflow.spec.flow.entrypoint is not None) and pool.spec.type is not wanted:
        message = f"LabPool {name!r} is of type {pool.spec.type}, but this flow needs one of type {wanted}"
        findings.problems.append(manifest.problem(("spec", "placement", "pool"), message))
    queue = workflow.spec.placement.queue
    if queue is not None:
        _check_queue(manifest, ("spec", "placement", "queue"), queue, pool, findings)


def _check_queue(manifest: Manifest, path: tuple[str | int, ...], queue: str, pool: LabPool, found: Findings) -> None:
    queues = [known.name for known in pool.spec.queues]
    if queue not in (*queues, DEFAULT_QUEUE):
        message = f"LabPool {pool.metadata.name!r} has no queue {queue!r}"
        found.problems.append(manifest.problem(path, message, did_you_mean(queue, queues)))


def device_problems(
    workflow: LabWorkflow, parameters: Mapping[str, Any], world: World, entry: CatalogEntry
) -> list[Problem]:
    """What the devices of the pool say about the parameters, such as a hotel that they do not have."""
    if entry.operation is None:
        return []
    found: list[Problem] = []
    for device, folder in world.devices_of(workflow.metadata.namespace, workflow.spec.placement.pool):
        kind = DRIVERS.get(device.spec.driver)
        if kind is not None and device.spec.driver == entry.driver:
            found += kind.parameter_problems(device.spec, folder, entry.operation, parameters)
    return sorted(set(found))


def _check_device(
    manifest: Manifest, device: LabDevice, world: World, findings: Findings, *, on_this_host: bool
) -> None:
    kind = DRIVERS.get(device.spec.driver)
    if kind is None:
        hint = did_you_mean(device.spec.driver, DRIVERS)
        message = f"there is no driver {device.spec.driver!r}"
        findings.problems.append(manifest.problem(("spec", "driver"), message, hint))
    else:
        found = kind.validate(device.spec, manifest.folder, False)
        absent = [] if found else kind.validate(device.spec, manifest.folder, True)
        findings.problems.extend(_placed(manifest, found))
        (findings.problems if on_this_host else findings.notes).extend(_placed(manifest, absent))
    pool = world.pool(device.metadata.namespace, device.spec.pool)
    if pool is None:
        findings.notes.append(_missing(manifest, "LabPool", ("spec", "pool"), world.pools))
    elif pool.spec.type is not PoolType.DEVICE:
        message = f"LabPool {device.spec.pool!r} is of type kubernetes; a device serves one of type device"
        findings.problems.append(manifest.problem(("spec", "pool"), message))
    else:
        for index, queue in enumerate(device.spec.queues):
            _check_queue(manifest, ("spec", "queues", index), queue, pool, findings)


def _check_run(manifest: Manifest, run: LabRun, world: World, catalog: Catalog, findings: Findings) -> None:
    name = run.spec.workflow_ref.name
    workflow = world.workflows.get(f"{run.metadata.namespace}/{name}")
    if workflow is None:
        path = ("spec", "workflowRef", "name")
        findings.notes.append(_missing(manifest, "LabWorkflow", path, world.workflows))
        return
    entry = flow_entry(workflow.spec.flow, catalog)
    if entry is None:
        return
    merged = {**workflow.spec.parameters, **run.spec.parameters}
    found = parameter_problems(entry.parameter_schema, merged, complete=True)
    if not found:
        found = device_problems(workflow, merged, world, entry)
    findings.problems.extend(_placed(manifest, found))


def _check_names(world: World, catalog: Catalog, findings: Findings) -> None:
    seen: dict[tuple[str, str], Manifest] = {}
    for manifest in world.manifests:
        if not isinstance(manifest.object, LabWorkflow):
            continue
        try:
            name = names(manifest.object, catalog)
        except Stalled:
            continue
        if name in seen:
            first = seen[name]
            message = f"deployment {'/'.join(name)!r} is claimed twice"
            hint = f"first by {first.object.metadata.key} in {first.source}:{first.line_of('metadata', 'name')}"
            findings.problems.append(manifest.problem(("spec", "prefect", "deploymentName"), message, hint))
        seen.setdefault(name, manifest)


def _missing(manifest: Manifest, kind: str, path: tuple[str, ...], known: Iterable[str]) -> Problem:
    names_known = [key.split("/", 1)[1] for key in known]
    value = manifest.object.model_dump(by_alias=True)
    for part in path:
        value = value[part]
    hint = did_you_mean(str(value), names_known) if names_known else "fine if it is applied elsewhere"
    return manifest.problem(path, f"{kind} {value!r} is not in these files", hint)


def _placed(manifest: Manifest, problems: Iterable[Problem]) -> list[Problem]:
    """Give problems that know only their path the line of the manifest."""
    placed = []
    for problem in problems:
        if problem.source == INLINE:
            # The text of a block scalar begins on the line after its key.
            first = manifest.line_of("spec", "config", "inline")
            line = first + problem.line if first is not None and problem.line is not None else first
            placed.append(Problem(problem.path, problem.message, problem.hint, line, manifest.source))
            continue
        if "/" in problem.source:
            placed.append(problem)
            continue
        path = _split(problem.source if problem.source.startswith("spec.") else problem.path)
        placed.append(Problem(problem.path, problem.message, problem.hint, manifest.line_of(*path), manifest.source))
    return placed


def _split(path: str) -> list[str | int]:
    parts: list[str | int] = []
    for piece in path.replace("[", ".[").split("."):
        if piece.startswith("[") and piece[1:-1].isdigit():
            parts.append(int(piece[1:-1]))
        elif piece:
            parts.append(piece)
    return parts
