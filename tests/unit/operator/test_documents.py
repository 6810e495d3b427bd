"""Canvases and protocols as flow sources: where their text comes from, what is refused, what they become in Prefect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from labkeeper_api.conditions import Reason
from labkeeper_api.document_flows import (
    CANVAS_ENTRYPOINT,
    MAX_DOCUMENT_BYTES,
    PROTOCOL_ENTRYPOINT,
    canvas_form_problems,
    protocol_form_problems,
)
from labkeeper_api.errors import Problem, Stalled, Waiting
from labkeeper_api.kinds import LabWorkflow
from labkeeper_operator.reconcile import workflows
from labkeeper_operator.sources import document
from tests.unit import builders as b
from tests.unit.operator.worlds import JOBS, a_world, created, stalls

CANVAS = json.dumps({"nodes": [{"id": "a", "type": "delay"}], "edges": []})
REF = {"configMapRef": {"name": "canvases", "key": "battery.json"}}


def a_canvas(source: dict[str, Any] | None = None, **spec: Any) -> LabWorkflow:
    flow = {"canvas": source or {"inline": CANVAS}}
    return b.a_workflow("battery", flow=flow, placement={"pool": "jobs"}, **spec)


def a_protocol(**spec: Any) -> LabWorkflow:
    flow = {"protocol": {"configMapRef": {"name": "protocols", "key": "mix.py"}}}
    return b.a_workflow("mix", flow=flow, placement={"pool": "jobs"}, **spec)


@dataclass
class Shelf:
    """A place with ConfigMaps and files."""

    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        assert namespace == "default"
        return self.config_maps.get(name)

    async def file(self, workflow: LabWorkflow, path: str) -> str:
        return self.files[path]


async def test_a_text_comes_from_the_resource_a_config_map_or_a_file() -> None:
    shelf = Shelf({"canvases": {"battery.json": CANVAS}}, {"battery.json": CANVAS})
    assert await document(a_canvas(), shelf, None) == CANVAS
    assert await document(a_canvas(REF), shelf, None) == CANVAS
    assert await document(a_canvas({"file": "battery.json"}), shelf, None) == CANVAS
    assert await document(b.a_workflow(), shelf, None) is None


@pytest.mark.parametrize(
    ("shelf", "sentence"),
    [
        (Shelf(), "there is no ConfigMap 'canvases' in this namespace"),
        (Shelf({"canvases": {"batery.json": "{}"}}), "no key 'battery.json': did you mean 'batery.json'?"),
        (Shelf({"canvases": {}}), "no key 'battery.json': its data is empty"),
    ],
)
async def test_a_config_map_that_is_not_there_yet_is_waited_for(shelf: Shelf, sentence: str) -> None:
    with pytest.raises(Waiting) as caught:
        await document(a_canvas(REF), shelf, None)
    assert caught.value.reason == Reason.DOCUMENT_NOT_FOUND
    assert sentence in caught.value.message


async def test_all_that_is_wrong_with_a_canvas_is_in_one_message() -> None:
    def check(text: str) -> list[Problem]:
        assert text == CANVAS
        return [Problem("nodes[0].type", "is no type"), Problem("edges[0]", "goes nowhere")]

    with pytest.raises(Stalled) as caught:
        await document(a_canvas(), None, check)
    assert caught.value.reason == Reason.INVALID_DOCUMENT
    assert caught.value.message == "nodes[0].type: is no type; edges[0]: goes nowhere"


async def test_without_a_place_for_documents_a_reference_is_refused() -> None:
    with pytest.raises(Stalled, match="without a place that it reads documents from"):
        await document(a_canvas(REF), None, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "the document is empty"),
        ("[1, 2]", "a canvas is a JSON object with nodes"),
        ('{"nodes": [1,]}', "in line 1, column"),
        ('{"nodes": [NaN]}', "NaN is not a number"),
        ("[" * 100_000, "no JSON"),
        ("x" * (MAX_DOCUMENT_BYTES + 1), "384 KiB fit into a deployment"),
    ],
)
def test_the_form_of_a_canvas_is_checked_without_the_engine(text: str, sentence: str) -> None:
    (problem,) = canvas_form_problems(text)
    assert sentence in str(problem)


def test_a_protocol_in_json_is_checked_as_json_and_one_in_python_is_left_to_the_robot() -> None:
    (problem,) = protocol_form_problems('{"commands": [}')
    assert "of the protocol" in problem.message
    assert protocol_form_problems("def run(protocol): ...") == []


def test_a_canvas_becomes_a_deployment_that_carries_it() -> None:
    workflow = a_canvas(parameters={"dry_run": True})
    action = created(workflow, document=CANVAS)
    assert action.flow_name == "run-canvas"
    body = action.body
    assert body["entrypoint"] == CANVAS_ENTRYPOINT
    assert body["parameters"] == {
        "canvas": CANVAS,
        "name": "default/battery",
        "namespace": "default",
        "dry_run": True,
    }
    assert body["enforce_parameter_schema"] is True
    assert set(body["parameter_openapi_schema"]["properties"]) == set(body["parameters"])
    assert body["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRIES"] == "0"


def test_a_protocol_becomes_a_deployment_that_carries_it() -> None:
    body = created(a_protocol(dry_run=True), document="def run(protocol): ...").body
    assert body["entrypoint"] == PROTOCOL_ENTRYPOINT
    assert body["parameters"]["protocol"] == "def run(protocol): ..."
    assert body["parameters"]["dry_run"] is True
    assert body["parameters"]["name"] == "mix.py"  # the robot goes by the ending


def test_another_text_is_another_version_and_one_update() -> None:
    workflow = a_canvas()
    observed = b.observed_deployment("run-canvas", created(workflow, document=CANVAS).body)
    world = {"pool": JOBS, "observed": observed, "owned": (observed,)}
    assert not workflows.plan(workflow, a_world(**world, document=CANVAS))
    (update,) = workflows.plan(workflow, a_world(**world, document='{"nodes": []}')).actions
    assert set(getattr(update, "changes")) == {"parameters", "version"}  # noqa: B009


@pytest.mark.parametrize("workflow", [a_canvas(retries=1), a_protocol(retries=2)])
def test_what_moves_hardware_is_never_tried_again_by_itself(workflow: LabWorkflow) -> None:
    assert stalls(workflow, document=CANVAS).reason == Reason.RETRIES_FORBIDDEN


@pytest.mark.parametrize("name", ["canvas", "namespace", "volume"])
def test_parameters_of_the_operator_are_not_given_by_people(name: str) -> None:
    refused = stalls(a_canvas(parameters={name: "x"}), document=CANVAS)
    assert refused.reason == Reason.INVALID_PARAMETERS
    assert "the flow takes dry_run" in refused.message


def test_a_canvas_needs_a_pool_of_type_kubernetes() -> None:
    workflow = b.a_workflow(flow={"canvas": {"inline": CANVAS}}, placement={"pool": "plates"})
    assert stalls(workflow, document=CANVAS).reason == Reason.UNSUITABLE_POOL
