"""`python -m labkeeper_devices.simulators.servo`: run a simulated servo until it is told to end (SIGTERM).

Prints one JSON line when it is ready. Exits with 2 when its folder is taken or an option is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkeeper_devices.simulators.common.host import AlreadyRunningError, announce, exclusive
from labkeeper_devices.simulators.servo.paths import KIND
from labkeeper_devices.simulators.servo.process import Options, Process
from labkeeper_devices.simulators.servo.table import BAUDRATES, MODELS


def parse(arguments: list[str] | None = None) -> Options:
    """The options of the command line; exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(prog="labkeeper-servo", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for its port, sockets and lock")
    parser.add_argument("--id", type=int, default=1, help="id on the bus, 0 to 252")
    parser.add_argument("--baudrate", type=int, default=57600, choices=BAUDRATES[:-1], help="bits per second")
    parser.add_argument("--time-factor", type=float, default=1.0, help="times faster than real time")
    parser.add_argument("--position", type=float, default=0.0, help="where the shaft stands at first, in degrees")
    parser.add_argument("--model", default="xm430-w350", choices=sorted(MODELS), help="servo to simulate")
    given = parser.parse_args(arguments)
    if not 0 <= given.id <= 252:
        parser.error("--id must be between 0 and 252")
    if not 0 < given.time_factor <= 1000:
        parser.error("--time-factor must be above 0 and at most 1000")
    return Options(
        state_dir=given.state_dir.absolute(),
        servo_id=given.id,
        baudrate=given.baudrate,
        time_factor=given.time_factor,
        position=given.position,
        model=given.model,
    )


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
