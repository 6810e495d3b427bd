"""The form that a node carries, as a second check."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import forms
from tests.unit.flows.canvas.canvases import nested, node, problems

FORM: dict[str, Any] = {
    "g": {
        "label": "G",
        "parameters": {
            "volume": {"type": "number", "min": 10, "max": 500, "unit": "μL"},
            "kind": {"type": "select", "options": [{"value": "CSV"}, "JSON"]},
            "name": {"type": "string", "required": True},
            "on": {"type": "boolean", "defaultValue": True},
            "extra": {"type": "number", "max": 1, "dependsOn": {"parameter": "on", "value": False}},
            "shown": {"type": "number", "max": 1, "readOnly": True},
        },
    }
}


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"name": "a"}, set()),
        ({}, {"name"}),
        ({"name": 5}, {"name"}),
        ({"name": "a", "volume": 501}, {"volume"}),
        ({"name": "a", "volume": "0.4 mL"}, set()),
        ({"name": "a", "volume": "1 mL"}, {"volume"}),
        ({"name": "a", "volume": "1 V"}, {"volume"}),
        ({"name": "a", "kind": "csv"}, set()),
        ({"name": "a", "kind": "XML", "on": "yes"}, {"kind", "on"}),
        ({"name": "a", "extra": 5}, set()),
        ({"name": "a", "extra": 5, "on": False}, {"extra"}),
        ({"name": "a", "shown": 99}, set()),
    ],
)
def test_what_the_form_has_against_parameters(parameters: dict[str, Any], wrong: set[str]) -> None:
    assert {it.parameter for it in forms.objections(FORM, parameters)} == wrong
    assert {it.parameter for it in forms.objections(list(FORM.values()), parameters)} == wrong


def test_a_form_narrows_what_the_type_allows() -> None:
    data = nested(node("n", "sdl1SolutionPreparation", volume=800))
    data["workflow"]["nodes"][0]["metadata"] = {
        "parameterGroups": FORM | {"g": {"parameters": {"volume": {"type": "number", "max": 500}}}}
    }
    (problem,) = problems(data)
    assert (problem.path, "own form" in problem.message) == ("workflow.nodes[0].params.volume", True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["number", "select", "µL", "on", "min"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["parameters", "type", "min", "max", "options", "dependsOn", "parameter", "unit", "required", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(_JSON, st.dictionaries(st.sampled_from(["x", "on", "type"]), _JSON, max_size=3))
def test_no_form_raises(groups: object, parameters: dict[str, Any]) -> None:
    list(forms.objections(groups, parameters))
