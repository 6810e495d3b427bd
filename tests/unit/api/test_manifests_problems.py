"""What is said about manifests that are wrong: where, what, and what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.documents import MAX_BYTES
from labkeeper_api.errors import Problem
from labkeeper_api.kinds import BY_KIND
from labkeeper_api.manifests import parse
from tests.unit import builders as b

POOL = """\
apiVersion: labkeeper.dev/v1alpha1
kind: LabPool
metadata:
  name: plates
spec:
  type: device
"""
WORKFLOW = """\
apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata:
  name: move
spec:
  flow:
    name: plate-resort.go-home
  placement:
    pool: plates
"""


def problems(text: str | bytes) -> list[Problem]:
    """What is wrong with a file, which must not be nothing."""
    parsed = parse(text, "lab.yaml")
    assert parsed.problems
    return parsed.problems


def only(text: str | bytes) -> Problem:
    """The one thing that is wrong with a file."""
    (problem,) = problems(text)
    return problem


@pytest.mark.parametrize(
    "text", ["", b"", "\n\n", "# only\n# comments\n", "---\n---\n", "~", "null\n", "--- # x\n...\n"]
)
def test_a_file_without_an_object_is_a_problem(text: str | bytes) -> None:
    problem = only(text)
    assert (problem.message, problem.line) == ("the file holds no object", 1)
    assert problem.hint == "it is empty or only comments"


@pytest.mark.parametrize("items", ["[]", "[] # none"])
def test_a_list_without_items_is_a_problem_too(items: str) -> None:
    assert "no object" in only(f"apiVersion: v1\nkind: List\nitems: {items}\n").message


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "5\n", "[{}]", "'quoted'"])
def test_a_document_that_is_no_mapping_is_told_what_a_manifest_is(text: str) -> None:
    problem = only("# first line\n" + text)
    assert problem.message == "a manifest is a mapping with apiVersion, kind, metadata and spec"
    assert problem.line == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (POOL + "  queues: [\n", 8),
        (POOL + "  queues: }\n", 7),
        (POOL + " bad: 1\n", 7),
        (POOL + '  description: "open\n', 8),
        (POOL + "  description: a: b\n", 7),
        (POOL + "\ttab: 1\n", 7),
        (POOL + "  description: *nowhere\n", 7),
        (POOL + "  description: @at\n", 7),
        (POOL.replace("kind: LabPool", "kind LabPool"), 3),
    ],
)
def test_broken_yaml_is_placed(text: str, line: int) -> None:
    problem = only(text)
    assert problem.message.startswith("not valid YAML: ")
    assert problem.line == line


def test_a_key_that_stands_twice_is_placed() -> None:
    problem = only(POOL + "  type: kubernetes\n")
    assert (problem.path, problem.message, problem.line) == ("spec.type", "stands twice", 7)


def test_a_key_that_stands_twice_in_a_list_item_is_placed() -> None:
    problem = only(POOL + "  queues:\n    - name: a\n      priority: 1\n      name: b\n")
    assert (problem.path, problem.line) == ("spec.queues[0].name", 10)


def test_the_same_key_in_different_objects_is_fine() -> None:
    assert parse(POOL + "  queues:\n    - {name: a, priority: 1}\n    - {name: b, priority: 2}\n").problems == []


def test_a_key_of_several_parts_is_refused() -> None:
    problem = only(POOL + "  ? [a, b]\n  : 1\n")
    assert (problem.message, problem.line) == ("a key must be a single word", 7)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("labkeeper.dev/v1", "is 'labkeeper.dev/v1'"),
        ("v1", "is 'v1'"),
        ("1", "is 1"),
        ("[a]", "is ['a']"),
    ],
)
def test_another_api_version_is_a_problem_on_its_line(version: str, message: str) -> None:
    problem = only("# x\n" + POOL.replace("labkeeper.dev/v1alpha1", version))
    assert (problem.path, problem.message, problem.line) == ("apiVersion", message, 2)
    assert problem.hint == "Labkeeper's kinds are labkeeper.dev/v1alpha1"


def test_a_missing_api_version_is_a_problem_of_the_document() -> None:
    problem = only("# x\nkind: LabPool\n")
    assert (problem.path, problem.message, problem.line) == ("apiVersion", "is missing", 2)


@pytest.mark.parametrize("given", ["LabPol", "labpool", "LABPOOL", "LabPools"])
def test_an_unknown_kind_is_answered_with_what_was_probably_meant(given: str) -> None:
    problem = only(POOL.replace("LabPool", given))
    assert (problem.path, problem.message, problem.line) == ("kind", f"unknown kind {given!r}", 2)
    assert problem.hint == "did you mean 'LabPool'?"


def test_a_kind_of_somebody_else_is_answered_with_ours() -> None:
    hint = only(POOL.replace("LabPool", "Deployment")).hint
    assert all(kind in hint for kind in BY_KIND)


@pytest.mark.parametrize("kind", ["[LabPool]", "{a: b}", "5", "~"])
def test_a_kind_that_is_no_word_is_a_problem(kind: str) -> None:
    assert only(POOL.replace("LabPool", kind)).path == "kind"


def test_a_missing_kind_is_a_problem() -> None:
    assert only(POOL.replace("kind: LabPool\n", "")).message == "is missing"


@pytest.mark.parametrize(
    "name", ["Plates", "plates_2", "-plates", "plates-", "a.b", "p" * 64, '""', '"a b"', "プレート"]
)
def test_a_bad_name_is_told_what_a_name_is(name: str) -> None:
    problem = only(POOL.replace("name: plates", f"name: {name}"))
    assert (problem.path, problem.line) == ("metadata.name", 4)
    assert problem.hint == "lower-case letters, digits and hyphens, at most 63"


def test_a_bad_namespace_is_a_problem_too() -> None:
    assert only(POOL.replace("  name: plates", "  name: plates\n  namespace: Lab")).path == "metadata.namespace"


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ("metadata: {}", "metadata.name"),
        ("metadata: []", "metadata"),
        ("metadata: ~", "metadata"),
        ("metadata: plates", "metadata"),
        ("metadata: {name: 5}", "metadata.name"),
        ("metadata: {name: [a]}", "metadata.name"),
        ("metadata: {name: a, labels: {x: 1}}", "metadata.labels.x"),
    ],
)
def test_metadata_that_cannot_be_read_are_a_problem_where_they_stand(metadata: str, path: str) -> None:
    problem = only(POOL.replace("metadata:\n  name: plates", metadata))
    assert (problem.path, problem.line) == (path, 3)


def test_missing_metadata_are_a_problem_of_the_document() -> None:
    problem = only(POOL.replace("metadata:\n  name: plates\n", ""))
    assert (problem.path, problem.message, problem.line) == ("metadata", "is missing", 1)


def test_a_missing_field_is_a_problem_of_what_should_hold_it() -> None:
    problem = only(WORKFLOW.replace("    pool: plates", "    queue: urgent"))
    assert (problem.path, problem.message, problem.line) == ("spec.placement.pool", "is missing", 8)


@pytest.mark.parametrize(
    ("line", "path", "hint"),
    [
        ("  paramters: {}", "spec.paramters", "did you mean 'parameters'?"),
        ("  timeoutseconds: 5", "spec.timeoutseconds", "did you mean 'timeoutSeconds'?"),
        ("  concurrency: {limit: 1, onconflict: Skip}", "spec.concurrency.onconflict", "did you mean 'onConflict'?"),
    ],
)
def test_an_unknown_field_is_answered_with_what_was_probably_meant(line: str, path: str, hint: str) -> None:
    problem = only(f"{WORKFLOW}{line}\n")
    assert (problem.path, problem.line, problem.hint) == (path, 10, hint)
    assert problem.message == f"unknown field {path.rsplit('.', 1)[-1]!r}"


def test_a_mistake_in_a_list_item_is_answered_with_the_fields_of_an_item() -> None:
    problem = only(WORKFLOW + "  schedules:\n    - name: a\n      corn: 0 9 * * *\n      cron: 0 9 * * *\n")
    assert (problem.path, problem.line) == ("spec.schedules[0].corn", 12)
    assert problem.hint == "did you mean 'cron'?"


@pytest.mark.parametrize("line", ["  timeout_seconds: 5", "  concurrency: {limit: 1, on_conflict: Skip}"])
def test_a_python_name_is_an_unknown_field(line: str) -> None:
    """kubectl refuses it, so `labkeeper validate` has to."""
    assert only(f"{WORKFLOW}{line}\n").message.startswith("unknown field")


@pytest.mark.parametrize(
    "line",
    [
        '  retries: "3"',
        "  retries: true",
        "  retries: 1.5",
        '  suspend: "yes"',
        "  suspend: 1",
        "  description: 5",
        "  parameters: []",
        "  schedules: {}",
        "  tags: [1]",
        "  schedules: [{name: a, intervalSeconds: 5, anchor: 1767258000}]",
    ],
)
def test_a_value_of_another_type_is_refused_as_by_the_api_server(line: str) -> None:
    assert only(f"{WORKFLOW}{line}\n").line == 10


def test_a_rule_over_several_fields_is_placed_at_what_holds_them() -> None:
    problem = only(WORKFLOW + "  schedules:\n    - name: a\n      cron: 0 9 * * *\n      intervalSeconds: 5\n")
    assert (problem.path, problem.line) == ("spec.schedules[0]", 11)
    assert problem.message == "give exactly one of cron, intervalSeconds and rrule"


def test_everything_wrong_with_a_file_is_said_at_once() -> None:
    broken: list[dict[str, Any]] = [
        b.manifest("LabPool", "Bad Name", {"type": "process", "colour": "red"}),
        b.manifest("LabPol", "b"),
        b.manifest("LabRun", "c", {}),
    ]
    paths = [problem.path for problem in problems(b.yaml_text(*broken))]
    assert sorted(paths) == ["kind", "metadata.name", "spec.colour", "spec.type", "spec.workflowRef"]


def test_an_object_that_stands_twice_is_told_where_the_first_one_is() -> None:
    problem = only(POOL + "---\n" + POOL)
    assert (problem.path, problem.line, problem.hint) == ("metadata.name", 11, "the first is on line 4")
    assert problem.message == "LabPool default/plates stands twice"


@pytest.mark.parametrize(
    "change", [("kind: LabPool", "kind: LabRun"), ("name: plates", "name: plates\n  namespace: b")]
)
def test_one_name_may_stand_for_objects_of_another_kind_or_namespace(change: tuple[str, str]) -> None:
    spec = {"workflowRef": {"name": "move"}} if "LabRun" in change[1] else {"type": "device"}
    other = b.yaml_text(b.manifest("LabPool", "plates", spec)).replace(*change)
    assert parse(POOL + "---\n" + other).problems == []


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert only("#" * (MAX_BYTES + 1)).message == "the file is larger than 4 MiB"


def test_every_problem_names_its_file() -> None:
    for text in ("", "a: [", POOL.replace("device", "process"), POOL.replace("LabPool", "x"), "- a"):
        assert {problem.source for problem in problems(text)} == {"lab.yaml"}
