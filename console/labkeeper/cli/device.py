"""`labkeeper device ...` and `labkeeper estop`: what people do to the units on this host."""

from __future__ import annotations

import getpass
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from labkeeper.cli.options import HomeOption, Output, OutputOption, UnitArgument, home_of
from labkeeper_api.errors import LabkeeperError
from labkeeper_api.kinds.labaction import Action, LabAction, LabActionSpec, Outcome
from labkeeper_api.meta import ObjectMeta
from labkeeper_api.unit_calls import Pause
from labkeeper_devices.agent import control
from labkeeper_devices.agent.host import UnitDirectory, read_json, write_durably
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.register import Register
from labkeeper_devices.agent.stopper import describe

app = typer.Typer(
    help="The units on this host: their state, their journal, and what a person does about them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ReasonOption = Annotated[
    str, typer.Option("--reason", "-m", help="What you saw or why you act; kept in the journal.", prompt=True)
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="device")
    root.command("estop")(estop)


def estop(
    unit: UnitArgument = None,
    all_units: Annotated[bool, typer.Option("--all", help="Stop every unit on this host.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the journal.")] = "labkeeper estop",
    home: HomeOption = None,
) -> None:
    """Emergency stop: take the energy out of a unit at once, and latch.

    Nothing is waited for, neither the run under way nor Prefect. The stop stays until `labkeeper device release`.
    """
    # No `labkeeper.render` here: it brings Prefect in, which takes seconds.
    units = UnitDirectory.all(home_of(home)) if all_units else [_unit(home, unit)]
    if not units:
        raise LabkeeperError(f"there are no units in {home_of(home)}: nothing was stopped")
    # All at the same time, and each whatever becomes of the others.
    with ThreadPoolExecutor(len(units)) as threads:
        troubles = list(threads.map(lambda one: _engage(one, reason), units))
    for one, said in zip(units, troubles, strict=True):
        typer.secho(f"{one.unit}: {said or 'energy off, stop latched'}", err=True, bold=True, fg=typer.colors.RED)
    raise typer.Exit(1 if any(troubles) else 0)


@app.command("list")
def list_units(output: OutputOption = Output.TEXT, home: HomeOption = None) -> None:
    """List the units on this host and what they are doing."""
    from rich.table import Table
    from rich.text import Text

    from labkeeper.render import out

    found = [_described(unit) for unit in UnitDirectory.all(home_of(home))]
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table(header_style="bold")
    for column in ("Unit", "State", "Why"):
        table.add_column(column, overflow="fold")
    for unit in found:
        table.add_row(unit["unit"], unit["state"], Text(unit["reason"]))
    out.print(table)


@app.command("status")
def status(unit: UnitArgument = None, output: OutputOption = Output.TEXT, home: HomeOption = None) -> None:
    """Say what a unit is doing, how its hardware is and where its journal is."""
    from labkeeper.render import out

    one = _unit(home, unit)
    try:
        found = control.call(one.socket, {"do": "status"})
    except control.NoAgent:
        found = {**_described(one), "journal": str(one.journal)}
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    for key, value in {**found, **_told(found)}.items():
        if value not in (None, [], {}):
            out.print(f"{key}: {value}", markup=False, soft_wrap=True)


def _told(found: dict[str, Any]) -> dict[str, str]:
    """Of a unit's status, what is easier read as a sentence."""
    told = {}
    if held := found.get("reservation"):
        until = f"ends {held['seconds_left']:g} s from now unless renewed" if held["seconds_left"] is not None else ""
        parts = (f"{held['name']} (run {held['holder']})", held["command"] and f"now {held['command']}", until)
        told["reservation"] = ", ".join(part for part in parts if part)
    if progress := found.get("progress"):
        total = f" of {progress['total']}" if progress["total"] is not None else ""
        told["progress"] = f"{progress['done']}{total}, {progress['doing']}{' (paused)' if progress['paused'] else ''}"
    return told


@app.command("pause")
def pause(unit: UnitArgument = None, home: HomeOption = None) -> None:
    """Pause what a unit does now, where its driver can: a protocol on the robot. It stays where it is, energized."""
    _pause(_unit(home, unit), "pause")


@app.command("resume")
def resume(unit: UnitArgument = None, home: HomeOption = None) -> None:
    """Let what was paused go on."""
    _pause(_unit(home, unit), "resume")


def _pause(unit: UnitDirectory, word: Literal["pause", "resume"]) -> None:
    status = control.call(unit.socket, {"do": "status"})
    holder = status["reservation"]["holder"] if status["reservation"] else status["run_id"]
    if holder is None:
        raise LabkeeperError(f"unit {unit.unit} has nothing under way: {status['reason']}")
    control.call(unit.socket, Pause(do=word, holder=holder).model_dump())
    typer.echo(f"{unit.unit}: {word}d")


@app.command("history")
def history(
    unit: UnitArgument = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the latest.")] = 20,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Show the latest commands of a unit's journal, how each ended, and what people did."""
    from labkeeper.render import out

    one = _unit(home, unit)
    found = _history(one, limit)
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    out.print(_commands_table(found["commands"]))
    for action in found["actions"]:
        text = f"{action['at']} {action['action']} by {action['requester']}: {action['reason']}"
        out.print(text, markup=False, soft_wrap=True)


@app.command("acknowledge")
def acknowledge(
    outcome: Annotated[
        str,
        typer.Option(
            help="How the command really ended, as you saw it on the hardware: `completed` or `not-completed`.",
            prompt="How did it really end, completed or not-completed",
        ),
    ],
    reason: ReasonOption,
    unit: UnitArgument = None,
    output: OutputOption = Output.TEXT,
    home: HomeOption = None,
) -> None:
    """Say how a command of unknown outcome really ended, so that a Held unit works again.

    Look at the hardware first: a run that asks for the same command again goes on without it if it was completed, and
    carries it out if it was not. What you say is recorded in the journal under your name.
    """
    words = {"completed": Outcome.COMPLETED, "not-completed": Outcome.NOT_COMPLETED}
    if outcome not in words:
        raise LabkeeperError(f"--outcome {outcome!r} is neither completed nor not-completed")
    one = _unit(home, unit)
    action = _action(one, Action.ACKNOWLEDGE, reason, words[outcome])
    try:
        answer = control.call(one.socket, {"do": "act", "action": action.wire()})
    except control.NoAgent:
        answer = _acknowledge_offline(one, action)
    _say(output, answer, f"{one.unit}: acknowledged {', '.join(answer['acknowledged']) or 'the lost journal'}")


@app.command("release")
def release(
    reason: ReasonOption, unit: UnitArgument = None, output: OutputOption = Output.TEXT, home: HomeOption = None
) -> None:
    """End the emergency stop of a unit. Make sure first that nobody is in the machine."""
    one = _unit(home, unit)
    action = _action(one, Action.RELEASE, reason, None)
    answer = control.call(one.socket, {"do": "act", "action": action.wire()})
    _say(output, answer, f"{one.unit}: released ({answer['released']})")


def _unit(home: Path | None, given: str | None) -> UnitDirectory:
    root = home_of(home)
    units = UnitDirectory.all(root)
    found = [u for u in units if given is None or u.unit == given] or [
        u for u in units if u.unit.startswith(given or "")
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(u.unit for u in units) or "none"
    which = "there is no such unit" if given and not found else "say which unit"
    raise LabkeeperError(f"{which}; on this host, in {root}, there are: {known}")


def _described(unit: UnitDirectory) -> dict[str, Any]:
    """What is known of a unit without asking its agent."""
    said = read_json(unit.status) or {"state": "Offline", "reason": "its agent never ran"}
    if unit.owner() is None and said["state"] != "Offline":
        said = {**said, "state": "Offline", "reason": f"its agent is gone; it was {said['state']}: {said['reason']}"}
    stopped = describe(unit.latch)
    note = f"; emergency stop latched: {stopped}" if stopped and said["state"] == "Offline" else ""
    return {"unit": unit.unit, "state": said["state"], "reason": said["reason"] + note}


def _engage(unit: UnitDirectory, reason: str) -> str | None:
    """Stop one unit; what is wrong, or None."""
    requester = getpass.getuser()
    try:
        trouble = control.call(unit.socket, {"do": "estop", "requester": requester, "reason": reason})["trouble"]
    except control.NoAgent as error:
        content = {"requester": requester, "reason": reason, "at": datetime.now(UTC).isoformat()}
        try:
            write_durably(unit.latch, content)
        except OSError as failure:
            return f"{error}, and the stop could not be latched ({failure}): cut the power of the hardware"
        return f"{error}, so nothing could be sent to the hardware: cut its power; the stop is latched for the agent"
    except LabkeeperError as error:
        return f"the agent could not stop it, cut its power: {error}"
    return f"latched, but the hardware could not be reached, cut its power: {trouble}" if trouble else None


def _action(unit: UnitDirectory, action: Action, reason: str, outcome: Outcome | None) -> LabAction:
    namespace, device, _ = unit.unit.split(".", 2)
    moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S%f")
    return LabAction(
        metadata=ObjectMeta(name=f"{action.lower()}-{moment}", namespace=namespace),
        spec=LabActionSpec(
            device=device,
            unit=unit.unit,
            action=action,
            outcome=outcome,
            reason=reason,
            requester=getpass.getuser(),
        ),
    )


def _acknowledge_offline(unit: UnitDirectory, action: LabAction) -> dict[str, Any]:
    """Without an agent, the journal can be written to directly; its lock makes sure that there is none."""
    if not unit.journal.exists():
        raise LabkeeperError(f"unit {unit.unit} has no journal; if it was lost, start the agent and acknowledge then")
    with unit.locked():
        journal = Journal(unit.journal, unit.unit, lambda: datetime.now(UTC))
        try:
            register = Register(unit)
            lost = register.misses(journal)
            if not journal.open_commands() and not lost:
                raise LabkeeperError(f"unit {unit.unit} holds nothing that could be acknowledged without its agent")
            completed = action.spec.outcome is Outcome.COMPLETED
            found = journal.acknowledge(action.spec.requester, action.spec.reason, completed=completed)
            if lost:
                register.remember(journal)
        finally:
            journal.close()
    return {"acknowledged": [command.described() for command in found]}


def _history(unit: UnitDirectory, limit: int) -> dict[str, Any]:
    from labkeeper_devices.agent.desk import history as journal_history

    try:
        return control.call(unit.socket, {"do": "history", "limit": limit})
    except control.NoAgent:
        if not unit.journal.exists():
            raise LabkeeperError(f"unit {unit.unit} has no journal yet") from None
    journal = Journal(unit.journal, unit.unit, lambda: datetime.now(UTC))
    try:
        return journal_history(journal, limit)
    finally:
        journal.close()


def _commands_table(commands: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for column in ("No.", "Begun", "Command", "Outcome", "What it says"):
        table.add_column(column, overflow="fold")
    for command in commands:
        outcome = Text(command["outcome"] or "unknown", style="" if command["outcome"] else "bold red")
        told = Text(command["message"] or "")
        table.add_row(str(command["seq"]), command["begun_at"][:19], Text(command["described"]), outcome, told)
    return table


def _say(output: Output, answer: dict[str, Any], text: str) -> None:
    if output is Output.JSON:
        typer.echo(json.dumps(answer))
    else:
        typer.echo(text)
