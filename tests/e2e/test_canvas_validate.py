"""`labkeeper validate` on canvases and protocols: what is wrong, where, exit code 2 and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labkeeper.cli import app
from tests.e2e.conftest import ROOT, SHARED, Command

CANVAS = ROOT / "examples" / "battery" / "canvas.json"


def drawn(**changes: Any) -> dict[str, Any]:
    """The example's canvas with parameters changed: `node__parameter=value`."""
    canvas: dict[str, Any] = json.loads(CANVAS.read_text("utf-8"))
    nodes = {node["id"]: node for node in canvas["workflow"]["nodes"]}
    for name, value in changes.items():
        node, _, parameter = name.partition("__")
        nodes[node]["params"][parameter] = value
    return canvas


def with_edge(source: str, target: str) -> dict[str, Any]:
    canvas = drawn()
    canvas["workflow"]["edges"].append({"id": "more", "source": source, "target": target})
    return canvas


def with_type(name: str) -> dict[str, Any]:
    canvas = drawn()
    canvas["workflow"]["nodes"][2]["type"] = name
    return canvas


def with_duplicate() -> dict[str, Any]:
    canvas = drawn()
    canvas["workflow"]["nodes"][3]["id"] = "fill"
    return canvas


TEXT = CANVAS.read_text("utf-8")

REFUSED = {
    "a cycle": (json.dumps(with_edge("export", "setup"), indent=1), "the edges run in a"),
    "an unknown type": (json.dumps(with_type("sdl1SolutionPrep"), indent=1), "workflow.nodes[2].type"),
    "volume -5": (json.dumps(drawn(fill__volume=-5), indent=1), "workflow.nodes[2].params.volume"),
    "well Z99": (json.dumps(drawn(fill__target_well="Z99"), indent=1), "Z99"),
    "a trailing comma": (TEXT.replace('"author": "Labkeeper",', '"author": "Labkeeper",,', 1), "not valid JSON"),
    "a comma after the last": (TEXT.replace('"battery"]', '"battery",]', 1), "a comma after the last element"),
    "a list": ("[1,2]", "is a list, and a canvas is an object with nodes"),
    "an empty file": ("", "the file is empty"),
    "NaN": (TEXT.replace('"volume": 1500', '"volume": NaN', 1), "NaN is not a number"),
    "a dangling edge": (json.dumps(with_edge("export", "nobody"), indent=1), "'nobody' is no node of this canvas"),
    "a duplicate id": (json.dumps(with_duplicate(), indent=1), "the id 'fill' is already that of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_canvas_is_refused_with_line_and_reason(tmp_path: Path, name: str) -> None:
    text, sentence = REFUSED[name]
    path = tmp_path / "canvas.json"
    path.write_text(text, "utf-8")
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert sentence in result.stderr
    assert f"{path}:" in result.stderr  # with a line
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["volume -5", "a list", "an empty file"])
def test_run_refuses_it_as_well_before_anything_is_started(labkeeper: Command, tmp_path: Path, name: str) -> None:
    text, sentence = REFUSED[name]
    path = tmp_path / "canvas.json"
    path.write_text(text, "utf-8")
    done = labkeeper("run", path, "--dry-run", "--output", "json")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert answer["problems"]
    assert not (labkeeper.home / "units").exists()


def test_a_folder_with_a_canvas_is_checked_whole() -> None:
    result = CliRunner().invoke(app, ["validate", str(CANVAS.parent)])
    assert result.exit_code == 0, result.output
    assert "canvas 'Zinc plating, two cycles' (8 nodes, for arduino, ot2, squidstat)" in result.stdout
    assert "LabWorkflow default/zinc-two-cycles" in result.stdout


def test_all_that_is_wrong_is_said_at_once_as_json(tmp_path: Path) -> None:
    path = tmp_path / "canvas.json"
    path.write_text(json.dumps(drawn(fill__volume=-5, plate__cp_current=3), indent=1), "utf-8")
    result = CliRunner().invoke(app, ["validate", str(path), "--output", "json"])
    assert result.exit_code == 2
    found = json.loads(result.stdout)["problems"]
    assert {p["path"] for p in found} >= {"workflow.nodes[2].params.volume", "workflow.nodes[4].params.cp_current"}
    assert all(p["line"] for p in found)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_canvases_and_protocols_of_others() -> None:
    canvases = SHARED / "data" / "canvas"
    sound = [*sorted(canvases.glob("battery_*.json")), canvases / "catalyst_electrochemical_workflow.json"]
    protocols = sorted((SHARED / "data" / "opentrons_json").glob("*.json"))
    result = CliRunner().invoke(app, ["validate", *map(str, [*sound, *protocols])])
    assert result.exit_code == 0, result.output
    refused = CliRunner().invoke(app, ["validate", str(canvases / "catalyst_tests_invalid_workflow.json")])
    assert refused.exit_code == 2
    assert "experiment form" in refused.stderr
