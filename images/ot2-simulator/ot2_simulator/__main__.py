"""The command line. Imports Opentrons only after the arguments are known to be right: that takes seconds."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import tempfile
from pathlib import Path

from ot2_simulator.settings import LIQUIDS, Settings, SettingsError, isolate, parse_pipettes, read_liquids

HELP = """\
An OT-2 that is not there: answers the robot's HTTP API with Opentrons' own protocol engine behind it.

  python -m ot2_simulator                                       in real time, on port 31950
  python -m ot2_simulator --time-factor 100                     a hundred times faster
  python -m ot2_simulator --port 0 --state-dir /tmp/robot       takes a free port; read it from /tmp/robot/address
  python -m ot2_simulator --pipette right=p1000_single_gen2     refuses runs that want other pipettes

  curl -H 'Opentrons-Version: *' http://127.0.0.1:31950/health
  curl http://127.0.0.1:31950/simulator/state                   true volumes, tips and positions
  curl -d '{"data": {"kind": "fail"}}' http://127.0.0.1:31950/simulator/faults

It is ready when /health answers (or `address` is there), some seconds after it was started. SIGTERM ends it at once.
"""


def parse(arguments: list[str]) -> Settings:
    """Read the command line.

    Raises:
        SettingsError: something is wrong; argparse ends the process itself for what it finds.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ot2_simulator", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=31950, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--time-factor", type=float, default=1.0, help="how many times faster than a robot (default: 1)"
    )
    parser.add_argument(
        "--state-dir", type=Path, help="for uploaded protocols and `address` (default: a new temporary folder)"
    )
    parser.add_argument(
        "--pipette",
        action="append",
        default=[],
        metavar="MOUNT=NAME",
        help="what is mounted (default: anything asked for)",
    )
    parser.add_argument(
        "--liquids",
        type=Path,
        metavar="FILE",
        help=f"JSON of what is in the wells of new labware (default: {LIQUIDS} in the state directory)",
    )
    parser.add_argument(
        "--no-door-switch", action="store_true", help="let runs go on while the door is open, as OT-2s do unless told"
    )
    parser.add_argument(
        "--strict-tip-racks",
        action="store_true",
        help="refuse tips from racks of fewer than 96, as robots do since 8.3 (default: take them, as until 8.2)",
    )
    parser.add_argument("--verbose", action="store_true", help="log what Opentrons says, too")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        raise SettingsError(f"--port {options.port}: a port is 0 to 65535")
    if not 1e-3 <= options.time_factor <= 1e6:
        raise SettingsError(f"--time-factor {options.time_factor:g}: write a number from 0.001 to 1000000")
    pipettes = parse_pipettes(options.pipette)
    state_dir = options.state_dir or Path(tempfile.mkdtemp(prefix="ot2-simulator-"))
    liquids = options.liquids or state_dir / LIQUIDS
    supplies = read_liquids(liquids) if options.liquids is not None or liquids.exists() else {}
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Opentrons logs a traceback for every command that fails; why it failed is in the answer, where it belongs.
    logging.getLogger("opentrons").setLevel(logging.DEBUG if options.verbose else logging.CRITICAL)
    # Uvicorn logs one for every request that a reboot ends; our own handler logs those that matter.
    logging.getLogger("uvicorn").setLevel(logging.DEBUG if options.verbose else logging.CRITICAL)
    logging.getLogger("ot2_simulator").setLevel(logging.DEBUG if options.verbose else logging.INFO)
    return Settings(
        host=options.host,
        port=options.port,
        time_factor=options.time_factor,
        state_dir=state_dir,
        pipettes=pipettes,
        liquids=supplies,
        door_switch=not options.no_door_switch,
        small_tip_racks=not options.strict_tip_racks,
    )


def main(arguments: list[str] | None = None) -> int:
    """Start the simulator; returns only when it could not be started (2)."""
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        isolate(settings)
    except (SettingsError, OSError) as error:
        return complain(str(error))
    # Opentrons builds thousands of models while it is imported, all to stay: looking for garbage costs a tenth of it.
    gc.disable()
    from ot2_simulator.hardware import check_pipettes
    from ot2_simulator.server import listen, run

    gc.freeze()
    gc.enable()
    try:
        check_pipettes(settings.pipettes)
        sock = listen(settings.host, settings.port)
    except SettingsError as error:
        return complain(str(error))
    except OSError as error:
        return complain(f"cannot listen on {settings.host}:{settings.port}: {error}")
    run(settings, sock)
    return 0


def complain(message: str) -> int:
    """Say why there will be no simulator; the exit code for that."""
    sys.stderr.write(f"ot2-simulator: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
