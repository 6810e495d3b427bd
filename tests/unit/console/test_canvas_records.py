"""The canvas runs of a home as their records tell: how they stand, whether they can be resumed, how far they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkeeper.canvas.preparing import Asked, prepare, prepare_again, run_directory
from labkeeper.canvas.records import kept_runs, progress
from labkeeper_api.errors import InvalidInput, Stalled
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas_run.record import RunRecord
from labkeeper_flows.canvas_run.settings import RunSettings
from tests.unit import builders as b

CANVAS = json.dumps(
    {
        "workflow": {"name": "waiting"},
        "nodes": [{"id": "a", "type": "delay", "data": {"parameters": {"seconds": 1}}}],
    }
)
AT = b.NOW.isoformat()
DEVICES = [{"role": "arduino", "unit": "u", "driver": "arduino", "simulated": True, "time_factor": 5.0}]


def a_record(home: Path, name: str, *events: dict[str, Any]) -> RunRecord:
    """The record of a run, with these events after its header."""
    settings = RunSettings(name, run_directory(home, name), canvas=CANVAS, source="w.json", clock=lambda: b.NOW)
    record = RunRecord.create(settings, plan_text(CANVAS, "w.json"))
    for event in events:
        record.note(event["what"], at=AT, **{key: value for key, value in event.items() if key != "what"})
    return record


OPEN = {"what": "open", "devices": DEVICES, "time_factor": 5.0}


@pytest.mark.parametrize(
    ("events", "state", "resumable"),
    [
        ([OPEN], "broken off, or under way", True),
        ([OPEN, {"what": "close", "status": "completed"}], "completed", False),
        ([OPEN, {"what": "close", "status": "failed"}], "failed", False),
        ([OPEN, {"what": "close", "status": "suspended"}], "suspended", True),
        ([OPEN, {"what": "close", "status": "suspended"}, OPEN], "broken off, or under way", True),
    ],
)
def test_a_run_stands_as_its_record_ends(
    tmp_path: Path, events: list[dict[str, Any]], state: str, resumable: bool
) -> None:
    a_record(tmp_path, "one", *events)
    (kept,) = kept_runs(tmp_path)
    assert (kept.id, kept.name, kept.state, kept.resumable, kept.simulated) == (
        "one",
        "waiting",
        state,
        resumable,
        True,
    )


def test_a_damaged_record_is_listed_and_a_folder_without_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.jsonl").write_text("nonsense\n", "utf-8")
    (kept,) = kept_runs(tmp_path)
    assert (kept.id, kept.state, kept.resumable) == ("damaged", "damaged", False)
    assert kept_runs(tmp_path / "nowhere") == []


def test_progress_is_the_node_that_began_last(tmp_path: Path) -> None:
    assert progress(tmp_path, "one") == ""
    a_record(tmp_path, "one", OPEN)
    assert progress(tmp_path, "one") == "beginning"
    node = {"node": "a", "cycle": 2}
    a_record(
        *(tmp_path, "two", OPEN, {"what": "begin", "node": "b", "cycle": 1}),
        *({"what": "end", "node": "b", "cycle": 1, "state": "completed"}, {"what": "begin", **node}),
    )
    path = run_directory(tmp_path, "two") / "run.jsonl"
    path.write_text(path.read_text("utf-8") + '{"what": "en', "utf-8")
    assert progress(tmp_path, "two") == "a, cycle 2 (1 done)"


def test_a_run_is_taken_up_as_it_was_asked_for(tmp_path: Path) -> None:
    asked = Asked(tmp_path, dry_run=True, time_factor=7.0, export_dir=tmp_path / "out")
    first = prepare(CANVAS, "w.json", asked)
    RunRecord.create(first.settings, first.plan)
    asked.keep(first.settings.directory)
    again = prepare_again(first.settings.run_id, Asked(tmp_path))
    assert (again.settings.dry_run, again.settings.data_root) == (True, tmp_path / "out")
    assert again.asked.time_factor == 7.0
    assert again.plan == first.plan
    with pytest.raises(Stalled, match="there is no run to resume"):
        prepare_again("nothing", Asked(tmp_path))


def test_policies_are_read_from_a_file_and_kept(tmp_path: Path) -> None:
    policies = tmp_path / "recovery.yaml"
    policies.write_text("retry: {pipetting: {max_retries: 7, delay_s: 1}}\n", "utf-8")
    prepared = prepare(CANVAS, "w.json", Asked(tmp_path, dry_run=True, policies=policies))
    assert prepared.settings.recovery.retry.pipetting.max_retries == 7
    policies.write_text("retries: {}\n", "utf-8")
    with pytest.raises(InvalidInput, match="known here: retry"):
        prepare(CANVAS, "w.json", Asked(tmp_path, dry_run=True, policies=policies))
