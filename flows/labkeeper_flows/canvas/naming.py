"""Names of exported files from a template (facts 1.2), and which fields a template may hold. No files here.

A `timestamp` is passed in by whoever writes the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from labkeeper_api.suggestions import did_you_mean

FIELDS = (
    "experiment_id",
    "run_number",
    "timestamp",
    "cycle_range",
    "cycle_start",
    "cycle_end",
    "total_cycles",
    "data_type",
)
RANGE_FORMATS = ("{start}-{end}", "{start}to{end}", "{start}_{end}", "{total}cycles")

_FIELD = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')


def template_problems(template: str) -> Iterator[str]:
    """What is wrong with a file name template."""
    if not template.strip():
        yield "the template is empty"
    for name in _FIELD.findall(template):
        if name not in FIELDS:
            yield f"{{{name}}} is no field of a file name; {did_you_mean(name, FIELDS)}"
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        yield "a brace is open or closed alone"
    if "/" in rest or "\\" in rest or ".." in rest:
        yield "a file name holds no path; the folder is said apart"


def file_stem(template: str, values: Mapping[str, object]) -> str:
    """The file name without its ending. `values` for each field of the template; what a file system refuses becomes _.

    A template without `{data_type}` gets it at the end, as otherwise DC, AC and metadata would overwrite each other.
    """
    full = template if "{data_type}" in template else f"{template}_{{data_type}}"
    made = _FIELD.sub(lambda match: str(values.get(match[1], "")), full)
    return _UNSAFE.sub("_", made).strip(". ") or "data"


def with_timestamp(template: str) -> str:
    """The template with a timestamp before the type of data, unless it has one."""
    if "{timestamp}" in template:
        return template
    if "{data_type}" in template:
        return template.replace("{data_type}", "{timestamp}_{data_type}", 1)
    return f"{template}_{{timestamp}}"


def cycle_range(form: str, start: int, end: int, total: int) -> str:
    """`1-5`, `1to5`, `1_5` or `5cycles`."""
    return form.replace("{start}", str(start)).replace("{end}", str(end)).replace("{total}", str(total))


def timestamp(form: str, moment: datetime) -> str:
    """A moment in the canvas's notation: `YYYYMMDD_HHMMSS`. MM is the month before HH, and the minute after it."""
    made, hour_seen, rest = "", False, form
    parts = (("YYYY", "%Y"), ("YY", "%y"), ("DD", "%d"), ("HH", "%H"), ("SS", "%S"), ("MM", ""))
    while rest:
        piece, code = next(((piece, code) for piece, code in parts if rest.startswith(piece)), (rest[0], None))
        if piece == "MM":
            code = "%M" if hour_seen else "%m"
        hour_seen = hour_seen or piece == "HH"
        made += piece if code is None else moment.strftime(code)
        rest = rest[len(piece) :]
    return made
