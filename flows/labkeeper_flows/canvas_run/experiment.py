"""What a run knows of its experiment: name and number, its folder and metadata file, and the reports on its cycles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from labkeeper_api.errors import LabkeeperError
from labkeeper_flows.canvas.accounting import Work
from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.context import RunContext
from labkeeper_flows.canvas_run.state import RunState

MAX_RUN_NUMBER = 9999


class DataError(LabkeeperError):
    """What was to be written, read or worked out is not possible; the node fails."""


def begin(context: RunContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Open the experiment's record: its number, folder and metadata file. Raises `DataError`."""
    _check_series(context, parameters)
    folder = below(context, parameters["data_directory"])
    if parameters["create_data_directories"]:
        _make(folder)
    elif not folder.is_dir():
        raise DataError(f"the folder {folder} is not there, and create_data_directories is off")
    number = _number(folder, parameters, context.settings.run_id)
    said = {
        "experiment_id": parameters["experiment_id"],
        "run_number": number,
        "well": parameters["well"],
        "notes": parameters["notes"],
        "status": parameters["status"],
        "series": dict(parameters["series"]),
        "optimiser": dict(parameters["optimiser"]),
        "data_directory": str(folder),
    }
    if parameters["metadata_generation"]:
        file = _file(folder, said["experiment_id"], number)
        whole = {**said, "run_id": context.settings.run_id, "workflow": context.plan.name, **simulation(context)}
        try:
            durable.write_json(file, {**whole, "began": context.now().isoformat()})
        except OSError as error:
            raise DataError(f"{file} cannot be written: {error.strerror}") from error
        said["metadata_file"] = str(file)
    return {"experiment_metadata": said}


def simulation(context: RunContext) -> dict[str, Any]:
    """Stands in everything that is written: whether devices were simulated, and how much faster they were."""
    return {
        "simulated": any(it.simulated for it in context.reserved),
        "time_factor": context.time_factor,
        "dry_run": context.settings.dry_run,
    }


def of(state: RunState) -> dict[str, Any]:
    """What `begin` returned last; empty in a canvas without ExperimentSetup."""
    for _, _, event, result in reversed(state.steps):
        if event["operation"] == "begin_experiment":
            return dict(result["experiment_metadata"])
    return {}


def below(context: RunContext, path: str) -> Path:
    """A path of the canvas; relative ones are below the run's data root."""
    return context.settings.data_root / Path(path).expanduser()


def report_cycle(context: RunContext, work: Work, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """How far a loop has come, from the cycles that ran (the guide's program assumed 720 s each)."""
    loop, number, total = parameters["loop"], parameters["cycle"], parameters["total"]
    now, state = context.now(), context.state
    began = state.loop_began.get(loop, now)
    lasted = _lengths(began, [*state.cycle_ended.get(loop, ()), now])
    average = sum(lasted) / len(lasted)
    report: dict[str, Any] = {
        "loop": loop,
        "tag": parameters["tag"],
        "cycle": number,
        "total": total,
        "percent": round(100 * number / total, 1) if total else None,
        "elapsed_s": round(sum(lasted), 3),
        "average_cycle_s": round(average, 3),
        "remaining_s": round(average * (total - number), 3) if total else None,
        "kept": parameters["kept"],
    }
    if parameters["display_mode"] == "statistics":
        report |= {"fastest_cycle_s": round(min(lasted), 3), "slowest_cycle_s": round(max(lasted), 3)}
    report["text"] = _text(report, parameters)
    context.say("INFO", report["text"], work)
    return report


def _lengths(began: datetime, ends: list[datetime]) -> list[float]:
    begins = [began, *ends[:-1]]
    return [(end - begin).total_seconds() for begin, end in zip(begins, ends, strict=True)]


def _text(report: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    total = report["total"]
    text = f"cycle {report['cycle']} of {total if total is not None else 'an open number'}"
    if report["percent"] is not None and parameters["show_progress_bar"]:
        done = round(report["percent"] / 5)
        text += f" [{'#' * done}{'.' * (20 - done)}] {report['percent']:g} %"
    if parameters["display_mode"] == "basic":
        return text
    form = parameters["time_format"]
    text += f", {shown(report['elapsed_s'], form)} so far, {shown(report['average_cycle_s'], form)} a cycle"
    if report["remaining_s"] is not None and parameters["show_eta"]:
        text += f", {shown(report['remaining_s'], form)} to go"
    if "fastest_cycle_s" in report:
        text += f", {shown(report['fastest_cycle_s'], form)} to {shown(report['slowest_cycle_s'], form)} each"
    return text


def shown(seconds: float, form: str) -> str:
    """A duration as `hms`, `minutes` or `seconds`."""
    if form == "hms":
        whole = round(seconds)
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{seconds / 60:.1f} min" if form == "minutes" else f"{seconds:.1f} s"


def _check_series(context: RunContext, parameters: Mapping[str, Any]) -> None:
    series, optimiser = parameters["series"], parameters["optimiser"]
    wanted = {}
    if series["check_csv_file_exists"] and series["csv_file_path"]:
        wanted["csv_file_path"] = series["csv_file_path"]
    if series["verify_nimo_files"]:
        wanted |= {name: optimiser[name] for name in ("nimo_input_file", "nimo_output_file") if optimiser[name]}
    missing = [f"{name} {path}" for name, path in wanted.items() if not below(context, path).is_file()]
    if not missing:
        return
    what = f"{', '.join(missing)}: there is no such file below {context.settings.data_root}"
    if not context.all_simulated:
        raise DataError(f"{what}; put it there, or switch check_csv_file_exists and verify_nimo_files off")
    # A canvas can be tried anywhere. With hardware, samples would be spent on what nobody has proposed.
    context.say("WARNING", f"{what}; the run goes on since every device is simulated, with hardware it would fail")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be made: {error.strerror}") from error


def _file(folder: Path, experiment: str, number: int) -> Path:
    return folder / f"{experiment}_run{number}_experiment.json"


def _number(folder: Path, parameters: Mapping[str, Any], run: str) -> int:
    """The run's number: with auto_increment_run the first that no other run of the experiment has in this folder."""
    first = int(parameters["run_number"])
    if not parameters["auto_increment_run"]:
        return first
    for number in range(first, MAX_RUN_NUMBER + 1):
        if _owner(_file(folder, parameters["experiment_id"], number)) in (None, run):
            return number
    raise DataError(f"{folder} holds {MAX_RUN_NUMBER} runs of {parameters['experiment_id']}: choose another name")


def _owner(file: Path) -> str | None:
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    return str(found.get("run_id", "")) if isinstance(found, dict) else ""
