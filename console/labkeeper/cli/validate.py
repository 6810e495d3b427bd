"""`labkeeper validate`: everything that is wrong with manifests, canvases and protocols, at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from labkeeper.cli.options import Output, OutputOption
from labkeeper.cli.refusing import INVALID
from labkeeper_api.errors import Problem


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(help="Manifests, canvases, Opentrons protocols, or folders of them.", show_default=False),
    ],
    output: OutputOption = Output.TEXT,
) -> None:
    """Say everything that is wrong with manifests, canvases and protocols, with file, line and what would be right.

    Manifests that stand in the same folder are taken into account. Of a folder, files that hold nothing of Labkeeper's
    are passed over. Whether a protocol can run is for the robot's analysis to say: `labkeeper run` asks for it first.
    Exit code 0: sound, 2: problems.
    """
    from labkeeper import files as manifest_files
    from labkeeper import validation
    from labkeeper.canvas.checking import document_problems, sound
    from labkeeper.render import err, out, problems_text
    from labkeeper_api.catalog import builtin_catalog

    loaded = manifest_files.load(files, with_siblings=True)
    findings = validation.check(
        loaded.manifests, builtin_catalog(), beside=loaded.beside, config_maps=loaded.config_maps
    )
    other = [Problem("", "passed over: it holds nothing of Labkeeper's", source=str(p)) for p in loaded.passed_over]
    notes = [*findings.notes, *other]
    in_documents = [problem for document in loaded.documents for problem in document_problems(document)]
    problems = sorted({*loaded.problems, *findings.problems, *in_documents})
    if output is Output.JSON:
        content = {"ok": not problems, "problems": _dicts(problems), "notes": _dicts(notes)}
        typer.echo(json.dumps(content, indent=2))
    else:
        err.print(problems_text(problems, notes), soft_wrap=True)
        if not problems:
            objects = [f"{m.object.kind} {m.object.metadata.key}" for m in loaded.manifests]
            documents = [sound(document) for document in loaded.documents]
            out.print(f"sound: {', '.join(objects + documents)}", markup=False, soft_wrap=True)
    raise typer.Exit(INVALID if problems else 0)


def _dicts(problems: Iterable[Problem]) -> list[dict[str, object]]:
    return [asdict(problem) for problem in problems]
