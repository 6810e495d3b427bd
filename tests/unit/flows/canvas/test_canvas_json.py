"""Text that is not a canvas: said clearly, with the line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_flows.canvas import jsontext
from tests.unit.flows.canvas import canvases

GOOD = canvases.as_text(canvases.nested(canvases.SETUP))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        (" \n\t", 1, "the file is empty"),
        ("[1,2]", 1, "is a list"),
        ("7", 1, "is a number"),
        ("null", 1, "is nothing"),
        ("{}", 1, "holds no nodes"),
        ('{"nodes": [\n1,\n2,\n]}', 3, "comma after the last element"),
        ('{"a": 1,\n}', 1, "comma after the last element"),
        ('{"nodes": [\n', 2, "not valid JSON"),
        ('{"nodes": []}\n{}', 2, "not valid JSON"),
        ('{"nodes": [{"id": "a",\n "params": {"x": NaN}}]}', 2, "NaN is not a number"),
        ('{"nodes": [{"id": "a",\n "params": {"x": -Infinity}}]}', 2, "-Infinity is not a number"),
        ('{"nodes": [{"id": "a",\n "params": {"x": 1e999}}]}', 2, "not a finite number"),
        ('{"nodes": [],\n "nodes": []}', 2, "stands twice"),
        ('{"nodes": [{"id": "\\ud800"}]}', 1, "surrogate"),
        ('{"nodes": [{"\\ud800": 1}]}', 1, "surrogate"),
        ("{'nodes': []}", 1, "not valid JSON"),
        ("# comment\n{}", 1, "not valid JSON"),
    ],
)
def test_a_bad_text_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    found = canvases.text_problems(text)
    assert [problem for problem in found if said in problem.message and problem.line == line], found


def test_bytes_that_are_no_text() -> None:
    assert "not UTF-8" in canvases.text_problems(b"\xff\xfe{}")[0].message
    assert "not UTF-8" in canvases.text_problems("{\ud800}")[0].message


def test_deep_nesting_and_long_numbers_are_refused() -> None:
    assert "nested" in canvases.text_problems("[" * 100_000)[0].message
    assert "digits" in canvases.text_problems('{"a": ' + "9" * 10_000 + "}")[0].message


def test_a_byte_order_mark_is_no_problem() -> None:
    assert canvases.text_problems(GOOD.encode("utf-8-sig")) == []


def test_nan_is_named_by_its_path() -> None:
    (problem,) = canvases.text_problems('{"nodes": [{"id": "a", "params": {"volume": NaN}}]}')
    assert problem.path == "nodes[0].params.volume"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON, st.sampled_from([None, 1]))
def test_every_part_has_its_line(data: object, indent: int | None) -> None:
    text = json.dumps(data, indent=indent)
    found = jsontext.read(text)
    assert found.data == json.loads(text)
    assert set(found.lines) == set(_paths(data, ()))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.lines.values())


def _paths(data: object, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    if isinstance(data, dict):
        return [path, *(it for key, value in data.items() for it in _paths(value, (*path, key)))]
    if isinstance(data, list):
        return [path, *(it for at, value in enumerate(data) for it in _paths(value, (*path, at)))]
    return [path]


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_no_text_raises_anything_but_invalid_input(text: str | bytes) -> None:
    problems: tuple[Problem, ...] | None = None
    try:
        jsontext.read(text)
    except InvalidInput as error:
        problems = error.problems
    assert problems is None or len(problems) > 0
