"""Become another program that ends when the process that started it ends, however that ends.

Usage: launcher.py PARENT_PID SIGNAL PROGRAM ARGUMENT...

The death signal is asked for here, after the fork: `preexec_fn` may deadlock in a parent that has threads. It outlives
`exec`. Elsewhere than on Linux there is no such signal, and the program is only started.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, number: int, argv: list[str]) -> None:
    """Have the kernel send that signal when the parent is gone, then become the program."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            sys.exit(f"process {parent} ended before {argv[0]} could start")
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
