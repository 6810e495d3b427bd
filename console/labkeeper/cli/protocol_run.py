"""What `labkeeper run` does with an Opentrons protocol."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from labkeeper.canvas.checking import protocol_problems
from labkeeper.canvas.lab_devices import DRY_RUN_FACTOR
from labkeeper.canvas.preparing import Asked
from labkeeper.canvas.protocol_runs import ProtocolEnded, run_protocol_file
from labkeeper.canvas.recognition import Document
from labkeeper.canvas.render import simulation
from labkeeper.canvas.runs import Cancelling, heeding_signals
from labkeeper.cli.options import Output
from labkeeper.cli.refusing import refused
from labkeeper.render import err, out, tell
from labkeeper_api.errors import InvalidInput
from labkeeper_api.unit_calls import Progress

TOLD_PARTS = 10
"""Where there is no terminal, progress is told so many times in all."""


def run_protocol(document: Document, asked: Asked, output: Output) -> NoReturn:
    """Analyse a protocol, run it and exit: 0 completed, 1 not, 2 refused."""
    problems = protocol_problems(document.text, document.source)
    if problems:
        refused(InvalidInput(problems), output)
    text = document.text.decode("utf-8-sig")
    if asked.dry_run:
        tell(simulation(asked.time_factor or DRY_RUN_FACTOR, dry_run=True))
    cancelling = Cancelling(tell)
    view = _View(live=output is Output.TEXT and sys.stderr.isatty())

    def work() -> ProtocolEnded:
        return run_protocol_file(document.path.name, text, asked, say=tell, show=view.show, cancelling=cancelling)

    try:
        with view.bars:
            ended = heeding_signals(work, cancelling)
    except InvalidInput as error:
        refused(error, output)
    if output is Output.JSON:
        typer.echo(json.dumps(ended.as_dict(), indent=2))
    else:
        took = (ended.ended - ended.began).total_seconds()
        out.print(f"{ended.name}: {ended.status} on {ended.device.unit}, {took:.1f} s", markup=False)
        if ended.message:
            out.print(ended.message, markup=False, soft_wrap=True)
        if ended.device.simulated:
            out.print(simulation(ended.device.time_factor, dry_run=ended.dry_run), markup=False)
    for line in ended.held:
        tell(line)
    raise typer.Exit(0 if ended.ok else 1)


class _View:
    """A bar on a terminal, else a line now and then."""

    def __init__(self, *, live: bool) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self.bars = Bars(*columns, console=err, transient=True, disable=not live)
        self._task = self.bars.add_task("analysing", total=None)
        self._live = live
        self._told = ""

    def show(self, progress: Progress) -> None:
        doing = ("paused: " if progress.paused else "") + progress.doing
        if self._live:
            self.bars.update(self._task, description=doing, completed=progress.done, total=progress.total)
            return
        part = TOLD_PARTS * progress.done // progress.total if progress.total else 0
        line = f"{part}" + ("paused" if progress.paused else "")
        if line != self._told:
            self._told = line
            tell(f"{progress.done}/{progress.total or '?'} {doing}")
