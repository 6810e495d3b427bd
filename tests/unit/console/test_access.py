"""A lab that another process keeps: what a command reads of it and how it hands objects in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkeeper.access import JoinedLab
from labkeeper.embedded.lab import LabPaths
from labkeeper.embedded.store import ObjectStore
from labkeeper_operator.objects import Key
from tests.unit import builders as b


@pytest.fixture
def lab(tmp_path: Path) -> JoinedLab:
    """A lab with an inbox and without objects."""
    LabPaths(tmp_path).inbox.mkdir(parents=True)
    return JoinedLab(tmp_path, "http://127.0.0.1:4200", "http://127.0.0.1:4200/api")


def letters(lab: JoinedLab) -> list[dict[str, Any]]:
    """What lies in the inbox, in the order it is taken out."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(LabPaths(lab.home).inbox.glob("*.json"))]


def test_an_object_is_read_as_the_other_process_keeps_it(lab: JoinedLab) -> None:
    store = ObjectStore(LabPaths(lab.home).objects)
    store.apply(b.a_pool())
    assert lab.read(Key("LabPool", "default", "plates")) == store.get("LabPool", "default", "plates")


@pytest.mark.parametrize("key", [Key("LabPool", "lab-1", "plates"), Key("LabRun", "default", "plates")])
def test_an_object_that_is_not_there_is_none(lab: JoinedLab, key: Key) -> None:
    ObjectStore(LabPaths(lab.home).objects).apply(b.a_pool())
    assert lab.read(key) is None


def test_a_lab_without_objects_has_none(lab: JoinedLab) -> None:
    assert lab.read(Key("LabPool", "default", "plates")) is None


def test_applied_objects_lie_in_the_inbox_with_their_folder(lab: JoinedLab, tmp_path: Path) -> None:
    lab.apply([b.a_pool(), b.a_run(parameters={"hotel": None})], tmp_path)
    (letter,) = letters(lab)
    assert letter["folder"] == str(tmp_path)
    assert [raw["kind"] for raw in letter["objects"]] == ["LabPool", "LabRun"]
    assert letter["objects"][1]["spec"]["parameters"] == {"hotel": None}


def test_a_deletion_names_the_object(lab: JoinedLab) -> None:
    lab.delete(b.a_run())
    assert letters(lab) == [{"delete": {"kind": "LabRun", "namespace": "default", "name": "run"}}]


def test_letters_are_taken_out_in_the_order_they_were_sent(lab: JoinedLab, tmp_path: Path) -> None:
    for number in range(5):
        lab.apply([b.a_run(f"run-{number}")], tmp_path)
    assert [letter["objects"][0]["metadata"]["name"] for letter in letters(lab)] == [f"run-{n}" for n in range(5)]


def test_no_half_written_letter_lies_in_the_inbox(lab: JoinedLab, tmp_path: Path) -> None:
    lab.apply([b.a_pool()], tmp_path)
    assert [path.suffix for path in LabPaths(lab.home).inbox.iterdir()] == [".json"]
