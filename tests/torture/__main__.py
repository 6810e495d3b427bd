"""`python -m tests.torture [NAME] [--seed N] [--count N]`: exit code 1 if anything was lost or doubled."""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys

NAMES = {"agent-kill": "tests.torture.agent_kill", "canvas-kill": "tests.torture.canvas_kill"}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(NAMES), help="one run; all when not given")
    parser.add_argument("--seed", type=int, default=None, help="repeat the random choices of an earlier run")
    parser.add_argument("--count", type=int, default=None, help="how many faults; the run's own default otherwise")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**32)
    good = True
    for name in [arguments.name] if arguments.name else sorted(NAMES):
        counts = importlib.import_module(NAMES[name]).run(seed=seed, count=arguments.count)
        for note in counts.notes:
            print(note)
        print(f"{name} seed={seed} {counts}", flush=True)
        good = good and counts.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
