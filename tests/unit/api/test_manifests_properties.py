"""Malformed manifests by the hundred: never an exception, always a problem that says something."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from labkeeper_api.manifests import Parsed, parse
from tests.unit import builders as b
from tests.unit.api import strategies

Path = tuple[str | int, ...]

FULL = b.manifest(
    "LabWorkflow",
    spec={
        "flow": {"name": "plate-resort.go-home"},
        "placement": {"pool": "plates", "queue": "urgent"},
        "description": "Turns.",
        "parameters": {"a": 1},
        "schedules": [{"name": "night", "cron": "0 2 * * *", "timezone": "UTC", "parameters": {}, "suspend": False}],
        "suspend": False,
        "concurrency": {"limit": 1, "onConflict": "Skip"},
        "retries": 1,
        "retryDelaySeconds": 5,
        "timeoutSeconds": 60,
        "job": {"image": "lab:1"},
        "tags": ["night"],
        "prefect": {"flowName": "Turn", "deploymentName": "turn"},
        "adopt": True,
        "deletionPolicy": "Orphan",
    },
    labels={"team": "a"},
)
REQUIRED: tuple[Path, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    ("metadata", "name"),
    ("spec",),
    ("spec", "flow"),
    ("spec", "flow", "name"),
    ("spec", "placement"),
    ("spec", "placement", "pool"),
    ("spec", "schedules", 0, "name"),
    ("spec", "schedules", 0, "cron"),
    ("spec", "concurrency", "limit"),
)


def paths_of(data: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all parts, without what is free-form."""
    if path:
        yield path
    if path and path[-1] in ("parameters", "labels"):
        return
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, part in items:
        yield from paths_of(part, (*path, key))


def part_of(data: Any, path: Path) -> Any:
    """The part at that path."""
    for key in path:
        data = data[key]
    return data


def changed(path: Path, value: Any) -> dict[str, Any]:
    """FULL with another value at that path."""
    data = copy.deepcopy(FULL)
    part_of(data, path[:-1])[path[-1]] = value
    return data


def wrong_for(value: Any) -> list[Any]:
    """Values of other types that no reading of this one allows."""
    if isinstance(value, bool | int):
        return ["x", [], {}, 1.5, "", [1]]
    if isinstance(value, str):
        return [5, True, 1.5, [], {}, ["x"]]
    if isinstance(value, list):
        return ["x", 5, {}, True]
    return ["x", 5, [], True]


PATHS = sorted(paths_of(FULL), key=str)
WRONG_TYPES = [(path, value) for path in PATHS for value in wrong_for(part_of(FULL, path))]
OPEN = ("metadata", "parameters", "labels")
"""Mappings that may hold what we do not know."""
MAPPINGS = [path for path in PATHS if isinstance(part_of(FULL, path), dict) and path[-1] not in OPEN]


def assert_told(parsed: Parsed) -> None:
    """Something is wrong, and each problem says so in words."""
    assert parsed.problems
    assert all(problem.message.strip() and str(problem) for problem in parsed.problems)


def test_the_manifest_that_is_broken_below_is_right() -> None:
    assert parse(b.yaml_text(FULL)).problems == []


def test_there_are_enough_ways_to_break_it() -> None:
    assert len(WRONG_TYPES) > 150


def test_a_wrong_type_at_any_place_is_told_with_its_line() -> None:
    """Every place, each with several wrong types: more than 150 manifests."""
    silent = []
    for path, value in WRONG_TYPES:
        parsed = parse(b.yaml_text(changed(path, value)), "lab.yaml")
        if not parsed.problems or not all(p.message and p.line and p.line > 0 for p in parsed.problems):
            silent.append((path, value, [str(problem) for problem in parsed.problems]))
    assert silent == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_type_is_told_on_the_line_where_it_stands(path: Path) -> None:
    """Nothing in front of the broken part changes, so its line is known."""
    (right,) = parse(b.yaml_text(FULL)).manifests
    value = "x" if isinstance(part_of(FULL, path), dict) else {"x": {"y": 1}}
    lines = {problem.line for problem in parse(b.yaml_text(changed(path, value))).problems}
    assert right.line_of(*path) in lines


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_required_field_that_is_gone_is_told(path: Path) -> None:
    data = copy.deepcopy(FULL)
    del part_of(data, path[:-1])[path[-1]]
    parsed = parse(b.yaml_text(data))
    assert_told(parsed)
    assert all(problem.line for problem in parsed.problems)


@pytest.mark.parametrize("path", [(), *MAPPINGS], ids=lambda path: ".".join(map(str, path)) or "root")
def test_an_unknown_field_anywhere_is_told(path: Path) -> None:
    data = copy.deepcopy(FULL)
    part_of(data, path)["colour"] = "red"
    problems = parse(b.yaml_text(data)).problems
    assert [problem.message for problem in problems] == ["unknown field 'colour'"]


@given(st.data())
def test_several_mistakes_are_each_told(data: st.DataObject) -> None:
    places = data.draw(
        st.lists(
            st.sampled_from(["retries", "suspend", "tags", "timeoutSeconds", "adopt", "description", "job"]),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    broken = copy.deepcopy(FULL)
    for place in places:
        broken["spec"][place] = {"x": []} if place != "job" else 5
    found = {problem.path.split(".")[1] for problem in parse(b.yaml_text(broken)).problems}
    assert found == set(places)


@settings(max_examples=200)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x00")
@example(b"\xef\xbb\xbf")
@example(b"a: !!int ''")
def test_random_bytes_are_told(data: bytes) -> None:
    assert_told(parse(data))


@settings(max_examples=300)
@given(st.text("{}[]:,&*!|>'\"%@`#-? \n\tab01.~<=/x", max_size=60))
def test_random_punctuation_is_told(text: str) -> None:
    assert_told(parse(text))


@given(strategies.manifests, st.floats(0, 1, exclude_max=True))
def test_a_truncated_manifest_is_read_or_told(data: dict[str, Any], share: float) -> None:
    """Cut anywhere, it may still be a smaller manifest that is right; else something is said."""
    text = b.yaml_text(data)
    parsed = parse(text[: int(len(text) * share)])
    assert parsed.manifests or parsed.problems
    assert all(problem.message for problem in parsed.problems)


@given(strategies.manifests, st.integers(0, 10_000))
def test_truncated_json_is_told(data: dict[str, Any], length: int) -> None:
    text = json.dumps(data, ensure_ascii=False)
    assume(length < len(text))
    assert_told(parse(text[:length]))


@given(strategies.manifests, st.integers(0, 10_000), st.characters(codec="utf-8"))
def test_a_manifest_with_one_character_put_in_never_raises(data: dict[str, Any], place: int, character: str) -> None:
    text = b.yaml_text(data)
    place %= len(text)
    parsed = parse(text[:place] + character + text[place:])
    assert parsed.manifests or parsed.problems


@given(strategies.manifests, st.sampled_from(["apiVersion", "kind", "metadata", "spec"]), strategies.json_values)
def test_any_value_in_place_of_a_main_part_is_told(data: dict[str, Any], part: str, value: Any) -> None:
    assume(value != data[part])
    assume(not (part == "metadata" and isinstance(value, dict)))
    assert_told(parse(b.yaml_text({**data, part: value})))
