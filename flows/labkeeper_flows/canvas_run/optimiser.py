"""Hands the objective of a run to the optimiser (NIMO): one cell of its candidates file, replaced as a whole file.

NIMO's files: candidates with one column per parameter and, at the end, one per objective, empty where nothing was
measured; proposals with `actions`, the number of the candidate's row from 0, or with the parameters alone. Running the
optimiser is not done here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.experiment import DataError

Rows = list[list[str]]


def extract(values: Sequence[float], how: str) -> float:
    """One number of a column. Raises `DataError` for no values."""
    if not values:
        raise DataError("the objective's column holds no values in the data that are kept")
    match how:
        case "first_value":
            return values[0]
        case "max_value":
            return max(values)
        case "min_value":
            return min(values)
        case "mean_value":
            return sum(values) / len(values)
    return values[-1]


def update(candidates: Path, proposals: Path, objectives: int, value: float) -> dict[str, Any]:
    """Write the objective of the first proposal into its candidate's row. Raises `DataError`."""
    table, proposed = _read(candidates), _read(proposals)
    header = table[0]
    if len(header) <= objectives:
        raise DataError(f"{candidates} has {len(header)} columns, and the last {objectives} are objectives")
    if len(proposed) < 2:
        raise DataError(f"{proposals} proposes nothing: it has no row below its header")
    column = len(header) - objectives
    row = _row(table, proposed, column, f"{proposals} proposes a row that {candidates} does not have")
    before = table[row][column]
    table[row][column] = repr(value)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    try:
        durable.write(candidates, out.getvalue())
    except OSError as error:
        raise DataError(f"{candidates} cannot be written: {error.strerror}") from error
    return {
        "file": str(candidates),
        "row": row - 1,
        "column": header[column],
        "objective": value,
        "previous": before or None,
    }


def _row(table: Rows, proposed: Rows, parameters: int, trouble: str) -> int:
    names: Mapping[str, str] = dict(zip(proposed[0], proposed[1], strict=False))
    if "actions" in names:
        try:
            found = int(float(names["actions"])) + 1
        except ValueError as error:
            raise DataError(f"{trouble}: actions is {names['actions']!r}, not a row's number") from error
        if not 1 <= found < len(table):
            raise DataError(f"{trouble}: actions is {names['actions']}, and there are {len(table) - 1} candidates")
        return found
    for at, row in enumerate(table[1:], start=1):
        cells = dict(zip(table[0][:parameters], row, strict=False))
        if all(name in names and _same(names[name], cell) for name, cell in cells.items()):
            return at
    raise DataError(f"{trouble}, and has no column actions")


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one.strip() == other.strip()


def _read(path: Path) -> Rows:
    try:
        with path.open(newline="") as opened:
            rows = [row for row in csv.reader(opened) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"the optimiser's file {path} cannot be read: {error}") from error
    if not rows:
        raise DataError(f"the optimiser's file {path} is empty")
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise DataError(f"the optimiser's file {path} has rows that are longer or shorter than its header")
    return rows
