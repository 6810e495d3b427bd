"""`python -m labkeeper_devices.simulators.arduino`: run a simulated board until it is told to end (SIGTERM).

Prints one JSON line when it is ready. Exits with 2 when its folder is taken or an option is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkeeper_devices.simulators.arduino.paths import KIND
from labkeeper_devices.simulators.arduino.process import Options, Process
from labkeeper_devices.simulators.common.host import AlreadyRunningError, announce, exclusive


def parse(arguments: list[str] | None = None) -> Options:
    """The options of the command line; exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(prog="labkeeper-board", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for its port, sockets and lock")
    parser.add_argument("--time-factor", type=float, default=1.0, help="times faster than real time")
    parser.add_argument("--baudrate", type=int, default=9600, help="bits per second")
    parser.add_argument("--flows", type=_flows, default=(1.0, 1.0, 1.0), help="mL/s of each pump, by commas")
    parser.add_argument("--baths", type=int, default=1, help="how many ultrasonic baths")
    parser.add_argument("--bases", type=int, default=1, help="how many heated bases")
    given = parser.parse_args(arguments)
    if not 0 < given.time_factor <= 1000:
        parser.error("--time-factor must be above 0 and at most 1000")
    if not (0 <= given.baths <= 16 and 0 <= given.bases <= 16):
        parser.error("--baths and --bases must be between 0 and 16")
    options = vars(given) | {"state_dir": given.state_dir.absolute()}
    return Options(**options)


def _flows(text: str) -> tuple[float, ...]:
    flows = tuple(float(word) for word in text.split(",") if word)
    if len(flows) > 16 or any(not 0 < flow <= 100 for flow in flows):
        raise argparse.ArgumentTypeError("at most 16 values above 0 and at most 100")
    return flows


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
