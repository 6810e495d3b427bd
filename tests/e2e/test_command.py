"""The command line itself: help, completion, version, doctor, validation of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import EXAMPLE, Command


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["up"],
        ["demo"],
        ["validate"],
        ["doctor"],
        ["flows"],
        ["estop"],
        ["device"],
        ["device", "acknowledge"],
        ["agent", "run"],
        ["operator", "run"],
    ],
)
def test_help_teaches(labkeeper: Command, arguments: list[str]) -> None:
    done = labkeeper(*arguments, "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 300
    assert "Traceback" not in done.stdout + done.stderr


def test_shell_completion_is_offered(labkeeper: Command) -> None:
    done = labkeeper("--show-completion", "bash")
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout


def test_doctor_says_what_is_there_and_what_is_missing(labkeeper: Command) -> None:
    done = labkeeper("doctor", "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["ok"] is True
    by_name = {finding["what"]: finding for finding in found["findings"]}
    assert by_name["prefect"]["found"] == "3.8.8"
    assert by_name["PREFECT_API_URL"]["verdict"] == "optional"
    assert by_name["PREFECT_API_URL"]["hint"]


def test_flows_lists_the_catalog_and_one_flows_parameters(labkeeper: Command) -> None:
    names = [entry["name"] for entry in labkeeper.json("flows", "-o", "json")]
    assert "plate-resort.activate-hotel" in names
    assert "Name of the hotel" in labkeeper("flows", "plate-resort.activate-hotel").stdout
    wrong = labkeeper("flows", "plate-resort.activate-hotl")
    assert wrong.returncode == 1
    assert "did you mean 'plate-resort.activate-hotel'?" in wrong.stderr


def test_the_example_is_sound(labkeeper: Command) -> None:
    done = labkeeper("validate", EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sound: ")


def test_everything_wrong_with_a_file_is_said_at_once(labkeeper: Command, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        """apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata: {name: one}
spec:
  flow: {name: plate-resort.go-home, entrypoint: "a.b:c"}
  placement: {pool: p}
  retires: 1
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabWorkflow
metadata: {name: two}
spec:
  flow: {name: plate-resort.go-home}
  placement: {pool: p}
  schedules:
    - {name: s, cron: "61 * * * *"}
    - {name: t, intervalSeconds: 0}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabPol
metadata: {name: three}
""",
        encoding="utf-8",
    )
    done = labkeeper("validate", path)
    assert done.returncode == 2
    for line, words in (
        (5, "give exactly one flow source"),
        (7, "did you mean 'retries'?"),
        (16, "cron must have five fields"),
        (17, "intervalSeconds must be at least 1"),
        (20, "did you mean 'LabPool'?"),
    ):
        assert any(f"{path}:{line}: " in said and words in said for said in done.stderr.splitlines()), done.stderr
    as_json = labkeeper.json("validate", path, "-o", "json")
    assert as_json["ok"] is False
    assert {problem["line"] for problem in as_json["problems"]} == {5, 7, 16, 17, 20}


@pytest.mark.parametrize(
    "arguments", [["device", "status"], ["device", "history"], ["estop"], ["device", "release", "-m", "x"]]
)
def test_without_any_unit_the_device_commands_say_so(labkeeper: Command, arguments: list[str]) -> None:
    done = labkeeper(*arguments)
    assert done.returncode == 1
    assert f"in {labkeeper.home}, there are: none" in done.stderr
    assert "Traceback" not in done.stderr
