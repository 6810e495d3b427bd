"""Run a server as a child of the tests: start it, wait until it is ready, end it, and leave nothing behind.

Three nets, each for what the one before cannot catch: `stop()`, `atexit` when nobody called it, and a death
signal from the kernel when this process is killed with -9. Short commands are for
`subprocess.run`.
"""

from __future__ import annotations

import atexit
import functools
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.support.waiting import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SPAWNER_THREAD = "labkeeper-spawner"

_LAUNCHER = Path(__file__).with_name("launcher.py")
_TAIL_BYTES = 64 * 1024
_KILL_GRACE = 10.0


class ProcessFailedError(RuntimeError):
    """A server did not start, ended by itself or does not end; the message shows the end of its log."""


class ManagedProcess:
    """One server process. The same object can be started again after it ended; its log is continued.

    It runs in a session of its own, so a Ctrl-C on the terminal reaches only the tests. `detached` is for a
    process that is to outlive this one: then there is no net below it.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        detached: bool = False,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._detached = detached
        self._log_start = 0
        self._popen: subprocess.Popen[bytes] | None = None
        self._handle: psutil.Process | None = None

    def start(self) -> None:
        """Start the program. Returns at once: `wait_ready` waits."""
        if self.running:
            raise ProcessFailedError(f"{self.name} runs already, as process {self.pid}")
        if shutil.which(self.argv[0]) is None:
            raise ProcessFailedError(f"{self.name}: there is no program {self.argv[0]}")
        argv = self.argv if self._detached else [*_launcher_argv(), *self.argv]
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            popen = _spawner_of(os.getpid()).run(
                lambda: subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                )
            )
        self._popen = popen
        self._handle = psutil.Process(popen.pid)
        if not self._detached:
            _living[popen.pid] = (os.getpid(), self)

    @property
    def running(self) -> bool:
        """Whether the process lives, frozen or not."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process; it must have been started."""
        return self.handle.pid

    @property
    def handle(self) -> psutil.Process:
        """The process as psutil sees it: this one, even if its id is given to another later."""
        if self._handle is None:
            raise ProcessFailedError(f"{self.name} was not started")
        return self._handle

    def wait_ready(self, missing: Callable[[], str], timeout: float, interval: float = 0.1) -> None:
        """Wait until `missing` returns an empty text. What it returned last is in the error of a timeout."""
        timeout = patient(timeout)
        deadline = time.monotonic() + timeout
        while lacks := missing():
            self.check_running()
            if time.monotonic() >= deadline:
                raise self.failure(f"is not ready after {timeout:g} s: {lacks}")
            time.sleep(interval)
        self.check_running()  # or another server answered on the same port

    def check_running(self) -> None:
        """Raise with the end of the log if the process is gone."""
        if self._popen is None or (code := self._popen.poll()) is None:
            return
        raise self.failure(f"ended by itself with exit code {code}")

    def failure(self, what: str) -> ProcessFailedError:
        """An error about this process that shows the end of its log."""
        return ProcessFailedError(f"{self.name} {what}; the end of {self.log}:\n{self.log_tail()}")

    def stop(self, grace: float = 20.0) -> int | None:
        """Ask it to end (TERM), after `grace` seconds make it (KILL). Returns its exit code."""
        return self._end(lambda: end_tree(self.handle, grace))

    def kill(self) -> int | None:
        """End it with -9, as a crash or a lost machine does."""
        return self._end(lambda: end_tree(self.handle, 0.0))

    def _end(self, end: Callable[[], None]) -> int | None:
        if self._popen is None:
            return None
        if self._popen.poll() is None:
            end()
        _living.pop(self._popen.pid, None)
        return self._popen.wait(_KILL_GRACE)

    def freeze(self) -> None:
        """Suspend it (STOP): its connections stay open and nothing answers, as when a machine hangs."""
        self.check_running()
        self.handle.suspend()
        self._wait_status(frozen=True)

    def thaw(self) -> None:
        """Let a frozen process go on (CONT)."""
        self.check_running()
        self.handle.resume()
        self._wait_status(frozen=False)

    def _wait_status(self, *, frozen: bool) -> None:
        deadline = time.monotonic() + _KILL_GRACE
        while (self.handle.status() == psutil.STATUS_STOPPED) is not frozen:
            if time.monotonic() >= deadline:
                raise self.failure(f"did not become {'frozen' if frozen else 'thawed'}")
            time.sleep(0.005)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines that it wrote since its last start."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing)"


def end_tree(root: psutil.Process, grace: float) -> None:
    """End one process and what it started: TERM to the process, after `grace` seconds KILL to all that lives.

    Each process is known by its id and its start time, so a reused id is never hit.
    """
    tree = [root, *descendants(root)]
    if grace > 0:
        _send(root, signal.SIGTERM)
        _send(root, signal.SIGCONT)  # a frozen process takes the TERM only when it goes on
        wait_gone([root], grace)
    for process in tree:
        _send(process, signal.SIGKILL)
    if left := wait_gone(tree, _KILL_GRACE):
        raise ProcessFailedError(f"processes {[process.pid for process in left]} live on after KILL")


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until they ended (a zombie has ended too); those that live on when time is up."""
    deadline = time.monotonic() + timeout
    left = list(processes)
    while left := [process for process in left if is_alive(process)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.02)
    return left


def is_alive(process: psutil.Process) -> bool:
    """Whether this very process still does something, or could."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """All that the process started and that still runs below it."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        if is_alive(process):
            process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended between the two calls, which is what the signal is for


def _launcher_argv() -> list[str]:
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]


class _Spawner:
    """Starts all processes from one thread that never ends.

    For the kernel the "parent" whose death sends the signal is the thread that forked: a server that was
    started from a worker thread (`asyncio.to_thread`) would die with that thread.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=SPAWNER_THREAD, daemon=True).start()

    def run(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        result: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((spawn, result))
        return result.result()

    def _serve(self) -> None:
        while True:
            spawn, result = self._requests.get()
            try:
                result.set_result(spawn())
            except Exception as error:  # noqa: BLE001 (handed to the thread that asked, which raises it)
                result.set_exception(error)
            del spawn, result


if TYPE_CHECKING:
    _Request = tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]


@functools.lru_cache(maxsize=1)
def _spawner_of(pid: int) -> _Spawner:  # by process id: threads do not survive a fork
    return _Spawner()


_living: dict[int, tuple[int, ManagedProcess]] = {}
"""Every attached process by its id, with the id of the process that started it: only that one may end it."""


@atexit.register
def _end_living() -> None:
    for owner, process in list(_living.values()):
        if owner == os.getpid():
            process.stop(grace=5.0)
