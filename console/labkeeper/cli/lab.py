"""`labkeeper demo`, `run` and `up`: the embedded lab."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labkeeper.cli.options import HomeOption, Output, OutputOption, home_of
from labkeeper.cli.validate import INVALID

DEMO_FOLDER = Path("examples") / "plate-resort"

PortOption = Annotated[
    int | None,
    typer.Option(help="Port of the Prefect server. Default: 4200, or any other if it is taken.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("demo")(demo)
    app.command("run")(run)
    app.command("up")(up)


def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of manifests. Default: examples/plate-resort", show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Show the whole path once: a simulated plate hotel, a tour of its four hotels, every angle verified.

    Starts a Prefect server and a device agent, reconciles the example, runs it and ends everything again.
    """
    _run([folder or _demo_folder()], {}, [], output, home, port, timeout=None)


def run(
    files: Annotated[list[Path], typer.Argument(help="Manifest files, or folders of them.", show_default=False)],
    parameters: Annotated[
        str | None, typer.Option(help="Parameters of the run as a JSON object.", show_default=False)
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="One parameter as NAME=VALUE; VALUE may be JSON. Repeatable.", show_default=False),
    ] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option("--workflow", "-w", help="Run only this LabWorkflow. Repeatable.", show_default=False),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Give up and cancel after so many seconds.", min=0.1, show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Run the LabWorkflows of manifest files, one after another, and say how each ended.

    LabRuns in the files say which runs are wanted; without any, every LabWorkflow is run once. LabPools and LabDevices
    are taken from the files or from those beside them. Where `labkeeper up` keeps a lab in the same home, the runs go
    there; else a lab is started for them and ended afterwards. Ctrl-C cancels the run and waits until the hardware is
    at rest. Exit code 0: all completed, 1: one did not, 2: the input was refused.
    """
    given = _parameters(parameters, param or [])
    _run(files, given, workflow or [], output, home, port, timeout=timeout)


def up(
    folder: Annotated[Path, typer.Argument(help="Folder of manifests.", exists=True, file_okay=False)] = Path(),
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Keep a lab running and reconcile a folder of manifests as it changes, until Ctrl-C.

    What is removed from the folder is removed from the lab. A file with mistakes is reported, and what it said before
    stays in force.
    """
    from labkeeper.cli.prefect_environment import prepare

    prepare(home_of(home))
    from labkeeper.embedded.keeping import keep_folder
    from labkeeper.render import tell

    try:
        asyncio.run(keep_folder(folder.resolve(), home_of(home), port, tell))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _run(
    files: list[Path],
    parameters: dict[str, Any],
    workflows: list[str],
    output: Output,
    home: Path | None,
    port: int | None,
    *,
    timeout: float | None,
) -> None:
    from labkeeper.cli.prefect_environment import prepare
    from labkeeper.render import err, out, problems_text, runs_table, tell
    from labkeeper_api.errors import InvalidInput

    prepare(home_of(home))
    from labkeeper.session import Session, plan_session

    try:
        plan = plan_session(files, parameters, workflows)
    except InvalidInput as error:
        if output is Output.JSON:
            typer.echo(json.dumps({"ok": False, "problems": [p.__dict__ for p in error.problems]}, indent=2))
        err.print(problems_text(error.problems), soft_wrap=True)
        raise typer.Exit(INVALID) from None
    session = Session(plan, home_of(home), port, tell, live=output is Output.TEXT and sys.stderr.isatty())
    try:
        ok = asyncio.run(session.carry_out(timeout))
        code = 0 if ok else 1
    except KeyboardInterrupt:
        code = 130
    if output is Output.JSON:
        typer.echo(json.dumps({"ok": code == 0, **session.summary()}, indent=2))
    else:
        out.print(runs_table(session.records))
        for line in session.footer():
            out.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _parameters(text: str | None, pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if text is not None:
        try:
            found = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            raise typer.BadParameter(f"not JSON: {error}", param_hint="--parameters") from error
        if not isinstance(found, dict):
            raise typer.BadParameter('must be a JSON object, such as \'{"hotel": "C"}\'', param_hint="--parameters")
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--param")
        try:
            found[name] = json.loads(value, parse_constant=_no_constant)
        except ValueError:
            found[name] = value
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number that JSON can hold")


def _demo_folder() -> Path:
    """The example beside us: below the working directory, else in the checkout that this command runs from."""
    checkout = Path(__file__).resolve().parents[3]
    for root in (Path.cwd(), checkout):
        if (root / DEMO_FOLDER).is_dir():
            return root / DEMO_FOLDER
    raise typer.BadParameter(f"there is no {DEMO_FOLDER} here: give the folder of manifests", param_hint="FOLDER")
