"""The `labkeeper` command: one module per group of commands, joined here. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from labkeeper.cli import agent, canvas, device, doctor, flows, lab, operator, validate
from labkeeper_api.errors import LabkeeperError

app = typer.Typer(
    name="labkeeper",
    help=(
        "Labkeeper runs a self-driving laboratory: apply a LabWorkflow, and the lab carries it out.\n\n"
        "Begin with `labkeeper demo`, which needs no hardware and no cluster. `labkeeper run FILE` runs the workflows "
        "of a manifest, a canvas or an Opentrons protocol, `labkeeper up FOLDER` keeps a lab running, `labkeeper "
        "validate FILE` says what is wrong with a file, `labkeeper doctor` what is missing on this machine."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"labkeeper {installed('labkeeper')}, prefect {installed('prefect')}")
        raise typer.Exit


lab.register(app)
validate.register(app)
doctor.register(app)
flows.register(app)
device.register(app)
app.add_typer(agent.app, name="agent")
app.add_typer(canvas.app, name="canvas")
app.add_typer(operator.app, name="operator")


def main() -> None:
    """Entry point of the `labkeeper` command. Our own errors become one message and exit code 1."""
    try:
        app()
    except LabkeeperError as error:
        from rich.text import Text

        from labkeeper.render import err

        err.print(Text("error: ", style="red").append(str(error), style="default"), soft_wrap=True)
        sys.exit(1)
