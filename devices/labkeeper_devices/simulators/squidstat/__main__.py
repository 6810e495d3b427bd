"""`python -m labkeeper_devices.simulators.squidstat`: run a simulated potentiostat until it is told to end (SIGTERM).

Prints one JSON line when it is ready. Exits with 2 when its folder is taken or an option is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkeeper_devices.simulators.common.host import AlreadyRunningError, announce, exclusive
from labkeeper_devices.simulators.squidstat.paths import KIND
from labkeeper_devices.simulators.squidstat.process import Options, Process


def parse(arguments: list[str] | None = None) -> Options:
    """The options of the command line; exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(prog="labkeeper-potentiostat", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for its sockets and lock")
    parser.add_argument("--time-factor", type=float, default=1.0, help="times faster than real time")
    parser.add_argument("--channels", type=int, default=4, help="how many channels, each with a cell")
    parser.add_argument("--seed", type=int, default=1, help="of the noise: the same gives the same data")
    parser.add_argument("--voltage-limit", type=float, default=2.0, help="V that it can apply, both ways")
    parser.add_argument("--current-limit", type=float, default=0.1, help="A that it can drive, both ways")
    given = parser.parse_args(arguments)
    if not 0 < given.time_factor <= 1000:
        parser.error("--time-factor must be above 0 and at most 1000")
    if not 1 <= given.channels <= 64:
        parser.error("--channels must be between 1 and 64")
    if given.voltage_limit <= 0 or given.current_limit <= 0:
        parser.error("--voltage-limit and --current-limit must be above 0")
    options = vars(given) | {"state_dir": given.state_dir.absolute()}
    return Options(**options)


def main() -> int:
    """Run until told to end; the exit code."""
    options = parse()
    options.state_dir.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(options.state_dir, KIND):
            Process(options).run(announce)
    except AlreadyRunningError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
