"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labkeeper_devices.agent.host import HOME_VARIABLE, UnitDirectory
from labkeeper_devices.agent.host import home as default_home


class Output(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


class Manager(StrEnum):
    """Who turns the plan of a canvas into commands."""

    NATIVE = "native"
    """The process of the run alone; nothing of Prefect is loaded."""
    PREFECT = "prefect"
    """A Prefect flow run with a task for each node."""


def complete_unit(incomplete: str) -> list[str]:
    """Names of the units on this host, for shell completion."""
    return [unit.unit for unit in UnitDirectory.all(default_home()) if unit.unit.startswith(incomplete)]


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar=HOME_VARIABLE, help="Where the lab keeps its data. Default: ~/.labkeeper"),
]
OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="`text` for people, `json` for machines (nothing else on standard output)."),
]
UnitArgument = Annotated[
    str | None,
    typer.Argument(
        help="Unit, as namespace.device.node, or the beginning of it. May be left out where there is only one.",
        autocompletion=complete_unit,
        show_default=False,
    ),
]


def home_of(given: Path | None) -> Path:
    """The home to use."""
    return given.expanduser().absolute() if given is not None else default_home()
