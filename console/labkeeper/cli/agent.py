"""`labkeeper agent run`: the agent of one unit, on the host that has the hardware."""

from __future__ import annotations

import logging
import platform
from pathlib import Path
from typing import Annotated

import typer

from labkeeper.cli.options import HomeOption, home_of

app = typer.Typer(
    help="The device agent: owns a unit's hardware and carries out its runs.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _agent() -> None:
    """The device agent: owns a unit's hardware and carries out its runs."""


@app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="Manifest with the LabDevice.", exists=True, dir_okay=False)],
    device: Annotated[
        str | None, typer.Option(help="Name of the LabDevice, where the manifest has several.", show_default=False)
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="Work pool in Prefect. Default: that of the LabPool in the manifest or beside it.",
            show_default=False,
        ),
    ] = None,
    node: Annotated[str, typer.Option(help="Name of this host in the unit's name.")] = platform.node(),
    folder: Annotated[
        Path | None, typer.Option(help="What paths in the manifest are relative to.", show_default=False)
    ] = None,
    drain_seconds: Annotated[
        float, typer.Option(help="On SIGTERM, how long the command under way may still take.")
    ] = 60.0,
    home: HomeOption = None,
) -> None:
    """Run the agent of one unit until SIGTERM or Ctrl-C.

    The Prefect server is the one that PREFECT_API_URL names. SIGUSR1 is the emergency stop.
    """
    from labkeeper import files as manifest_files
    from labkeeper.cli.prefect_environment import prepare
    from labkeeper_api.errors import InvalidInput, LabkeeperError
    from labkeeper_api.kinds import LabDevice, LabPool
    from labkeeper_api.wire import unit_name

    prepare(home_of(home))
    from labkeeper_devices.agent.agent import AgentSettings
    from labkeeper_devices.agent.host import UnitDirectory
    from labkeeper_devices.agent.launch import run_agent

    loaded = manifest_files.load([file], with_siblings=pool is None)
    if loaded.problems:
        raise InvalidInput(loaded.problems)
    found = [m.object for m in loaded.manifests if isinstance(m.object, LabDevice)]
    chosen = [d for d in found if device in (None, d.metadata.name)]
    if len(chosen) != 1:
        names = ", ".join(d.metadata.name for d in found) or "none"
        raise LabkeeperError(f"{file} must name exactly one LabDevice for --device {device}; it has {names}")
    spec = chosen[0].spec
    pools = [m.object for m in loaded.all if isinstance(m.object, LabPool)]
    named = [p.prefect_name for p in pools if p.metadata.name == spec.pool]
    name = pool or next(iter(named), None)
    if name is None:
        raise LabkeeperError(f"LabPool {spec.pool!r} is not in {file} or beside it: give the work pool with --pool")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    unit = unit_name(chosen[0].metadata.namespace, chosen[0].metadata.name, node)
    run_agent(
        chosen[0],
        AgentSettings(unit=unit, pool=name, queues=tuple(spec.queues), drain_seconds=drain_seconds),
        UnitDirectory.of(home_of(home), unit),
        (folder or file.parent).resolve(),
    )
