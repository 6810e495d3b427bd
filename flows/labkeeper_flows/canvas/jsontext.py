"""Strict JSON text -> data, with the line of every part, and every way in which a text is not JSON said clearly.

Unlike `labkeeper_api.documents`, which reads manifests as kubectl does (YAML, so a trailing comma is fine there and a
large file takes seconds): a canvas is JSON, and one of 2,000 nodes is read in milliseconds. Lines are looked for only
when something has to be said about a place. No I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from labkeeper_api.documents import NodePath, format_path, nearest_line
from labkeeper_api.errors import InvalidInput, Problem

MAX_BYTES = 32 * 1024 * 1024
"""A canvas of 2,000 nodes with its parameter forms has about 25 MB."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


class JsonText:
    """Data and where its parts stand. `source` is the file's name for messages."""

    def __init__(self, data: Any, text: str = "", source: str = "") -> None:
        self.data = data
        self.source = source
        self._text = text

    @cached_property
    def lines(self) -> dict[NodePath, int]:
        """Line of each part, from 1; empty when the data did not come from a text."""
        lines: dict[NodePath, int] = {}
        for path, line, _ in _parts(self._text):
            lines.setdefault(path, line)
        return lines

    def problem(self, path: NodePath, message: str, hint: str = "") -> Problem:
        """Something wrong at `path`, with the line of it or of the nearest part around it."""
        return Problem(format_path(path), message, hint, nearest_line(self.lines, path), self.source)


def read(text: str | bytes, source: str = "") -> JsonText:
    """Read one JSON value. Raises InvalidInput with everything that is wrong with the text as JSON."""
    plain = _decoded(text, source)
    odd: list[str] = []
    try:
        data = json.loads(
            plain,
            parse_constant=odd.append,
            parse_float=lambda number: _float(number, odd),
            object_pairs_hook=lambda pairs: _object(pairs, odd),
        )
    except json.JSONDecodeError as error:
        raise InvalidInput([_syntax(error, plain, source)]) from error
    except RecursionError as error:
        raise InvalidInput([Problem("", "is nested too deeply", "", None, source)]) from error
    except ValueError as error:
        # Python refuses to convert integers of thousands of digits.
        raise InvalidInput([Problem("", "not valid JSON: a number has too many digits", "", None, source)]) from error
    found = JsonText(data, plain, source)
    if odd or "\\ud" in plain or "\\uD" in plain:
        problems = list(_oddities(found, plain))
        if problems:
            raise InvalidInput(problems)
    return found


def _decoded(text: str | bytes, source: str) -> str:
    if len(text) > MAX_BYTES:
        raise InvalidInput([Problem("", f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB", "", None, source)])
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        plain.encode()
    except UnicodeError as error:
        raise InvalidInput([Problem("", "the file is not UTF-8 text", "", None, source)]) from error
    if not plain.strip():
        raise InvalidInput([Problem("", "the file is empty", "a canvas is a JSON object with nodes", 1, source)])
    return plain


def _float(number: str, odd: list[str]) -> float:
    value = float(number)
    if not math.isfinite(value):
        odd.append(number)
    return value


def _object(pairs: list[tuple[str, Any]], odd: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        odd.append("a key stands twice")
    return made


def _syntax(error: json.JSONDecodeError, text: str, source: str) -> Problem:
    here = error.pos + len(text[error.pos :]) - len(text[error.pos :].lstrip())
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[here : here + 1] in ("}", "]"):
        line = text.count("\n", 0, len(before) - 1) + 1
        return Problem("", "not valid JSON: a comma after the last element", "take the comma away", line, source)
    return Problem("", f"not valid JSON: {error.msg} (column {error.colno})", "", error.lineno, source)


def _oddities(found: JsonText, text: str) -> Iterator[Problem]:
    seen: set[NodePath] = set()
    for path, line, piece in _parts(text):
        if piece == ":":
            if path in seen:
                yield Problem(format_path(path), "stands twice", "keep one of the two", line, found.source)
            seen.add(path)
            if not _is_text(str(path[-1])):
                yield found.problem(path[:-1], "half of a surrogate pair is no character")
        elif piece in _NOT_FINITE:
            yield found.problem(path, f"{piece} is not a number that JSON can hold")
        elif piece[0] in "-0123456789" and not math.isfinite(float(piece)):
            yield found.problem(path, f"{piece[:40]} is not a finite number")
        elif piece[0] == '"' and not _is_text(json.loads(piece)):
            yield found.problem(path, "half of a surrogate pair is no character")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(text: str) -> Iterator[tuple[NodePath, int, str]]:
    """(path, line, piece) of each key (piece `:`) and value of well-formed JSON, in the order of the text."""
    path: list[str | int] = []
    kinds: list[str] = []
    key_next = False
    line, last = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        piece = match.group()
        if piece in "}]":
            kinds.pop()
            path.pop()
            key_next = False
        elif piece == ",":
            key_next = kinds[-1] == "{"
            if not key_next:
                path[-1] = int(path[-1]) + 1
        elif piece == ":":
            key_next = False
        elif key_next:
            path[-1] = json.loads(piece)
            yield tuple(path), line, ":"
        else:
            yield tuple(path), line, piece
            if piece in "{[":
                kinds.append(piece)
                path.append("" if piece == "{" else 0)
                key_next = piece == "{"
