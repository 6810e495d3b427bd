"""`labkeeper flows`: what `flow.name` of a LabWorkflow may say."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from labkeeper.cli.options import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("flows")(flows)


def complete_flow(incomplete: str) -> list[str]:
    """Names of the catalog, for shell completion."""
    from labkeeper_api.catalog import builtin_catalog

    return [name for name in builtin_catalog().names() if name.startswith(incomplete)]


def flows(
    name: Annotated[
        str | None,
        typer.Argument(help="One flow, to see its parameters.", autocompletion=complete_flow, show_default=False),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the flows of the catalog, or the parameters of one."""
    from rich.table import Table

    from labkeeper.render import out
    from labkeeper_api.catalog import builtin_catalog
    from labkeeper_api.errors import LabkeeperError
    from labkeeper_api.suggestions import did_you_mean

    catalog = builtin_catalog()
    entry = catalog.get(name) if name else None
    if name and entry is None:
        raise LabkeeperError(f"the catalog has no flow {name!r}: {did_you_mean(name, catalog.names())}")
    if output is Output.JSON:
        content = entry.model_dump() if entry else [e.model_dump() for e in catalog.entries]
        typer.echo(json.dumps(content, indent=2))
        return
    table = Table(header_style="bold")
    if entry is None:
        for column in ("Flow", "Runs on", "Moves hardware", "What it does"):
            table.add_column(column)
        for item in catalog.entries:
            table.add_row(item.name, f"{item.pool_type} pool", "yes" if item.physical else "no", item.description)
    else:
        for column in ("Parameter", "Required", "Default", "Meaning"):
            table.add_column(column)
        required = entry.parameter_schema.get("required", [])
        for parameter, schema in entry.parameter_schema["properties"].items():
            default = json.dumps(schema["default"]) if "default" in schema else ""
            table.add_row(parameter, "yes" if parameter in required else "no", default, schema.get("description", ""))
        out.print(f"{entry.name}: {entry.description}", markup=False)
    out.print(table)
