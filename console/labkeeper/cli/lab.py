"""`labkeeper demo`, `run` and `up`: the embedded lab."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labkeeper.canvas.recognition import Document
from labkeeper.cli.canvas_run import CanvasOptions, document_of, run_document
from labkeeper.cli.canvas_run import resume as resume_run
from labkeeper.cli.examples import example
from labkeeper.cli.options import HomeOption, Manager, Output, OutputOption, home_of
from labkeeper.cli.refusing import refused
from labkeeper_api.errors import InvalidInput

DEMO = ("plate-resort", "battery")
"""Examples that `labkeeper demo` runs, in this order."""

CANVASES = "Canvases and protocols"

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
        Path | None, typer.Argument(help="Folder of manifests. Default: all examples.", show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Show the whole path once: a tour of a simulated plate hotel, every angle verified, and a canvas in a battery lab.

    Starts a Prefect server and a device agent for each device, reconciles the examples, runs them one after another and
    ends everything again. Exit code 0: all completed.
    """
    _run([folder] if folder else [example(name) for name in DEMO], {}, [], output, home, port, timeout=None)


def run(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Manifest files, or folders of them; or one canvas; or one Opentrons protocol.", show_default=False
        ),
    ] = None,
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
    manager: Annotated[
        Manager | None,
        typer.Option(
            help="Of a canvas: `native` without Prefect, or `prefect` with a task for each node. Default: native.",
            show_default=False,
            rich_help_panel=CANVASES,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Simulate every device.", rich_help_panel=CANVASES)
    ] = False,
    lab: Annotated[
        Path | None,
        typer.Option(
            help="Manifests with the LabDevices. Default: those beside the file.",
            show_default=False,
            rich_help_panel=CANVASES,
        ),
    ] = None,
    policies: Annotated[
        Path | None,
        typer.Option(
            help="Recovery policies and safety settings of the run.", show_default=False, rich_help_panel=CANVASES
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with this run where it ended; `labkeeper canvas runs` lists them.",
            show_default=False,
            rich_help_panel=CANVASES,
        ),
    ] = None,
    export_dir: Annotated[
        Path | None,
        typer.Option(
            help="What relative paths of a canvas are relative to. Default: this folder.",
            show_default=False,
            rich_help_panel=CANVASES,
        ),
    ] = None,
    time_factor: Annotated[
        float | None,
        typer.Option(
            help="How many times faster than real time a dry run goes. Default: 1000.",
            min=0.001,
            max=1000,
            show_default=False,
            rich_help_panel=CANVASES,
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Run the LabWorkflows of manifest files, or a canvas, or an Opentrons protocol, and say how each ended.

    LabRuns in the files say which runs are wanted; without any, every LabWorkflow is run once. LabPools and LabDevices
    are taken from the files or from those beside them. Where `labkeeper up` keeps a lab in the same home, the runs go
    there; else a lab is started for them and ended afterwards. Ctrl-C cancels the run and waits until the hardware is
    at rest. Exit code 0: all completed, 1: one did not, 2: the input was refused.

    A canvas runs on the LabDevices of `--lab` or beside it, natively or with a task for each node in Prefect. A
    protocol is analysed by the robot first. Both are never simulated unless `--dry-run` or a LabDevice says so.
    """
    options = CanvasOptions(manager, dry_run, lab, policies, resume, export_dir, time_factor)
    try:
        document = document_of(files or [])
        _check_options(
            files or [],
            document,
            options,
            {"--parameters": parameters, "--param": param, "--workflow": workflow, "--timeout": timeout},
        )
    except InvalidInput as error:
        refused(error, output)
    if document is not None:
        run_document(document, options, output, home, port)
    if resume is not None:
        resume_run(options, output, home, port)
    given = _parameters(parameters, param or [])
    _run(files or [], given, workflow or [], output, home, port, timeout=timeout)


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
    from labkeeper.render import out, runs_table, tell
    from labkeeper.session_plan import plan_session

    prepare(home_of(home))
    try:
        plan = plan_session(files, parameters, workflows)
    except InvalidInput as error:
        refused(error, output)
    from labkeeper.session import Session

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


def _check_options(
    files: list[Path], document: Document | None, options: CanvasOptions, of_manifests: dict[str, Any]
) -> None:
    """Refuse options that say nothing about what is run."""
    if not files and options.resume is None:
        raise typer.BadParameter("say what to run: manifests, a canvas or a protocol", param_hint="FILES")
    if files and options.resume is not None:
        raise typer.BadParameter("a run that is resumed knows its canvas: give no file", param_hint="FILES")
    if document is None and options.resume is None and options.given:
        message = "goes with a canvas or a protocol; for a LabWorkflow see its field dryRun and its LabDevices"
        raise typer.BadParameter(message, param_hint=options.given[0])
    given = [name for name, value in of_manifests.items() if value]
    if (document is not None or options.resume is not None) and given:
        raise typer.BadParameter("goes with LabWorkflows, not with a canvas or a protocol", param_hint=given[0])


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
