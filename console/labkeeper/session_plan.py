"""What a `labkeeper run` is to run, with everything that is wrong with it, before anything is started.

Imports no Prefect: a refusal comes at once and leaves nothing behind. Carrying the plan out is `session`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper import files as manifest_files
from labkeeper import validation
from labkeeper.runs import new_run
from labkeeper_api.catalog import builtin_catalog, parameter_problems
from labkeeper_api.document_flows import flow_entry
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import LabDevice, LabPool, LabRun, LabWorkflow
from labkeeper_api.manifests import ConfigMap, Manifest
from labkeeper_api.suggestions import did_you_mean


@dataclass(frozen=True)
class Plan:
    """What is applied, and which runs follow, in order."""

    manifests: tuple[Manifest, ...]
    runs: tuple[LabRun, ...]
    workflows: Mapping[str, LabWorkflow]
    devices: tuple[LabDevice, ...]
    config_maps: tuple[ConfigMap, ...] = ()


def plan_session(paths: Iterable[Path], parameters: dict[str, Any], only: list[str]) -> Plan:
    """Read the files and decide what is run. Raises `InvalidInput` with everything that is wrong."""
    loaded = manifest_files.load(paths, with_siblings=True)
    catalog = builtin_catalog()
    asked = [m for m in loaded.manifests if isinstance(m.object, LabWorkflow)]
    wanted_runs = [m for m in loaded.manifests if isinstance(m.object, LabRun)] if not only else []
    if loaded.problems:
        raise InvalidInput(loaded.problems)
    _check_selection(only, asked)
    runs = _runs(wanted_runs, [m for m in asked if not only or m.object.metadata.name in only], parameters)
    manifests = _needed(loaded, runs)
    findings = validation.check(manifests, catalog, config_maps=loaded.config_maps, on_this_host=True)
    problems = [*findings.problems, *findings.notes]
    workflows = {m.object.metadata.name: m.object for m in manifests if isinstance(m.object, LabWorkflow)}
    if not problems:
        sources = {m.object.metadata.name: m for m in manifests}
        world = validation.World(manifests)
        for run in runs:
            problems += _run_problems(run, workflows, sources, world)
    if problems:
        raise InvalidInput(problems)
    if not runs:
        raise InvalidInput([Problem("", "the files hold no LabWorkflow, so there is nothing to run")])
    devices = tuple(m.object for m in manifests if isinstance(m.object, LabDevice))
    return Plan(tuple(manifests), tuple(runs), workflows, devices, tuple(loaded.config_maps))


def _check_selection(only: list[str], asked: list[Manifest]) -> None:
    names = [m.object.metadata.name for m in asked]
    unknown = [name for name in only if name not in names]
    if unknown:
        problems = [Problem("--workflow", f"there is no LabWorkflow {n!r}", did_you_mean(n, names)) for n in unknown]
        raise InvalidInput(problems)


def _runs(wanted: list[Manifest], asked: list[Manifest], parameters: dict[str, Any]) -> list[LabRun]:
    by_name = {m.object.metadata.name: m.object for m in asked if isinstance(m.object, LabWorkflow)}
    runs = []
    for manifest in wanted:
        if isinstance(manifest.object, LabRun):
            spec = manifest.object.spec
            merged = {**spec.parameters, **parameters}
            workflow = by_name.get(spec.workflow_ref.name)
            if workflow is None:
                path, message = ("spec", "workflowRef", "name"), f"there is no LabWorkflow {spec.workflow_ref.name!r}"
                raise InvalidInput([manifest.problem(path, message, did_you_mean(spec.workflow_ref.name, by_name))])
            runs.append(new_run(workflow, merged, name=manifest.object.metadata.name))
    return runs or [new_run(workflow, parameters) for workflow in by_name.values()]


def _needed(loaded: manifest_files.Loaded, runs: list[LabRun]) -> list[Manifest]:
    """What was asked for, and of what stands beside it only what the runs need."""
    names = {(run.metadata.namespace, run.spec.workflow_ref.name) for run in runs}
    workflows = [
        m
        for m in loaded.all
        if isinstance(m.object, LabWorkflow)
        and (m in loaded.manifests or (m.object.metadata.namespace, m.object.metadata.name) in names)
    ]
    pools = {
        (m.object.metadata.namespace, m.object.spec.placement.pool)
        for m in workflows
        if isinstance(m.object, LabWorkflow)
    }
    needed = list(workflows)
    for manifest in loaded.all:
        obj = manifest.object
        place = (obj.metadata.namespace, obj.metadata.name)
        if isinstance(obj, LabPool) and (manifest in loaded.manifests or place in pools):
            needed.append(manifest)
        if isinstance(obj, LabDevice) and (
            manifest in loaded.manifests or (obj.metadata.namespace, obj.spec.pool) in pools
        ):
            needed.append(manifest)
    return needed


def _run_problems(
    run: LabRun, workflows: Mapping[str, LabWorkflow], sources: Mapping[str, Manifest], world: validation.World
) -> list[Problem]:
    """What is wrong with a run's parameters, for the flow and for the devices that would carry it out."""
    workflow = workflows[run.spec.workflow_ref.name]
    entry = flow_entry(workflow.spec.flow, builtin_catalog())
    if entry is None:
        return []
    merged = {**workflow.spec.parameters, **run.spec.parameters}
    problems = parameter_problems(entry.parameter_schema, merged, complete=True)
    if not problems:
        problems = validation.device_problems(workflow, merged, world, entry)
    source = sources[workflow.metadata.name]
    hint = "give it with --param NAME=VALUE or in spec.parameters"
    return [source.problem(_parts(problem.path), problem.message, problem.hint or hint) for problem in problems]


def _parts(path: str) -> list[str]:
    return path.replace("[", ".").replace("]", "").split(".")
