"""What `labkeeper run` does with a canvas or a protocol, and `--resume`. Manifests are `lab`'s."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from labkeeper.canvas.recognition import Document, Kind, recognise
from labkeeper.cli.options import Manager, Output, home_of
from labkeeper.cli.refusing import refused
from labkeeper_api.errors import InvalidInput, LabkeeperError, Problem

if TYPE_CHECKING:
    from labkeeper.canvas.preparing import Asked, Prepared
    from labkeeper.canvas.runs import Ended


@dataclass(frozen=True)
class CanvasOptions:
    """Options of `labkeeper run` that only go with canvases and protocols."""

    manager: Manager | None = None
    dry_run: bool = False
    lab: Path | None = None
    policies: Path | None = None
    resume: str | None = None
    export_dir: Path | None = None
    time_factor: float | None = None

    @property
    def given(self) -> list[str]:
        """Those that were given, as they are typed."""
        names = {
            "--manager": self.manager,
            "--dry-run": self.dry_run or None,
            "--lab": self.lab,
            "--policies": self.policies,
            "--resume": self.resume,
            "--export-dir": self.export_dir,
            "--time-factor": self.time_factor,
        }
        return [name for name, value in names.items() if value is not None]


def document_of(files: list[Path]) -> Document | None:
    """The canvas or protocol among the files; None if they are manifests. Raises `InvalidInput` for a mixture."""
    found = []
    for file in files:
        try:
            text = file.read_bytes() if file.is_file() else None
        except OSError:
            continue  # reading the manifests says why
        if text is not None and (kind := recognise(file.name, text)) is not Kind.MANIFEST:
            found.append(Document(kind, str(file), text))
    if found and len(files) > 1:
        hint = "a LabWorkflow with flow.canvas can be run together with others"
        raise InvalidInput([Problem("", "is run alone, without other files", hint, source=it.source) for it in found])
    return found[0] if found else None


def run_document(
    document: Document, options: CanvasOptions, output: Output, home: Path | None, port: int | None
) -> None:
    """Run a canvas or protocol and exit: 0 all completed, 1 not all did, 2 refused."""
    asked = _asked(options, home, document.path)
    if document.kind is Kind.PROTOCOL:
        _check_for_protocol(options)
        from labkeeper.cli.protocol_run import run_protocol

        run_protocol(document, asked, output)
    from labkeeper.canvas.preparing import prepare

    _run(lambda: prepare(document.text, document.source, asked), options, output, asked, port)


def resume(options: CanvasOptions, output: Output, home: Path | None, port: int | None) -> None:
    """Take up a run where it ended and exit."""
    from labkeeper.canvas.preparing import prepare_again

    asked = _asked(options, home)
    _run(lambda: prepare_again(str(options.resume), asked), options, output, asked, port)


def _check_for_protocol(options: CanvasOptions) -> None:
    for name in options.given:
        if name in ("--manager", "--policies", "--export-dir"):
            raise typer.BadParameter("goes with a canvas, not with a protocol", param_hint=name)


def _asked(options: CanvasOptions, home: Path | None, beside: Path | None = None) -> Asked:
    from labkeeper.canvas.preparing import Asked

    if options.time_factor is not None and not (options.dry_run or options.resume):
        message = "goes with --dry-run: devices of a lab have their own, spec.simulate.timeFactor"
        raise typer.BadParameter(message, param_hint="--time-factor")
    return Asked(
        home=home_of(home),
        dry_run=options.dry_run,
        time_factor=options.time_factor,
        lab=options.lab,
        beside=beside,
        policies=options.policies,
        export_dir=options.export_dir,
    )


def _run(
    prepared_by: Callable[[], Prepared], options: CanvasOptions, output: Output, asked: Asked, port: int | None
) -> NoReturn:
    from labkeeper.canvas.render import Watch, ending, simulation
    from labkeeper.canvas.runs import Cancelling, carry_out, heeding_signals
    from labkeeper.render import out, tell

    try:
        prepared = prepared_by()
    except InvalidInput as error:
        refused(error, output)
    settings = prepared.settings
    for warning in prepared.plan.warnings:
        tell(f"note: {warning}")
    tell(f"run {settings.run_id}: {prepared.plan.name}, {prepared.plan.total} nodes")
    if settings.dry_run:
        factors = [it.device.spec.simulate.time_factor for it in prepared.devices.values() if it.device.spec.simulate]
        tell(simulation(factors[0] if factors else None, dry_run=True))
    cancelling = Cancelling(tell)
    manager = options.manager or Manager.NATIVE
    watch = Watch(prepared.plan, prepared.title, live=output is Output.TEXT and sys.stderr.isatty())

    def work() -> Ended:
        return carry_out(prepared, asked.home, manager, say=tell, tell=watch.take, cancelling=cancelling, port=port)

    try:
        with watch:
            ended = heeding_signals(work, cancelling)
    except LabkeeperError as error:
        raise LabkeeperError(_what_next(error, settings.run_id, settings.directory)) from error
    if output is Output.JSON:
        typer.echo(json.dumps(ended.result, indent=2))
    else:
        watch.nodes.settle(ended.result["nodes"])
        out.print(watch.nodes.table())
        for line in [*ending(ended.result), f"Result: {ended.saved}", f"Run: {settings.directory}"]:
            out.print(line, markup=False, soft_wrap=True)
    for line in ended.held:
        tell(f"{line}, and go on with: {settings.how_to_resume}")
    raise typer.Exit(0 if ended.ok else 1)


def _what_next(error: LabkeeperError, run_id: str, directory: Path) -> str:
    text = str(error)
    if "is Held" in text:
        unit = text.split("unit ", 1)[-1].split(" ", 1)[0]
        text += f"; look at the hardware, then say how it really ended: labkeeper device acknowledge {unit}"
        if directory.exists():
            text += f", and go on with: labkeeper run --resume {run_id}"
    return text
