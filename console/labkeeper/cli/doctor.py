"""`labkeeper doctor`: what of the surroundings is missing."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from labkeeper.cli.options import HomeOption, Output, OutputOption, home_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(output: OutputOption = Output.TEXT, home: HomeOption = None) -> None:
    """Say what this machine has and what is missing, for the embedded lab, for hardware and for a cluster.

    Exit code 1 if something is missing that the embedded lab needs.
    """
    from rich.text import Text

    from labkeeper.cli.prefect_environment import prepare
    from labkeeper.render import out

    prepare(home_of(home))
    from labkeeper.surroundings import Verdict, examine

    findings = examine(home_of(home))
    broken = any(finding.verdict is Verdict.MISSING for finding in findings)
    if output is Output.JSON:
        typer.echo(json.dumps({"ok": not broken, "findings": [asdict(finding) for finding in findings]}, indent=2))
        raise typer.Exit(1 if broken else 0)
    styles = {Verdict.OK: "green", Verdict.MISSING: "bold red", Verdict.OPTIONAL: "yellow"}
    for finding in findings:
        mark = {Verdict.OK: "ok", Verdict.MISSING: "missing", Verdict.OPTIONAL: "not here"}[finding.verdict]
        hint = f" ({finding.hint})" if finding.hint else ""
        line = Text(f"{mark:>8} ", style=styles[finding.verdict])
        out.print(line.append(f"{finding.what}: {finding.found}{hint}", style="default"), soft_wrap=True)
    raise typer.Exit(1 if broken else 0)
