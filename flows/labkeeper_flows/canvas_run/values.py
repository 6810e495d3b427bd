"""What a measurement returned, as curves, and the values that loop conditions ask for. Pure.

A potentiostat's operation returns its data under `dc` and `ac`, or per element of the experiment under `elements`, each
with `technique`, `dc` and `ac`. A table is a list of rows by column name, `{columns, rows}`, or lists by column name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labkeeper_flows.canvas.techniques import AC_COLUMNS, DC_COLUMNS

Number = float | int | None
Row = tuple[Number, ...]


@dataclass(frozen=True)
class Curve:
    """What one element measured, of one kind. `rows` as wide as `columns`; units are in the names (facts 1.2)."""

    technique: str
    element: int
    """Number of the element in its experiment, from 1."""
    kind: Literal["dc", "ac"]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> list[float]:
        """The numbers of a column; rows that have none are left out. Raises KeyError for an unknown one."""
        if name not in self.columns:
            raise KeyError(name)
        at = self.columns.index(name)
        return [float(number) for row in self.rows if (number := row[at]) is not None]


def curves_of(result: Mapping[str, Any], techniques: Sequence[str] = ()) -> list[Curve]:
    """The curves in what an operation returned; none where it measured nothing."""
    elements = result.get("elements")
    if isinstance(elements, list) and any(isinstance(it, Mapping) and ("dc" in it or "ac" in it) for it in elements):
        found = []
        for number, element in enumerate(elements, start=1):
            name = str(element.get("technique") or (techniques[number - 1] if number <= len(techniques) else ""))
            found += list(_curves(element, name, number))
        return found
    return list(_curves(result, "+".join(dict.fromkeys(techniques)), 1))


def last_values(operation: str, result: Mapping[str, Any]) -> dict[str, float]:
    """The last measured `voltage` (V), `current` (A) and `temperature` (°C) in what an operation returned."""
    del operation
    found: dict[str, float] = {}
    for curve in curves_of(result):
        if curve.kind == "dc":
            for name, column in (("voltage", "we_voltage_V"), ("current", "current_A")):
                numbers = curve.column(column) if column in curve.columns else []
                if numbers:
                    found[name] = numbers[-1]
    for name in ("temperature", "temperature_c", "celsius"):
        value = result.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found["temperature"] = float(value)
    return found


def _curves(source: Mapping[str, Any], technique: str, element: int) -> Iterator[Curve]:
    kinds: tuple[tuple[Literal["dc", "ac"], tuple[str, ...]], ...] = (("dc", DC_COLUMNS), ("ac", AC_COLUMNS))
    for kind, usual in kinds:
        table = source.get(kind)
        columns, rows = _table(table, usual)
        if rows:
            yield Curve(technique, element, kind, columns, rows)


def _table(table: object, usual: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    if isinstance(table, Mapping) and isinstance(table.get("rows"), list):
        columns = tuple(str(name) for name in table.get("columns") or usual)
        return columns, tuple(tuple(row) for row in table["rows"])
    if isinstance(table, Mapping):
        columns = tuple(str(name) for name, values in table.items() if isinstance(values, list))
        return columns, tuple(zip(*(table[name] for name in columns), strict=True)) if columns else ()
    if isinstance(table, list) and table and isinstance(table[0], Mapping):
        columns = tuple(name for name in usual if name in table[0]) + tuple(str(n) for n in table[0] if n not in usual)
        return columns, tuple(tuple(row.get(name) for name in columns) for row in table)
    # A list of names is no table: so a potentiostat confirms which columns it was told to return.
    if isinstance(table, list) and table and not isinstance(table[0], str):
        return usual, tuple(tuple(row) for row in table)
    return (), ()
