"""Reading manifests that are right: documents, lists, encodings, and where their parts stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from labkeeper_api.documents import format_path
from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds import LabPool, LabRun, LabWorkflow
from labkeeper_api.manifests import load, parse
from tests.unit import builders as b
from tests.unit.api import strategies
from tests.unit.builders import REPOSITORY

TWO = """\
# a pool and a workflow
apiVersion: labkeeper.dev/v1alpha1
kind: LabPool
metadata:
  name: plates
spec:
  type: device
  queues:
    - name: urgent
      priority: 1
    - {name: standard, priority: 2}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata: {name: move, namespace: lab-1}
spec:
  flow: {name: plate-resort.go-home}
  placement: {pool: plates}
"""


def parameters_of(text: str) -> Any:
    """The parameters of a LabRun whose `parameters` are that YAML text."""
    head = b.yaml_text(b.manifest("LabRun"))
    (manifest,) = load(f"{head}  parameters: {text}\n")
    assert isinstance(manifest.object, LabRun)
    return manifest.object.spec.parameters


def test_every_document_of_a_file_is_an_object() -> None:
    pool, workflow = load(TWO, "lab.yaml")
    assert isinstance(pool.object, LabPool)
    assert isinstance(workflow.object, LabWorkflow)
    assert workflow.object.metadata.key == "lab-1/move"


def test_the_namespace_is_default_unless_given() -> None:
    assert load(TWO)[0].object.metadata.namespace == "default"


@given(strategies.manifests)
def test_a_valid_manifest_is_read_without_a_problem(data: dict[str, Any]) -> None:
    parsed = parse(b.yaml_text(data))
    assert parsed.problems == []
    assert parsed.manifests[0].object.wire()["spec"].get("parameters", {}) == data["spec"].get("parameters", {})


@given(strategies.manifests)
def test_a_manifest_in_json_says_the_same_as_in_yaml(data: dict[str, Any]) -> None:
    (from_yaml,), (from_json,) = load(b.yaml_text(data)), load(json.dumps(data, ensure_ascii=False))
    assert from_json.object == from_yaml.object


def test_json_escapes_mean_what_they_mean_in_json() -> None:
    """Most programs write characters beyond the first plane as two escapes."""
    data = b.manifest("LabPool", spec={"type": "device", "description": "🤖"})
    (manifest,) = load(json.dumps(data))
    assert isinstance(manifest.object, LabPool)
    assert manifest.object.spec.description == "🤖"


def test_json_indented_with_tabs_is_read() -> None:
    """`.json` is one of the suffixes, and kubectl reads it."""
    assert len(load(json.dumps(b.manifest("LabPool"), indent="\t"))) == 1


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("examples/**/*.yaml")), ids=lambda path: path.name)
def test_an_example_is_read_without_a_problem(path: Path) -> None:
    assert load(path.read_bytes(), str(path))


@pytest.mark.parametrize(
    "separator", ["---\n", "---\n---\n", "---\n# nothing here\n---\n", "...\n---\n", "--- ~\n---\n"]
)
def test_empty_documents_between_objects_are_passed_over(separator: str) -> None:
    first, second = b.yaml_text(b.manifest("LabPool")), b.yaml_text(b.manifest("LabRun"))
    assert [m.object.kind for m in load(first + separator + second)] == ["LabPool", "LabRun"]


def test_the_items_of_a_list_are_objects() -> None:
    items = [b.manifest("LabPool"), b.manifest("LabRun")]
    text = b.yaml_text({"apiVersion": "v1", "kind": "List", "items": items})
    assert [m.object.kind for m in load(text)] == ["LabPool", "LabRun"]


def test_a_status_is_no_part_of_a_manifest() -> None:
    """`kubectl get -o yaml` prints it, broken or not."""
    data = {**b.manifest("LabPool"), "status": {"conditions": "nonsense"}}
    assert load(b.yaml_text(data))[0].object == load(b.yaml_text(b.manifest("LabPool")))[0].object


def test_what_kubectl_get_prints_can_be_applied_again() -> None:
    obj = b.a_ready_workflow(schedules=[{"name": "a", "cron": "0 9 * * *"}])
    (manifest,) = load(b.yaml_text({**b.raw(obj), "apiVersion": "labkeeper.dev/v1alpha1"}))
    assert isinstance(manifest.object, LabWorkflow)
    assert manifest.object.spec == obj.spec


@pytest.mark.parametrize(
    "text", ["\ufeff" + TWO, b"\xef\xbb\xbf" + TWO.encode(), TWO.replace("\n", "\r\n"), TWO.encode()]
)
def test_byte_order_marks_and_line_ends_make_no_difference(text: str | bytes) -> None:
    assert [m.object for m in load(text)] == [m.object for m in load(TWO)]


def test_text_of_any_script_is_kept() -> None:
    data = b.manifest("LabPool", spec={"type": "device", "description": "プレートホテル, é, 🤖"})
    (manifest,) = load(json.dumps(data, ensure_ascii=False).encode())
    assert isinstance(manifest.object, LabPool)
    assert manifest.object.spec.description == "プレートホテル, é, 🤖"


def test_an_anchor_may_be_used_again() -> None:
    assert parameters_of("{a: &speed {value: 5}, b: *speed}") == {"a": {"value": 5}, "b": {"value": 5}}


def test_a_merge_key_is_merged() -> None:
    assert parameters_of("{a: &base {x: 1, y: 2}, b: {<<: *base, y: 3}}")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize("text", ["2026-01-02", "2026-01-02T09:00:00Z", "2026-01-02 09:00:00"])
def test_a_date_in_parameters_stays_text(text: str) -> None:
    """As for kubectl: a flow gets the same parameter in the embedded lab and on a cluster."""
    assert parameters_of(f"{{when: {text}}}") == {"when": text}


@pytest.mark.parametrize("text", ["12:30", "9:30:15", "1:30.5"])
def test_a_time_of_day_in_parameters_stays_text(text: str) -> None:
    """YAML 1.1 would read 12:30 as 750; kubectl does not."""
    assert parameters_of(f"{{at: {text}}}") == {"at": text}


@pytest.mark.parametrize(
    ("text", "value"), [("1e-6", 1e-6), ("1E5", 1e5), ("2e+4", 2e4), ("1.5e3", 1500.0), ("-3e2", -300)]
)
def test_scientific_notation_is_a_number(text: str, value: float) -> None:
    """YAML 1.1 would read 1e-6 as text; kubectl and JSON do not."""
    assert parameters_of(f"{{molar: {text}}}") == {"molar": value}


def test_an_equals_sign_is_text() -> None:
    assert parameters_of("{op: =}") == {"op": "="}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("spec", "queues", 1, "priority"), 11),
        (("spec", "queues", 0, "name"), 9),
        (("spec", "queues", 0), 9),
        (("metadata", "name"), 5),
        (("spec", "queues", 0, "concurrencyLimit"), 9),
        (("spec", "prefect", "poolName"), 6),
        ((), 2),
    ],
)
def test_a_part_is_found_on_its_line_or_that_of_what_holds_it(path: tuple[str | int, ...], line: int) -> None:
    assert load(TWO)[0].line_of(*path) == line


def test_lines_of_a_later_document_count_from_the_start_of_the_file() -> None:
    assert load(TWO)[1].line_of("spec", "flow", "name") == 17


def test_lines_in_a_list_count_from_the_start_of_the_file() -> None:
    text = b.yaml_text({"apiVersion": "v1", "kind": "List", "items": [b.manifest("LabPool"), b.manifest("LabRun")]})
    (_, run) = load(text)
    line = text.splitlines()[(run.line_of("kind") or 0) - 1]
    assert line.strip() == "kind: LabRun"


def test_a_problem_of_a_manifest_knows_file_and_line() -> None:
    problem = load(TWO, "lab.yaml")[0].problem(("spec", "queues", 1), "is odd", "make it even")
    assert str(problem) == "lab.yaml:11: spec.queues[1]: is odd (make it even)"


def test_paths_in_a_manifest_are_relative_to_its_folder(tmp_path: Path) -> None:
    assert load(TWO, str(tmp_path / "lab.yaml"))[0].folder == tmp_path


def test_a_path_reads_like_in_a_program() -> None:
    assert format_path(("spec", "schedules", 0, "cron")) == "spec.schedules[0].cron"
    assert format_path(()) == ""


def test_loading_raises_all_problems_of_a_file() -> None:
    bad = b.manifest("LabPool", spec={"type": "process"})
    worse = b.manifest("LabPool", "other", spec={"typ": "device"})
    with pytest.raises(InvalidInput) as caught:
        load(b.yaml_text(bad, worse), "lab.yaml")
    assert {problem.path for problem in caught.value.problems} == {"spec.type", "spec.typ"}


def test_good_objects_are_read_beside_bad_ones() -> None:
    parsed = parse(b.yaml_text(b.manifest("LabPool", spec={}), b.manifest("LabRun")))
    assert [m.object.kind for m in parsed.manifests] == ["LabRun"]
    assert [problem.path for problem in parsed.problems] == ["spec.type"]
