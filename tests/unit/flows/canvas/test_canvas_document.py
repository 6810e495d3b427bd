"""The shapes of canvas documents, and what can be wrong with their structure."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_flows.canvas import document
from labkeeper_flows.canvas.document import Shape
from tests.unit.flows.canvas import canvases
from tests.unit.flows.canvas.canvases import EXPORT, SETUP, catalyst, edge, nested, node, told, top_level


def test_the_nested_shape() -> None:
    canvas = document.from_data(nested(SETUP, EXPORT, edges=[edge("setup", "export", "trigger-output")]))
    assert (canvas.shape, canvas.id, canvas.name) == (Shape.NESTED, "w-1", "test")
    assert [(it.id, it.type, it.label) for it in canvas.nodes] == [
        ("setup", "sdl1ExperimentSetup", "Setup"),
        ("export", "sdl1DataExport", "Export"),
    ]
    assert canvas.nodes[0].parameters["experiment_id"] == "Zn"
    assert [(it.source, it.target, it.source_handle) for it in canvas.edges] == [("setup", "export", "trigger-output")]


def test_the_top_level_shape_holds_the_same() -> None:
    flat = document.from_data(top_level(SETUP, EXPORT, edges=[edge("setup", "export")]))
    assert (flat.shape, flat.id, flat.name, flat.metadata) == (Shape.TOP_LEVEL, "w-2", "flat", {"a": 1})
    assert [it.parameters for it in flat.nodes] == [SETUP["params"], EXPORT["params"]]


def test_the_catalyst_shape() -> None:
    canvas = document.from_data(catalyst(node("a", "")))
    assert (canvas.shape, canvas.name, canvas.nodes[0].type, canvas.problems) == (Shape.CATALYST, "c", "", ())


def test_nodes_without_ids_are_named_by_their_place_where_nobody_refers_to_them() -> None:
    canvas = document.from_data({"nodes": [{"type": "delay", "params": {}}, {"type": "delay"}], "metadata": {}})
    assert [it.id for it in canvas.nodes] == ["node-0", "node-1"]


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"nodes": []}, "workflow.nodes", "no nodes"),
        ({"nodes": {}}, "workflow.nodes", "is an object"),
        ({"nodes": [3]}, "workflow.nodes[0]", "is a number"),
        ({"nodes": [{"type": "delay"}]}, "workflow.nodes[0].id", "has no id"),
        ({"nodes": [{"id": 3, "type": "delay"}]}, "workflow.nodes[0].id", "must be text"),
        ({"nodes": [node("a", "delay"), node("a", "delay")]}, "workflow.nodes[1].id", "already that of nodes[0]"),
        ({"nodes": [{"id": "a"}]}, "workflow.nodes[0].type", "has no type"),
        ({"nodes": [{"id": "a", "type": 5}]}, "workflow.nodes[0].type", "must be text"),
        ({"nodes": [{"id": "a", "type": "delay", "params": []}]}, "workflow.nodes[0].params", "is a list"),
        ({"nodes": [node("a", "dealy")]}, "workflow.nodes[0].type", "did you mean 'delay'"),
        ({"edges": {}}, "workflow.edges", "is an object"),
        ({"edges": [4]}, "workflow.edges[0]", "is a number"),
        ({"edges": [{"source": "setup"}]}, "workflow.edges[0].target", "no target"),
        ({"edges": [edge("setup", "exprot")]}, "workflow.edges[0].target", "did you mean 'export'"),
        (
            {"edges": [edge("setup", "export") | {"data": {"condition": "x > 1"}}]},
            "workflow.edges[0].data.condition",
            "",
        ),
        ({"edges": [edge("setup", "export") | {"id": "e"}] * 2}, "workflow.edges[1].id", "already that of edges[0]"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(change: dict[str, Any], path: str, said: str) -> None:
    data = nested(SETUP, EXPORT)
    data["workflow"].update(change)
    found = [it for it in canvases.problems(data) if it.path == path]
    assert found, told(data)
    assert said in str(found[0])


def test_everything_is_told_at_once_with_lines() -> None:
    data = nested(
        SETUP,
        node("bad", "sdl1SolutionPreparation", volume=-5, target_well="Z99", sourcewell="A1"),
        node("odd", "sdl1Teleport"),
        node("bad", "delay"),
        edges=[edge("setup", "nowhere")],
    )
    found = canvases.text_problems(canvases.as_text(data))
    assert {it.path for it in found} == {
        "workflow.nodes[1].params.volume",
        "workflow.nodes[1].params.target_well",
        "workflow.nodes[1].params.sourcewell",
        "workflow.nodes[2].type",
        "workflow.nodes[3].id",
        "workflow.edges[0].target",
    }
    lines = [it.line or 0 for it in found]
    assert lines == sorted(lines)
    assert min(lines) > 1
    assert all(it.source == "canvas.json" for it in found)


def test_two_places_for_nodes_are_refused() -> None:
    data = nested(SETUP) | {"nodes": []}
    with pytest.raises(InvalidInput, match="both here and under workflow"):
        document.from_data(data)


def test_an_experiment_form_is_refused_as_such() -> None:
    data = {"name": "x", "experiments": [{"id": "a", "parameters": {}}, {"id": "b", "uo_type": "OCV"}, 5]}
    with pytest.raises(InvalidInput) as error:
        document.from_data(data)
    assert [it.path for it in error.value.problems] == ["experiments", "experiments[0].uo_type", "experiments[2]"]
    assert "experiment form" in str(error.value)


def test_type_and_node_type_must_agree() -> None:
    data = top_level(SETUP)
    data["nodes"][0]["data"]["nodeType"] = "sdl1DataExport"
    assert "both must be the same" in told(data)
