"""Random canvases: whatever they hold, nothing but InvalidInput comes out."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labkeeper_api.errors import InvalidInput
from labkeeper_flows.canvas import document, registry
from labkeeper_flows.canvas.plan import plan, plan_text
from labkeeper_flows.canvas.planned import CanvasPlan
from tests.unit.flows.canvas.canvases import CATALYST_CONFIG, EIGHT, TECHNIQUES, catalyst, edge, nested, node, top_level

_ODD = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        1e308,
        10**400,
        "",
        "A1",
        "Z99",
        "10 mV",
        "5 min",
        "{x}",
        [],
        [1],
        {},
        {"a": 1},
        "µ",
        "nis_reactor",
    ]
)
_TYPES = st.sampled_from([*registry.TYPES, "sdl1Nothing", "", "motion"])
_NAMES = st.sampled_from(
    sorted(
        {name for kind in registry.TYPES.values() for name in kind.parameters.model_fields} | {"labware", "well", "x"}
    )
)
_IDS = st.sampled_from(list("abcdef"))
_NODES = st.builds(
    lambda identity, kind, params: node(identity, kind, **params),
    _IDS,
    _TYPES,
    st.dictionaries(_NAMES, _ODD, max_size=4),
)
_EDGES = st.builds(edge, _IDS, _IDS, st.sampled_from([None, "loop", "trigger-output"]))


def outcome(data: object) -> CanvasPlan | None:
    """The plan, or None if the canvas is refused with reasons."""
    try:
        found = plan(document.from_data(data))
    except InvalidInput as error:
        problems = error.problems
        found = None
    if found is None:
        assert problems
        assert all(problem.message and str(problem) for problem in problems)
        return None
    assert sum(len(it.cycles) >= 1 for it in found.nodes) == found.total
    return found


@given(st.lists(_NODES, max_size=6), st.lists(_EDGES, max_size=8), st.sampled_from([nested, top_level, catalyst]))
@settings(max_examples=150)
def test_random_nodes_and_edges(nodes: list[Any], edges: list[Any], shape: Any) -> None:
    outcome(shape(*nodes, edges=edges))


_SEEDS: tuple[dict[str, Any], ...] = (
    nested(*EIGHT),
    top_level(*EIGHT),
    catalyst(node("a", "OCV", **TECHNIQUES), node("b", "CVA", **TECHNIQUES), edges=[edge("a", "b")]),
)


def _places(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(data, dict):
        return [path, *(it for key in data for it in _places(data[key], (*path, key)))]
    if isinstance(data, list):
        return [path, *(it for at in range(len(data)) for it in _places(data[at], (*path, at)))]
    return [path]


@st.composite
def _changed(draw: st.DrawFn) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(_SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(_places(data)))
        if not place:
            continue
        target: Any = data
        for part in place[:-1]:
            target = target[part]
        if draw(st.booleans()) and isinstance(target, dict):
            del target[place[-1]]
        else:
            target[place[-1]] = copy.deepcopy(draw(_ODD))
    return data


@given(_changed())
@settings(max_examples=150)
def test_sound_canvases_with_something_odd_in_them(data: dict[str, Any]) -> None:
    outcome(data)


@given(
    st.recursive(
        _ODD,
        lambda inner: st.dictionaries(
            st.sampled_from([*CATALYST_CONFIG, "pipette", "type", "slot", "out", "ot2", "ip"]), inner
        ),
    )
)
def test_any_global_config(config: object) -> None:
    outcome(catalyst(node("a", "OCV", **TECHNIQUES)) | {"global_config": config})


@given(st.data())
def test_damaged_text(data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from(_SEEDS)), indent=1)
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.sampled_from(["", ",", "}", "]", '"', "NaN", "\x00", "\ud800", "é"]))
    try:
        found = plan_text(text[:at] + piece + text[at + data.draw(st.integers(0, 3)) :])
    except InvalidInput as error:
        found, problems = None, error.problems
    assert found is not None or problems
