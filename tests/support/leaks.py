"""Threads and child processes that a test leaves behind. Tasks, sockets and files are not its matter."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tests.support.processes import SPAWNER_THREAD, ProcessFailedError, descendants, wait_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_LASTING_THREADS = (
    SPAWNER_THREAD,
    # Prefect's client starts these once per process, on first use, and never ends them.
    "GlobalEventLoopThread",
    "RunSyncEventLoopThread",
    "APILogWorkerThread",
    "EventsWorkerThread",
)

_PATIENCE = 3.0
"""Seconds that threads and children get to end by themselves after a test, for what was only just told to."""


class LeakError(AssertionError):
    """A test left something running."""


@dataclass(frozen=True)
class Snapshot:
    """What runs at one moment in this process and below it."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]

    @classmethod
    def take(cls) -> Snapshot:
        """Now."""
        return cls(frozenset(threading.enumerate()), frozenset(descendants(psutil.Process(os.getpid()))))


def check(before: Snapshot, lasting: Callable[[], Collection[int]], patience: float = _PATIENCE) -> None:
    """Raise `LeakError` if more runs than `before`, once `patience` is over; children that leaked are killed.

    `lasting` gives the ids of processes that are to outlive the test.
    """
    deadline = time.monotonic() + patience
    while True:
        now = Snapshot.take()
        threads = [thread for thread in now.threads - before.threads if not _lasts(thread)]
        allowed = lasting()
        children = [child for child in now.children - before.children if child.pid not in allowed]
        if not threads and not children:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    names = [f"thread {thread.name}{' (daemon)' if thread.daemon else ''}" for thread in threads]
    names += [f"process {child.pid}: {_describe(child)}" for child in children]
    _kill(children)
    raise LeakError("the test left running:\n  " + "\n  ".join(names))


def _lasts(thread: threading.Thread) -> bool:
    return thread.name.startswith(_LASTING_THREADS)


def _describe(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"{process.name()} ended, but nobody waited for it"
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "ended just now"


def _kill(children: list[psutil.Process]) -> None:
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    if left := wait_gone(children, 10.0):
        raise ProcessFailedError(f"leaked processes {[child.pid for child in left]} live on after KILL")
