"""Starts Prefect's own server, unchanged, with garbage collected in a thread of its own. Arguments are Prefect's.

Without this a server on SQLite stands still for 60 seconds now and then (docs/decisions/0007): the collector frees a
cursor of a failed statement in the thread of the event loop, which waits there for the connection's mutex; a worker
thread holds it, waiting for the write lock; and whoever has that lock needs the event loop to commit.
"""

from __future__ import annotations

import gc
import runpy
import threading
import time

LOOK_SECONDS = 0.2
YOUNG_OBJECTS = 10_000
"""So many new objects are looked through at once; Python's own threshold of 700 suits a collector in the way."""
YOUNG_COLLECTIONS = 100
"""After so many of these, all objects are looked through."""


def main() -> None:
    """Run `prefect` with the arguments of this process."""
    gc.disable()
    threading.Thread(target=_collect, name="garbage-collector", daemon=True).start()
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _collect() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        young, _, collections = gc.get_count()
        if collections >= YOUNG_COLLECTIONS:
            gc.collect()
        elif young >= YOUNG_OBJECTS:
            gc.collect(1)


if __name__ == "__main__":
    main()
