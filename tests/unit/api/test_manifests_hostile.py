"""Manifests that mean harm or make no sense to YAML: reading them neither hangs nor raises, and says what is wrong."""

from __future__ import annotations

import pytest

from labkeeper_api.errors import Problem
from labkeeper_api.manifests import parse
from tests.unit import builders as b

# A file is read within moments or refused; the limit only keeps a defect from stopping the suite.
pytestmark = pytest.mark.timeout(60)

HEAD = b.yaml_text(b.manifest("LabWorkflow"))
LAST_LINE = len(HEAD.splitlines()) + 2


def with_parameter(text: str) -> str:
    """A valid LabWorkflow with a parameter `x` of that YAML text on its last line."""
    return f"{HEAD}  parameters:\n    x: {text}\n"


def only(text: str | bytes) -> Problem:
    """The one thing that is wrong with a file."""
    parsed = parse(text, "lab.yaml")
    (problem,) = parsed.problems
    assert parsed.manifests == []
    return problem


@pytest.mark.parametrize("number", [".inf", "-.inf", "+.INF", ".nan", ".NaN", "1.0e+999", "!!float .inf"])
def test_a_number_that_json_cannot_hold_is_placed(number: str) -> None:
    problem = only(with_parameter(number))
    assert (problem.path, problem.line) == ("spec.parameters.x", LAST_LINE)
    assert problem.message.endswith("is not a number that JSON can hold")


def test_such_a_number_is_refused_as_a_key_too() -> None:
    assert [problem.line for problem in parse(with_parameter("{.inf: 1, .nan: 2}")).problems] == [LAST_LINE] * 2


def test_binary_data_are_refused_where_they_stand() -> None:
    problem = only(with_parameter("!!binary aGVsbG8="))
    assert (problem.path, problem.line) == ("spec.parameters.x", LAST_LINE)
    assert problem.message == "binary data has no place here"


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [ls]",
        "!!python/name:os.system ''",
        "!!python/tuple [a]",
        "!lab/secret x",
        "!!set [a]",
        "!!int [a]",
        "!!map [a]",
    ],
)
def test_a_tag_that_has_no_place_is_refused(text: str) -> None:
    problem = only(with_parameter(text))
    assert problem.message.startswith("not valid YAML")
    assert problem.line == LAST_LINE


@pytest.mark.parametrize(
    "text",
    [
        '!!int ""',
        '!!int "five"',
        '!!float ""',
        "!!float five",
        "!!bool maybe",
        "!!timestamp soon",
        "2026-13-45",
        "2026-01-01T25:00:00Z",
        "1" * 5000,
        "{!!bool maybe: 1}",
        '{!!int "": 1}',
    ],
)
def test_a_value_that_its_tag_does_not_allow_is_a_problem_or_text(text: str) -> None:
    parsed = parse(with_parameter(text))
    assert parsed.manifests or parsed.problems[0].line == LAST_LINE


@pytest.mark.parametrize("text", [r'"\UFFFFFFFF"', r'"\U00110000"', r'"\xZZ"', r'"\q"'])
def test_an_impossible_escape_is_a_problem(text: str) -> None:
    assert only(with_parameter(text)).message.startswith("not valid YAML")


def test_half_a_surrogate_pair_is_refused() -> None:
    """It is no character: writing it to a file or to Prefect would fail later."""
    assert only(with_parameter(r'"\ud800"')).line == LAST_LINE


def test_a_huge_number_is_read_or_refused_but_never_changed() -> None:
    parsed = parse(with_parameter("9" * 400))
    assert parsed.problems or parsed.manifests[0].object.wire()["spec"]["parameters"]["x"] == int("9" * 400)


@pytest.mark.parametrize("text", ["%YAML 2.0\n---\na: 1\n", f"%YAML {'1' * 5000}.1\n---\na: 1\n", "%TAG ! x\n"])
def test_a_directive_that_makes_no_sense_is_a_problem(text: str) -> None:
    assert only(text).message.startswith("not valid YAML")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xff\xfea\x00", 1),
        (HEAD.encode("utf-16"), 1),
        (b"a: 1\nb: \xe9\n", 2),
        (b"a: 1\nb: 2\nc: \x80", 3),
    ],
)
def test_bytes_that_are_not_utf_8_are_placed(data: bytes, line: int) -> None:
    problem = only(data)
    assert (problem.message, problem.line) == ("the file is not UTF-8 text", line)


@pytest.mark.parametrize(("text", "line"), [("\x00", 1), ("a: 1\nb: \x00\n", 2), ("a: 1\nb: 2\nc: '\x1b'\n", 3)])
def test_a_control_character_is_placed(text: str, line: int) -> None:
    problem = only(text)
    assert "special characters are not allowed" in problem.message
    assert problem.line == line


@pytest.mark.parametrize("text", ["[" * 70 + "]" * 70, "{a: " * 70 + "1" + "}" * 70])
def test_deep_nesting_is_refused(text: str) -> None:
    problem = only(with_parameter(text))
    assert problem.message == "is nested too deeply"
    assert problem.line == LAST_LINE


@pytest.mark.parametrize("text", ["[" * 5_000, "{a: " * 20_000, "- " * 5_000 + "a", "!!str " * 5 + "[" * 5000])
def test_nesting_beyond_any_stack_is_a_problem(text: str) -> None:
    assert len(parse(text).problems) == 1


@pytest.mark.parametrize(
    "text", ["&a [*a]", "&a {b: *a}", "&a [*a, *a]", "&a {b: *a, c: *a, d: [*a, *a]}", "&a {<<: *a}"]
)
def test_an_alias_of_itself_is_refused(text: str) -> None:
    assert parse(with_parameter(text)).problems


def test_a_list_that_holds_itself_is_refused() -> None:
    assert parse("&a\nkind: List\nitems: [*a, *a]\n").problems


def laughs(levels: int, width: int) -> str:
    """The billion laughs: each level holds the one before that many times."""
    lines = [f"a0: &a0 [{', '.join(['lol'] * width)}]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "{" + ", ".join(lines) + "}"


def merges(levels: int) -> str:
    """Merge keys that each double the mapping before."""
    lines = ["m0: &m0 {x: 1}"]
    lines += [f"m{level}: &m{level} {{<<: [*m{level - 1}, *m{level - 1}]}}" for level in range(1, levels)]
    return "{" + ", ".join(lines) + "}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(laughs(9, 9), id="billion laughs"),
        pytest.param(laughs(30, 2), id="doubling"),
        pytest.param(merges(30), id="merge keys"),
        pytest.param(f"{{a: &a [{'x, ' * 20_000}x], b: [{'*a, ' * 500}*a]}}", id="a long list many times"),
    ],
)
def test_aliases_that_grow_without_bound_are_refused(text: str) -> None:
    assert parse(with_parameter(text)).problems


@pytest.mark.parametrize(
    "text",
    [
        "1: 2",
        "~: 2",
        "true: 2",
        "2026-01-01: 2",
        "!!binary aGk=: 2",
        r'"\ud800": 2',
        "? {a: b}\n  : 2",
        "<<: 5",
        "<<: [1, 2]",
    ],
)
def test_a_key_that_is_no_field_is_a_problem(text: str) -> None:
    problem = only(f"{HEAD}  {text}\n")
    assert problem.message
    assert problem.line


@pytest.mark.parametrize("text", ["!!set {ab, cd}", "!!omap {a: 1}", "!!pairs {a: 1}", "!!str {a: 1}", "!!null {a: 1}"])
def test_a_document_of_another_type_is_a_problem(text: str) -> None:
    assert parse(text).problems
