"""Run a simulator that outlives, for a while, the process that started it: hardware does not vanish with a program.

Usage: outliving.py PARENT_PID LOCK SECONDS RECORD PROGRAM ARGUMENT...

Once the parent is gone, however it ended, the program goes on while some process locks the file LOCK (the agent of the
unit does), and for SECONDS more; so whoever resumes what was cut off finds the world as it was. The file RECORD says
which process to send TERM to, which ends it at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")
LOOK_SECONDS = 0.25
END_SECONDS = 10.0


def main(parent: int, lock: Path, seconds: float, record: Path, argv: list[str]) -> int:
    """Run the program; its exit code."""
    # Here and not in the parent, which may be killed before it gets to that.
    fresh = record.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"pid": os.getpid(), "argv": argv}), encoding="utf-8")
    fresh.replace(record)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    # Should this process be killed, the program is to end and not to be left alone.
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(signal.SIGTERM))]
    program = subprocess.Popen([*launcher, *argv])
    last_used = time.monotonic()
    while program.poll() is None and not ended:
        if os.getppid() == parent or _locked(lock):
            last_used = time.monotonic()
        elif time.monotonic() - last_used > seconds:
            break
        time.sleep(LOOK_SECONDS)
    program.terminate()
    try:
        return program.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        return program.wait()


def _locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:]))
