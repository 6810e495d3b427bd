"""`labkeeper agent run`: the agent of one unit, on the host that has the hardware."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkeeper.cli.options import HomeOption, home_of
from labkeeper_api.errors import InvalidInput, LabkeeperError

if TYPE_CHECKING:
    from labkeeper_api.kinds.labdevice import LabDeviceSpec
    from labkeeper_api.manifests import Manifest

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
    prefect: Annotated[
        bool,
        typer.Option(
            "--prefect/--no-prefect",
            help="Whether to claim runs from Prefect. Without, the unit serves only programs on this host.",
        ),
    ] = True,
    home: HomeOption = None,
) -> None:
    """Run the agent of one unit until SIGTERM or Ctrl-C.

    The Prefect server is the one that PREFECT_API_URL names. SIGUSR1 is the emergency stop.
    """
    from labkeeper import files as manifest_files
    from labkeeper.cli.prefect_environment import prepare
    from labkeeper_api.kinds import LabDevice
    from labkeeper_api.wire import unit_name

    prepare(home_of(home))
    from labkeeper_devices.agent.agent import AgentSettings
    from labkeeper_devices.agent.host import UnitDirectory
    from labkeeper_devices.agent.launch import run_agent

    if not prefect and pool is not None:
        raise LabkeeperError("--pool is where runs come from, and with --no-prefect there are none: give only one")
    loaded = manifest_files.load([file], with_siblings=prefect and pool is None)
    if loaded.problems:
        raise InvalidInput(loaded.problems)
    found = [m.object for m in loaded.manifests if isinstance(m.object, LabDevice)]
    chosen = [d for d in found if device in (None, d.metadata.name)]
    if len(chosen) != 1:
        names = ", ".join(d.metadata.name for d in found) or "none"
        raise LabkeeperError(f"{file} must name exactly one LabDevice for --device {device}; it has {names}")
    spec = chosen[0].spec
    name = (pool or _pool_of(spec, loaded.all, file)) if prefect else None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    unit = unit_name(chosen[0].metadata.namespace, chosen[0].metadata.name, node)
    run_agent(
        chosen[0],
        AgentSettings(unit=unit, pool=name, queues=tuple(spec.queues), drain_seconds=drain_seconds),
        UnitDirectory.of(home_of(home), unit),
        (folder or file.parent).resolve(),
    )


def _pool_of(spec: LabDeviceSpec, manifests: Sequence[Manifest], file: Path) -> str:
    """The work pool of the LabDevice's LabPool."""
    from labkeeper_api.kinds import LabPool

    pools = [m.object for m in manifests if isinstance(m.object, LabPool)]
    named = [p.prefect_name for p in pools if p.metadata.name == spec.pool]
    if not named:
        raise LabkeeperError(
            f"LabPool {spec.pool!r} is not in {file} or beside it: give the work pool with --pool, or --no-prefect to "
            "serve programs on this host only"
        )
    return named[0]
