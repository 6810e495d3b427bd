"""DataExport: which files are written from which cycles, under which names (facts 1.2). Writing is the manager's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from labkeeper_flows.canvas import naming
from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.nodes.base import Category, Count, NodeParameters, NodeType, RetryPolicy, data
from labkeeper_flows.canvas.steps import Step
from labkeeper_flows.canvas.techniques import AC_COLUMNS, DC_COLUMNS

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Format = Annotated[
    Literal["CSV", "JSON", "PNG"], BeforeValidator(lambda given: given.upper() if isinstance(given, str) else given)
]
RangeFormat = Literal["{start}-{end}", "{start}to{end}", "{start}_{end}", "{total}cycles"]


class DataExport(NodeParameters):
    """What is exported. A format that cannot be written is refused: upstream it exported nothing, successfully."""

    export_format: Format = "CSV"
    """CSV or JSON for tables, PNG for plots alone; small letters are the same."""
    data_path: str = Field("./data", min_length=1)
    """Folder."""
    export_path: str | None = None
    """The Zinc canvas's name for it."""
    file_naming: str = "{experiment_id}_{data_type}"
    """Older name of the template."""
    file_naming_template: str | None = None
    """Template, or `custom` for `custom_file_naming`."""
    custom_file_naming: str = ""
    """Template where `file_naming_template` is `custom`."""
    filename_pattern: str | None = None
    """The Zinc canvas's name for the template."""
    cycle_range_format: RangeFormat = "{start}-{end}"
    """How `{cycle_range}` looks."""
    include_timestamp_in_filename: bool = False
    """Whether to add a timestamp to a template without one."""
    timestamp_format: str = Field("YYYYMMDD_HHMMSS", min_length=1, max_length=40)
    """How it looks."""
    include_metadata: bool = True
    """Older name of `metadata_export`; both must allow it."""
    separate_ac_dc_files: bool = True
    """Whether DC and AC data go into files of their own."""
    dc_data_export: bool = True
    """Whether to export direct current data."""
    dc_file_name: str = "dc"
    """What `{data_type}` is for them."""
    ac_data_export: bool = True
    """Whether to export impedance data."""
    ac_file_name: str = "ac"
    """What `{data_type}` is for them."""
    metadata_export: bool = True
    """Whether to export metadata."""
    include_parameters: bool = True
    """Whether metadata hold the parameters of all nodes."""
    include_timestamps: bool = True
    """Whether metadata hold the times of all nodes."""
    log_export: bool = True
    """Whether to export the log."""
    log_level_filter: LogLevel = "INFO"
    """Least severe message in it."""
    include_system_logs: bool = False
    """Whether it holds the system's messages too."""
    dc_columns: list[str] = list(DC_COLUMNS)
    """Columns of direct current data."""
    ac_columns: list[str] = list(AC_COLUMNS)
    """Columns of impedance data."""
    cycle_start: Count = Field(1, ge=1, le=1000)
    """Shown by the form; the cycles that ran count. So for the next two."""
    cycle_end: Count = Field(5, ge=1, le=1000)
    total_cycles: Count = Field(5, ge=1, le=1000)
    compress_output: bool = False
    """Whether to pack the files."""
    include_raw_data: bool = True
    """Whether to export what was measured."""
    include_processed_data: bool = False
    """Whether to export what was worked out from it."""
    nimo_update_enabled: bool = False
    """Whether the optimiser's file gets the objective."""
    objective_value_column: str | None = None
    """Column that holds the objective."""
    objective_extraction: Literal["last_value", "first_value", "max_value", "min_value", "mean_value"] = "last_value"
    """Which value of the column."""


def template_of(p: DataExport) -> tuple[str, str]:
    """(parameter, template): the one that the canvas means."""
    if p.filename_pattern is not None:
        found = ("filename_pattern", p.filename_pattern)
    elif p.file_naming_template == "custom":
        found = ("custom_file_naming", p.custom_file_naming)
    elif p.file_naming_template is not None:
        found = ("file_naming_template", p.file_naming_template)
    else:
        found = ("file_naming", p.file_naming)
    return (found[0], naming.with_timestamp(found[1])) if p.include_timestamp_in_filename else found


def steps(parameters: DataExport, context: Context) -> list[Step]:
    """Export, look at what was written, and tell the optimiser where asked."""
    p = parameters
    parameter, template = template_of(p)
    for message in naming.template_problems(template):
        context.refuse(parameter, message, f"fields: {', '.join(naming.FIELDS)}")
    for name, given, known in (("dc_columns", p.dc_columns, DC_COLUMNS), ("ac_columns", p.ac_columns, AC_COLUMNS)):
        for column in given:
            if column not in known:
                context.refuse(name, f"{column!r} is no column of these data", f"columns: {', '.join(known)}")
    files = _files(p)
    if not files:
        context.refuse((), "nothing is chosen for export", "switch on DC, AC, metadata or log")
    if p.nimo_update_enabled and p.objective_value_column not in (*p.dc_columns, *p.ac_columns):
        context.refuse("objective_value_column", f"{p.objective_value_column!r} is no column that is exported")
    found = [_export(p, template, files, context), data("verify_export")]
    if p.nimo_update_enabled:
        found.append(data("update_objective", column=p.objective_value_column, extraction=p.objective_extraction))
    return found


def _export(p: DataExport, template: str, files: list[dict[str, Any]], context: Context) -> Step:
    return data(
        "export",
        format=p.export_format,
        directory=p.export_path if p.export_path is not None else p.data_path,
        template=template,
        cycle_range_format=p.cycle_range_format,
        timestamp_format=p.timestamp_format,
        files=files,
        compress=p.compress_output,
        include_raw_data=p.include_raw_data,
        include_processed_data=p.include_processed_data,
        cycles=_cycles(context),
        **context.experiment,
    )


def _cycles(context: Context) -> dict[str, Any]:
    """Which cycles the data come from; None where a loop's end is not known beforehand."""
    loop = context.last_loop
    if loop is None:
        return {"loop": None, "total": 1, "kept": [1]}
    return {
        "loop": loop.loop,
        "total": loop.total,
        "kept": None if loop.kept_cycles is None else list(loop.kept_cycles),
    }


def _files(p: DataExport) -> list[dict[str, Any]]:
    """One entry per file: type of data, its word in the name, and what goes in. The endings are those of facts 1.2."""
    found: list[dict[str, Any]] = []
    if p.separate_ac_dc_files:
        if p.dc_data_export:
            found.append({"data": ["dc"], "data_type": _ending(p.dc_file_name, "dc"), "columns": p.dc_columns})
        if p.ac_data_export:
            found.append({"data": ["ac"], "data_type": _ending(p.ac_file_name, "ac"), "columns": p.ac_columns})
    elif p.dc_data_export or p.ac_data_export:
        kinds = [kind for kind, wanted in (("dc", p.dc_data_export), ("ac", p.ac_data_export)) if wanted]
        found.append({"data": kinds, "data_type": "data", "columns": [*p.dc_columns, *p.ac_columns]})
    if p.metadata_export and p.include_metadata:
        content: dict[str, Any] = {"parameters": p.include_parameters, "timestamps": p.include_timestamps}
        found.append({"data": ["metadata"], "data_type": "metadata", **content})
    if p.log_export:
        content = {"level": p.log_level_filter, "system": p.include_system_logs}
        found.append({"data": ["log"], "data_type": "log", **content})
    return found


def _ending(name: str, kind: str) -> str:
    """The word for the data in a file name, ending as facts 1.2 have it: `_dc`, `_ac`."""
    return name if name == kind or name.endswith(f"_{kind}") else f"{name}_{kind}".lstrip("_")


TYPES = (
    NodeType(
        "sdl1DataExport",
        "Writes data, plots, metadata and log to files",
        DataExport,
        steps,
        Category.SYSTEM,
        RetryPolicy(3, 10),
    ),
)
