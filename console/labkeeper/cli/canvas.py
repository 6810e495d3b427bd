"""`labkeeper canvas`: canvases as Prefect deployments, as in the battery guide, and the canvas runs of this home."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from labkeeper.cli.options import HomeOption, Output, OutputOption, home_of
from labkeeper.cli.refusing import refused
from labkeeper_api.errors import InvalidInput, LabkeeperError, Problem

if TYPE_CHECKING:
    from labkeeper.prefect_deployment_manager import PrefectDeploymentManager

T = TypeVar("T")

app = typer.Typer(
    help="Canvases as Prefect deployments, and the canvas runs of this computer.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("server")
def server(
    host: Annotated[str, typer.Option(help="Address that the Prefect server listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.", min=1, max=65535)] = 4200,
    home: HomeOption = None,
) -> None:
    """Run a Prefect server and the worker that carries deployed canvases out, until Ctrl-C.

    `labkeeper up FOLDER` does the same and keeps the devices of a lab besides.
    """
    from labkeeper.cli.prefect_environment import prepare

    home_of(home).mkdir(parents=True, exist_ok=True)
    prepare(home_of(home))
    from labkeeper.canvas.serving import serve
    from labkeeper.render import tell

    asyncio.run(serve(home_of(home), host, port, tell))


@app.command("deploy")
def deploy(
    file: Annotated[Path, typer.Argument(help="The canvas.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Name of the deployment.", show_default=False)],
    schedule: Annotated[
        str | None,
        typer.Option(help='When it runs by itself: `interval:SECONDS` or `"cron:0 9 * * *"`.', show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Its runs are simulated.")] = False,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Deploy a canvas, or replace the deployment of that name. Its runs wait in queue `sdl1-workflows`."""
    manager = _manager(home)
    from labkeeper.canvas.deployments import parsed_schedule

    try:
        text = _read(file)
        planned = parsed_schedule(schedule) if schedule is not None else None
        made = _done(manager.create_workflow_deployment(name, text, planned, {"dry_run": dry_run}))
    except InvalidInput as error:
        refused(_in_file(error, file), output)
    _say(output, {"id": made, "name": name, "schedule": planned}, f"deployment {name!r}: {made}")


@app.command("list-deployments")
def list_deployments(output: OutputOption = Output.TEXT, home: HomeOption = None) -> None:
    """List the deployed canvases."""
    found = _done(_manager(home).list_deployments())
    _table(output, found, ("name", "schedule", "is_schedule_active", "updated", "id"))


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="Name of the deployment.", show_default=False)],
    parameters: Annotated[
        str | None, typer.Option(help="Parameters as a JSON object, such as '{\"dry_run\": true}'.", show_default=False)
    ] = None,
    scheduled_time: Annotated[
        str | None, typer.Option(help="When, in ISO 8601; default: now.", show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Have a deployed canvas run, now or at a moment, and print the id of its flow run."""
    given = _object(parameters)
    moment = _moment(scheduled_time)
    made = _done(_manager(home).schedule_workflow_execution(name, moment, given))
    _say(output, {"id": made, "deployment": name}, made)


@app.command("status")
def status(
    flow_run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the flow run.", show_default=False)],
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Say how a flow run is."""
    found = _done(_manager(home).get_workflow_status(flow_run_id))
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in found.items() if value not in (None, "", {})]
    _say(output, found, "\n".join(lines))


@app.command("cancel")
def cancel(
    flow_run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the flow run.", show_default=False)],
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Cancel a flow run. It is Cancelled when the hardware is at rest."""
    done = _done(_manager(home).cancel_workflow_execution(flow_run_id))
    _say(output, {"cancelled": done}, "cancelling" if done else "it has ended already")
    raise typer.Exit(0 if done else 1)


@app.command("list-runs")
def list_runs(
    limit: Annotated[int, typer.Option(help="How many of the latest.", min=1, max=200)] = 10,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """List the latest runs of deployed canvases."""
    found = _done(_manager(home).get_recent_flow_runs(limit))
    _table(output, found, ("name", "state", "start_time", "end_time", "total_run_time", "id"))


@app.command("runs")
def runs(output: OutputOption = Output.TEXT, home: HomeOption = None) -> None:
    """List the canvas runs of this home, and which of them can be resumed with `labkeeper run --resume ID`."""
    from labkeeper.canvas.records import kept_runs

    found = [kept.as_dict() for kept in kept_runs(home_of(home))]
    _table(output, found, ("id", "name", "state", "began", "ended", "dryRun", "simulated", "resumable", "message"))


@app.command("tips")
def tips(
    reset: Annotated[
        str | None, typer.Option(help="Unit whose racks are new: its tips are all there again.", show_default=False)
    ] = None,
    rack: Annotated[
        str | None, typer.Option(help="With --reset: only this rack, such as tip_rack_1.", show_default=False)
    ] = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Say which tips of each robot are used up, or that a person put new racks there."""
    from labkeeper.embedded.devices import TIPS
    from labkeeper_devices.agent.host import UnitDirectory
    from labkeeper_flows.canvas_run.tips import TipStore

    store = TipStore(home_of(home) / TIPS)
    if reset is not None:
        known = [unit.unit for unit in UnitDirectory.all(home_of(home))]
        if reset not in known:
            raise LabkeeperError(
                f"there is no unit {reset!r} in {home_of(home)}; there are: {', '.join(known) or 'none'}"
            )
        count = store.reset(reset, rack)
        _say(
            output,
            {"unit": reset, "rack": rack, "wereUsed": count},
            f"{reset}: {count} tips were used, all are new now",
        )
        return
    used = {unit.unit: store.used(unit.unit) for unit in UnitDirectory.all(home_of(home))}
    rows = [
        {"unit": unit, "rack": name, "used": len(wells), "tips": ", ".join(wells)}
        for unit, racks in used.items()
        for name, wells in racks.items()
    ]
    _table(output, rows, ("unit", "rack", "used", "tips"))


@app.command("compare")
def compare(
    file: Annotated[
        Path | None,
        typer.Argument(help="The canvas. Default: that of examples/battery.", show_default=False),
    ] = None,
    time_factor: Annotated[
        float, typer.Option(help="How many times faster than real time.", min=0.001, max=1000)
    ] = 1000.0,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Run a canvas with both managers, every device simulated, and show what each did and how long it took.

    Exit code 0: both completed it with the same commands to the devices, 1: they did not.
    """
    from labkeeper.cli.prefect_environment import prepare

    home_of(home).mkdir(parents=True, exist_ok=True)
    prepare(home_of(home), quiet=True)
    from labkeeper.canvas.comparing import compare_managers, comparison_table
    from labkeeper.cli.examples import example
    from labkeeper.render import out, tell

    canvas = file or example("battery") / "canvas.json"
    try:
        text = _read(canvas)
        found = compare_managers(text, str(canvas), home_of(home), time_factor, tell)
    except InvalidInput as error:
        refused(error, output)
    if output is Output.JSON:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        out.print(comparison_table(found))
        out.print(found.verdict, markup=False, soft_wrap=True)
    raise typer.Exit(0 if found.same else 1)


def _manager(home: Path | None) -> PrefectDeploymentManager:
    from labkeeper.cli.prefect_environment import prepare

    home_of(home).mkdir(parents=True, exist_ok=True)
    prepare(home_of(home))
    from labkeeper.prefect_deployment_manager import PrefectDeploymentManager

    return PrefectDeploymentManager(home=home_of(home))


def _done(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput([Problem("", f"cannot be read: {error.strerror}", source=str(file))]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem("", "the file is not UTF-8 text", source=str(file))]) from error


def _in_file(error: InvalidInput, file: Path) -> InvalidInput:
    """Problems of the canvas, by the file's name."""
    from dataclasses import replace

    named = [replace(p, source=str(file)) if p.source == "workflow_json" else p for p in error.problems]
    return InvalidInput(named)


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--parameters") from error
    if not isinstance(found, dict):
        raise typer.BadParameter("must be a JSON object, such as '{\"dry_run\": true}'", param_hint="--parameters")
    return found


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no moment: such as 2026-12-01T09:00:00+09:00"
        raise typer.BadParameter(message, param_hint="--scheduled-time") from error


def _say(output: Output, content: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(content, indent=2) if output is Output.JSON else text)


def _table(output: Output, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    from labkeeper.render import out

    if output is Output.JSON:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    out.print(table)


def _cell(value: Any) -> str:
    """Moments to the second; yes and no; nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and len(value) > 19 and value[4:5] == value[7:8] == "-" and value[10:11] == "T":
        return value[:19].replace("T", " ")
    return str(value)
