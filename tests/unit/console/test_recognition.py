"""Manifests, canvases and protocols told apart by what they hold."""

from __future__ import annotations

import json

import pytest

from labkeeper.canvas.recognition import Kind, recognise

MANIFEST = json.dumps(
    {"apiVersion": "labkeeper.dev/v1alpha1", "kind": "LabPool", "metadata": {"name": "a"}, "spec": {}}
)
NESTED = json.dumps({"metadata": {}, "workflow": {"nodes": [], "edges": []}})
TOP_LEVEL = json.dumps({"workflow": {"id": "w"}, "nodes": [], "edges": []})
CATALYST = json.dumps({"global_config": {}, "nodes": [], "edges": []})
PROTOCOL = json.dumps({"metadata": {}, "schemaVersion": 6, "robot": {"model": "OT-2 Standard"}, "commands": []})


@pytest.mark.parametrize(
    ("name", "text", "alone", "among_others"),
    [
        ("a.json", MANIFEST, Kind.MANIFEST, Kind.MANIFEST),
        ("a.json", NESTED, Kind.CANVAS, Kind.CANVAS),
        ("a.json", TOP_LEVEL, Kind.CANVAS, Kind.CANVAS),
        ("a.json", CATALYST, Kind.CANVAS, Kind.CANVAS),
        ("a.txt", CATALYST, Kind.CANVAS, Kind.CANVAS),
        ("a.json", PROTOCOL, Kind.PROTOCOL, Kind.PROTOCOL),
        ("a.py", "def run(protocol): ...", Kind.PROTOCOL, Kind.MANIFEST),
        ("a.yaml", "kind: LabPool", Kind.MANIFEST, Kind.MANIFEST),
        ("a.yaml", CATALYST, Kind.MANIFEST, Kind.MANIFEST),
        ("a.json", "[1, 2]", Kind.CANVAS, Kind.MANIFEST),
        ("a.json", "", Kind.CANVAS, Kind.MANIFEST),
        ("a.json", '{"nodes": [],}', Kind.CANVAS, Kind.MANIFEST),
        ("a.json", "apiVersion: labkeeper.dev/v1alpha1\n", Kind.MANIFEST, Kind.MANIFEST),
        ("a.json", '{"apiVersion": "labkeeper.dev/v1alpha1",', Kind.MANIFEST, Kind.MANIFEST),
        ("a.json", json.dumps({"nodes": [{"apiVersion": "2"}]}), Kind.CANVAS, Kind.CANVAS),
        ("a.json", json.dumps({"anything": "else"}), Kind.CANVAS, Kind.MANIFEST),
        ("a.json", "[" * 100_000, Kind.CANVAS, Kind.MANIFEST),
    ],
)
def test_a_file_is_what_it_holds(name: str, text: str, alone: Kind, among_others: Kind) -> None:
    assert recognise(name, text.encode()) is alone
    assert recognise(name, text.encode(), among_others=True) is among_others


def test_a_file_that_is_not_text_is_taken_for_what_its_name_suggests() -> None:
    assert recognise("a.json", b"\xff\xfe\x00") is Kind.CANVAS
    assert recognise("a.yaml", b"\xff\xfe\x00") is Kind.MANIFEST
