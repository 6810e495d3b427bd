"""How every command refuses its input: all that is wrong on standard error, or as JSON, and exit code 2."""

from __future__ import annotations

import json
from typing import NoReturn

import typer

from labkeeper.cli.options import Output
from labkeeper_api.errors import InvalidInput

INVALID = 2
"""Exit code for input that is refused."""


def refused(error: InvalidInput, output: Output) -> NoReturn:
    """Say what is wrong with the input and exit."""
    from labkeeper.render import err, problems_text

    if output is Output.JSON:
        typer.echo(json.dumps({"ok": False, "problems": [p.__dict__ for p in error.problems]}, indent=2))
    err.print(problems_text(error.problems), soft_wrap=True)
    raise typer.Exit(INVALID) from None
