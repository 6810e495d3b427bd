"""Reads exported files back: whether each is there and holds what was written. Upstream wrote nothing, successfully."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkeeper_flows.canvas_run.experiment import DataError

PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
PNG_ENDS = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Written:
    """A file and what it must hold. `rows` without the header of a table; None where rows mean nothing."""

    path: str
    size: int
    kind: str
    holds: str = ""
    columns: list[str] = field(default_factory=list)
    rows: int | None = None
    members: list[str] = field(default_factory=list)


def verify(files: Sequence[Written]) -> None:
    """Raises `DataError` with everything that is not as it was written."""
    wrong = [f"{file.path}: {trouble}" for file in files if (trouble := _trouble(file))]
    if wrong:
        raise DataError("what was exported is not what is there: " + "; ".join(wrong))


def _trouble(file: Written) -> str:
    path = Path(file.path)
    try:
        if path.stat().st_size != file.size:
            return f"it has {path.stat().st_size} bytes, not {file.size}"
        match file.kind:
            case "csv":
                return _csv(path, file)
            case "json":
                return _json(path, file)
            case "png":
                raw = path.read_bytes()
                return "" if raw.startswith(PNG_BEGINS) and raw.endswith(PNG_ENDS) else "it is no whole PNG"
            case "zip":
                return _zip(path, file)
        return _counted(file, len(path.read_text().splitlines()))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return f"it cannot be read: {error}"


def _csv(path: Path, file: Written) -> str:
    with path.open(newline="") as opened:
        rows = list(csv.reader(opened))
    if not rows or rows[0] != file.columns:
        return f"its columns are {rows[0] if rows else []}, not {file.columns}"
    if any(len(row) != len(file.columns) for row in rows):
        return "a row has more or fewer cells than there are columns"
    return _counted(file, len(rows) - 1)


def _json(path: Path, file: Written) -> str:
    data = json.loads(path.read_text())
    if file.rows is None:
        return ""
    if data["columns"] != file.columns:
        return f"its columns are {data['columns']}, not {file.columns}"
    return _counted(file, len(data["rows"]))


def _zip(path: Path, file: Written) -> str:
    with zipfile.ZipFile(path) as pack:
        broken = pack.testzip()
        if broken is not None:
            return f"{broken} in it is broken"
        return "" if pack.namelist() == file.members else f"it holds {pack.namelist()}, not {file.members}"


def _counted(file: Written, rows: int) -> str:
    return "" if file.rows is None or rows == file.rows else f"it has {rows} rows, not {file.rows}"
