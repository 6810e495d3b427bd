"""Become another program that dies with the process that started it. A script of `processes.py`.

Usage: launcher.py PARENT_PID PROGRAM ARGUMENT...

The death signal is asked for here, after the fork, because `preexec_fn` may deadlock in a parent that has
threads. It outlives `exec`. Elsewhere than on Linux there is no such signal: the program is only started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent ends, however it ends."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the signal was asked for
        sys.exit(f"the parent process {parent} ended before {sys.argv[2]} could start")


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is what we want)
