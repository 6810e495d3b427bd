"""Where an embedded lab keeps ConfigMaps and finds the files that workflows name."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkeeper.embedded.documents import Documents
from labkeeper_api.errors import Stalled
from tests.unit import builders as b


async def test_config_maps_and_folders_are_found_again_after_a_restart(tmp_path: Path) -> None:
    workflow = b.a_workflow("w", flow={"canvas": {"file": "canvas.json"}})
    (tmp_path / "canvas.json").write_text("{}", "utf-8")
    kept = Documents(tmp_path / "documents.json")
    kept.put("default", "canvases", {"a.json": "{}"})
    kept.place(workflow, tmp_path)
    again = Documents(tmp_path / "documents.json")
    assert await again.config_map("default", "canvases") == {"a.json": "{}"}
    assert await again.config_map("other", "canvases") is None
    assert await again.file(workflow, "canvas.json") == "{}"


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    workflow = b.a_workflow("w", flow={"canvas": {"file": "canvas.json"}})
    documents = Documents(None)
    documents.place(workflow, tmp_path)
    with pytest.raises(Stalled, match=r"canvas\.json cannot be read"):
        await documents.file(workflow, "canvas.json")
    (tmp_path / "canvas.json").write_bytes(b"\xff\xfe")
    with pytest.raises(Stalled, match="not UTF-8"):
        await documents.file(workflow, "canvas.json")
