"""Canvases and protocols of LabWorkflows in manifests: found, checked, and told with the line where they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkeeper import files, validation
from labkeeper.canvas.checking import protocol_problems
from tests.unit import builders as b

CANVAS = {"nodes": [{"id": "a", "type": "delay", "params": {"seconds": 1}}], "edges": []}
WRONG = {"nodes": [{"id": "a", "type": "sdl1Nothing", "params": {}}], "edges": []}


def findings(folder: Path, source: str, *more: str) -> validation.Findings:
    """What is said about a workflow with that source, in a file with these documents."""
    workflow = (
        "apiVersion: labkeeper.dev/v1alpha1\nkind: LabWorkflow\nmetadata: {name: w}\nspec:\n"
        f"  placement: {{pool: p}}\n  flow:\n{source}"
    )
    pool = "apiVersion: labkeeper.dev/v1alpha1\nkind: LabPool\nmetadata: {name: p}\nspec: {type: kubernetes}\n"
    path = folder / "lab.yaml"
    path.write_text("---\n".join([workflow, pool, *more]), "utf-8")
    loaded = files.load([path], with_siblings=True)
    assert loaded.problems == []
    return validation.check(loaded.manifests, b.CATALOG, beside=loaded.beside, config_maps=loaded.config_maps)


def config_map(name: str, **data: str) -> str:
    content: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return json.dumps(content) + "\n"


def test_a_canvas_in_a_file_is_found_relative_to_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "canvas.json").write_text(json.dumps(CANVAS), "utf-8")
    found = findings(tmp_path, "    canvas: {file: canvas.json}\n")
    assert (found.problems, found.notes) == ([], [])


def test_what_is_wrong_in_the_file_is_told_with_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "canvas.json").write_text(json.dumps(WRONG, indent=1), "utf-8")
    (problem,) = findings(tmp_path, "    canvas: {file: canvas.json}\n").problems
    assert problem.source == str(tmp_path / "canvas.json")
    assert (problem.path, problem.line) == ("nodes[0].type", 5)


def test_a_file_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    (problem,) = findings(tmp_path, "    canvas: {file: no.json}\n").problems
    assert problem.path == "spec.flow.canvas.file"
    assert "no.json cannot be read" in problem.message
    assert problem.line == 7


def test_an_inline_canvas_is_told_by_the_lines_of_the_manifest(tmp_path: Path) -> None:
    text = "".join(f"        {line}\n" for line in json.dumps(WRONG, indent=1).splitlines())
    (problem,) = findings(tmp_path, f"    canvas:\n      inline: |\n{text}").problems
    assert (problem.path, problem.source) == ("nodes[0].type", str(tmp_path / "lab.yaml"))
    line = (tmp_path / "lab.yaml").read_text("utf-8").splitlines()[(problem.line or 0) - 1]
    assert '"sdl1Nothing"' in line


def test_a_canvas_in_a_config_map_of_the_same_files_is_checked(tmp_path: Path) -> None:
    source = "    canvas: {configMapRef: {name: canvases, key: w.json}}\n"
    sound = findings(tmp_path, source, config_map("canvases", **{"w.json": json.dumps(CANVAS)}))
    assert (sound.problems, sound.notes) == ([], [])
    (problem,) = findings(tmp_path, source, config_map("canvases", **{"w.json": "[1, 2]"})).problems
    assert "is a list, and a canvas is an object" in problem.message
    (problem,) = findings(tmp_path, source, config_map("canvases", **{"v.json": "{}"})).problems
    assert "has no key 'w.json'" in problem.message


def test_a_config_map_that_is_not_there_may_be_elsewhere(tmp_path: Path) -> None:
    found = findings(tmp_path, "    canvas: {configMapRef: {name: canvases, key: w.json}}\n")
    assert found.problems == []
    assert [note.message for note in found.notes] == ["ConfigMap 'canvases' is not in these files"]


def test_a_canvas_needs_a_pool_of_type_kubernetes_and_is_never_retried(tmp_path: Path) -> None:
    (tmp_path / "canvas.json").write_text(json.dumps(CANVAS), "utf-8")
    found = findings(tmp_path, "    canvas: {file: canvas.json}\n  retries: 2\n")
    assert [problem.path for problem in found.problems] == ["spec.retries"]


PROTOCOL = 'metadata = {"apiLevel": "2.14"}\n\n\ndef run(protocol):\n    protocol.home()\n'


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.py", "", "a.py:1: the file is empty"),
        ("a.py", "def run(protocol:\n", "a.py:1: no valid Python"),
        ("a.py", PROTOCOL.replace("run", "go"), "the protocol has no function run"),
        ("a.py", PROTOCOL.replace("apiLevel", "level"), "metadata.apiLevel: the protocol does not say"),
        ("a.json", '{"commands": [}', "a.json:1: not valid JSON"),
        ("a.json", "[]", "a JSON protocol is an object"),
        ("a.json", json.dumps({"schemaVersion": 6, "commands": []}), "robot.model: None is not the OT-2"),
        (
            "a.json",
            json.dumps({"schemaVersion": 6, "commands": [], "robot": {"model": "OT-3 Standard"}}),
            "'OT-3 Standard' is not the OT-2",
        ),
        ("a.json", json.dumps({"schemaVersion": "six", "robot": {"model": "OT-2 Standard"}, "commands": []}), "whole"),
        ("a.json", json.dumps({"schemaVersion": 6, "robot": {"model": "OT-2 Standard"}}), "commands: must be a list"),
    ],
)
def test_what_is_no_protocol_is_told(name: str, text: str, sentence: str) -> None:
    assert sentence in "\n".join(str(problem) for problem in protocol_problems(text, name))


def test_a_protocol_is_sound_as_far_as_its_text_tells() -> None:
    assert protocol_problems(PROTOCOL, "a.py") == []
    annotated = PROTOCOL.replace("metadata =", "requirements: dict[str, str] =")
    assert protocol_problems(annotated, "a.py") == []
