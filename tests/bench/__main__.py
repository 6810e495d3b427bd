"""`python -m tests.bench [NAME]`: runs one benchmark or all; exit code 1 when a goal was missed or a peer failed."""

from __future__ import annotations

import argparse
import importlib
import sys

from tests.bench.harness import Row, report

NAMES = ("canvas", "dispatch", "reconcile")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES, help="one benchmark; all when not given")
    parser.add_argument("--quick", action="store_true", help="few repetitions, to try the benchmark itself")
    arguments = parser.parse_args()
    met = True
    for name in [arguments.name] if arguments.name else NAMES:
        rows: list[Row] = importlib.import_module(f"tests.bench.{name}").run(quick=arguments.quick)
        met = report(name, rows) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
