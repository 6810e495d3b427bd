"""Writes an export: tables, plots, metadata and log, under names from the canvas's template, and reads them back.

No file of another run is ever overwritten; one of this run is, so that an export that was cut off is done again whole.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas import naming
from labkeeper_flows.canvas.accounting import Work
from labkeeper_flows.canvas_run import durable, experiment, plots, tables
from labkeeper_flows.canvas_run.context import LEVELS, RunContext
from labkeeper_flows.canvas_run.experiment import DataError
from labkeeper_flows.canvas_run.tables import Segment
from labkeeper_flows.canvas_run.verifying import Written, verify

Parameters = Mapping[str, Any]

OWN = "exports.json"
"""Which exported files are this run's, in its folder."""


@dataclass(frozen=True)
class _File:
    """A file before it is written. `checks`: what reading it back must find."""

    data_type: str
    ending: str
    content: str | bytes
    checks: Mapping[str, Any]


@dataclass(frozen=True)
class _Cycles:
    """From which cycles the data come."""

    loop: str | None
    total: int
    kept: tuple[int, ...]

    @property
    def start(self) -> int:
        return self.kept[0] if self.kept else 1

    @property
    def end(self) -> int:
        return self.kept[-1] if self.kept else self.total


class Export:
    """One export step of a run."""

    def __init__(self, context: RunContext, work: Work, parameters: Parameters) -> None:
        self._context = context
        self._work = work
        self._parameters = parameters
        self._experiment = experiment.of(context.state)
        self._all = tables.collected(context.plan, context.state)
        self._kept = [it for it in self._all if it.kept]
        self._cycles = self._which_cycles()
        self._began = context.state.under_way[work].began

    def write(self) -> dict[str, Any]:
        """Write all files and read them back; which they are. Raises `DataError`."""
        folder = experiment.below(self._context, self._parameters["directory"])
        files = list(self._files())
        try:
            names = self._names(folder, files)
            written = [self._write(path, file) for path, file in zip(names, files, strict=True)]
            if self._parameters["compress"]:
                written = [self._pack(folder, written)]
        except OSError as error:
            raise DataError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
        verify(written)
        if not self._kept:
            self._context.say("WARNING", "the export holds no measured data: none were collected and kept", self._work)
        return {
            "files": [it.path for it in written],
            "written": [asdict(it) for it in written],
            "cycles": {"total": self._cycles.total, "kept": list(self._cycles.kept)},
            **experiment.simulation(self._context),
        }

    def _which_cycles(self) -> _Cycles:
        said, state = self._parameters["cycles"], self._context.state
        loop = said["loop"]
        if loop is None:
            return _Cycles(None, int(said["total"] or 1), (1,))
        total = len(state.cycle_ended.get(loop, ())) or int(said["total"] or 1)
        return _Cycles(loop, total, self._context.plan.by_head[loop].rule.window.kept(total))

    def _files(self) -> Iterator[_File]:
        form = self._parameters["format"]
        for wanted in self._parameters["files"]:
            kinds = wanted["data"]
            if kinds == ["metadata"]:
                yield self._json("metadata", wanted["data_type"], self._metadata(wanted))
            elif kinds == ["log"]:
                yield self._log(wanted)
            elif self._parameters["include_raw_data"] and form != "PNG":
                yield self._table(wanted, form)
        if self._parameters["include_processed_data"] and form != "PNG":
            made = tables.processed(self._kept)
            if form == "JSON":
                yield self._json("processed", "processed", {"columns": made.columns, "rows": made.rows})
            else:
                yield _csv("processed", made)
        yield from self._plots()

    def _table(self, wanted: Parameters, form: str) -> _File:
        made = tables.table_of(self._kept, wanted["data"], wanted["columns"])
        if form == "CSV":
            return _csv(wanted["data_type"], made)
        data = {
            "columns": made.columns,
            "rows": made.rows,
            "parts": tables.parts_of(self._kept, wanted["data"]),
            **experiment.simulation(self._context),
        }
        return self._json("table", wanted["data_type"], data, columns=list(made.columns), rows=len(made.rows))

    def _json(self, kind: str, data_type: str, data: Any, **checks: Any) -> _File:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"
        return _File(data_type, ".json", text, {"kind": "json", "holds": kind, **checks})

    def _log(self, wanted: Parameters) -> _File:
        least = LEVELS.index(wanted["level"])
        lines = [
            f"{it['at']} {it['level']:7} {it['message']}"
            for it in self._context.state.log
            if LEVELS.index(it["level"]) >= least and (wanted["system"] or not it.get("system"))
        ]
        text = "".join(f"{line}\n" for line in lines)
        return _File(wanted["data_type"], ".log", text, {"kind": "text", "rows": len(lines)})

    def _metadata(self, wanted: Parameters) -> dict[str, Any]:
        context, plan = self._context, self._context.plan
        found: dict[str, Any] = {
            "experiment": self._experiment or {"experiment_id": self._parameters["experiment_id"]},
            "run_id": context.settings.run_id,
            "workflow": {"id": plan.id, "name": plan.name, "metadata": dict(plan.metadata)},
            **experiment.simulation(context),
            "devices": [asdict(it) for it in context.reserved],
            "cycles": {"loop": self._cycles.loop, "total": self._cycles.total, "kept": list(self._cycles.kept)},
            "units": {"timestamp_s": "s", "current_A": "A", "we_voltage_V": "V", "frequency": "Hz", "impedance": "ohm"},
            "dc": tables.parts_of(self._kept, ["dc"]),
            "ac": tables.parts_of(self._kept, ["ac"]),
            "not_kept": [tables.described(it) for it in self._all if not it.kept],
        }
        if wanted["parameters"]:
            found["nodes"] = [
                {"id": it.id, "type": it.type, "label": it.label, "parameters": dict(it.parameters)}
                for it in plan.nodes
            ]
        if wanted["timestamps"]:
            found["times"] = [
                {"node": it.node, "cycle": it.cycle, "state": it.state, "began": it.began, "ended": it.ended}
                for it in context.state.runs
            ]
        return found

    def _plots(self) -> Iterator[_File]:
        title = str(self._experiment.get("experiment_id", self._parameters["experiment_id"]))
        number = self._experiment.get("run_number", self._parameters["run_number"])
        simulated = bool(experiment.simulation(self._context)["simulated"])
        wanted = {kind for file in self._parameters["files"] for kind in file["data"]}
        used: dict[str, int] = {}
        for segment in self._kept:
            if segment.curve.kind not in wanted:
                continue
            count = used[segment.name] = used.get(segment.name, 0) + 1
            name = segment.name if count == 1 else f"{segment.name}_{count}"
            png = plots.plot(segment, f"{title}, run {number}", simulated=simulated)
            yield _File(name, ".png", png, {"kind": "png"})

    def _names(self, folder: Path, files: list[_File]) -> list[Path]:
        """A path for each file, none of them another run's; written down as this run's."""
        own = set(_own(self._context.settings.directory / OWN))
        for number in range(1, 10_000):
            found = [folder / f"{self._stem(it)}{'' if number == 1 else f'_{number}'}{it.ending}" for it in files]
            if all(str(path) in own or not path.exists() for path in found) and len(set(found)) == len(found):
                durable.write_json(self._context.settings.directory / OWN, sorted(own | {str(it) for it in found}))
                return found
        raise DataError(f"{folder} is full of exports of this name: give the template a {{timestamp}}")

    def _stem(self, file: _File) -> str:
        said, cycles = self._parameters, self._cycles
        values = {
            "experiment_id": self._experiment.get("experiment_id", said["experiment_id"]),
            "run_number": self._experiment.get("run_number", said["run_number"]),
            # The moment at which the node began: the same when a run that was cut off does it again.
            "timestamp": naming.timestamp(said["timestamp_format"], self._began),
            "cycle_range": naming.cycle_range(said["cycle_range_format"], cycles.start, cycles.end, cycles.total),
            "cycle_start": cycles.start,
            "cycle_end": cycles.end,
            "total_cycles": cycles.total,
            "data_type": file.data_type,
        }
        return naming.file_stem(said["template"], values)

    def _write(self, path: Path, file: _File) -> Written:
        durable.write(path, file.content)
        size = len(file.content.encode() if isinstance(file.content, str) else file.content)
        return Written(str(path), size, **file.checks)

    def _pack(self, folder: Path, written: list[Written]) -> Written:
        stem = self._stem(_File("export", ".zip", "", {}))
        path = folder / f"{stem}.zip"
        own = self._context.settings.directory / OWN
        number = 2
        while path.exists() and str(path) not in _own(own):
            path = folder / f"{stem}_{number}.zip"
            number += 1
        durable.write_json(own, sorted({*_own(own), str(path)}))
        verify(written)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
            for it in written:
                pack.write(it.path, Path(it.path).name)
        for it in written:
            Path(it.path).unlink()
        return Written(str(path), path.stat().st_size, kind="zip", members=[Path(it.path).name for it in written])


def _csv(data_type: str, made: tables.Table) -> _File:
    checks = {"kind": "csv", "columns": list(made.columns), "rows": len(made.rows)}
    return _File(data_type, ".csv", made.csv(), checks)


def _own(file: Path) -> list[str]:
    try:
        return [str(path) for path in json.loads(file.read_text())]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from error


def keep_measured(context: RunContext) -> list[str]:
    """Tables and plots of a run whose canvas exports nothing, in the run's own folder; their paths. Raises OSError."""
    folder = context.settings.directory / "measured"
    simulated = bool(experiment.simulation(context)["simulated"])
    found: list[str] = []
    for segment in tables.collected(context.plan, context.state):
        curve = segment.curve
        stem = naming.file_stem(f"{segment.name}_{{data_type}}", {"data_type": curve.kind})
        number = 1
        while str(folder / f"{stem}.csv") in found:
            number += 1
            stem = naming.file_stem(f"{segment.name}_{number}_{{data_type}}", {"data_type": curve.kind})
        table, picture = folder / f"{stem}.csv", folder / f"{stem.removesuffix(f'_{curve.kind}')}.png"
        durable.write(table, tables.table_of([segment], [curve.kind], curve.columns).csv())
        durable.write(picture, plots.plot(segment, context.plan.name, simulated=simulated))
        found += [str(table), str(picture)]
    return found


def kept_values(segments: list[Segment], column: str) -> list[float]:
    """All numbers of a column in the data that are kept, in order."""
    return [value for it in segments if column in it.curve.columns for value in it.curve.column(column)]
