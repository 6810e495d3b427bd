"""A simulator as a process: its folder, its lock, its control socket and the loop that waits for all of them.

It sleeps in one `select` and wakes only when bytes, a request, a signal or something that is due come: without clients
it uses no CPU. Not for any instrument, nor for starting the process from elsewhere (`launch`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from labkeeper_devices.simulators.common.control import Commands, answer
from labkeeper_devices.simulators.common.paths import CONTROL, LOCK, Kind, short_address

SEND_TIMEOUT: Final = 2.0
LONGEST_REQUEST: Final = 65536


class AlreadyRunningError(Exception):
    """Another simulator holds the folder."""


@contextlib.contextmanager
def exclusive(folder: Path, kind: Kind) -> Iterator[None]:
    """Hold the folder for one simulator. Raises `AlreadyRunningError`."""
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode() or "unknown"
            os.close(descriptor)
            raise AlreadyRunningError(f"another {kind.name} simulator (pid {holder}) runs in {folder}") from None
        # The previous holder may have removed the file between our open and our lock: then it protects nothing.
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            break
        os.close(descriptor)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def announce(description: dict[str, Any]) -> None:
    """Say on standard output that the simulator is ready."""
    print(json.dumps(description), flush=True)


class Host:
    """One simulator in one folder. `describe` gives what stands in its description file besides what is common."""

    def __init__(
        self, folder: Path, kind: Kind, commands: Callable[[], Commands], describe: Callable[[], dict[str, Any]]
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._commands = commands
        self._extra = describe
        self._selector = selectors.DefaultSelector()
        self._connections: set[socket.socket] = set()
        self._started_at = time.time()
        self._running = True

    def describe(self) -> dict[str, Any]:
        """What stands in the description file."""
        return {
            "pid": os.getpid(),
            "control": str(self._folder / CONTROL),
            "started_at": self._started_at,
            **self._extra(),
        }

    def run(
        self,
        ready: Callable[[dict[str, Any]], None],
        begin: Callable[[contextlib.ExitStack], None],
        due: Callable[[], float | None],
    ) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once with the description.

        `begin` opens what the instrument is reached by; `due` does what is due and says in how many seconds the next
        thing is, None for never.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._selector.close)
            stack.callback(self._close_connections)
            self._watch_signals(stack)
            begin(stack)
            self._listen(stack)
            stack.callback((self._folder / self._kind.description).unlink, missing_ok=True)
            self.write_description(first=True)
            ready(self.describe())
            while self._running:
                for key, _ in self._selector.select(due()):
                    key.data()

    def watch(self, descriptor: int | socket.socket, arrived: Callable[[], object]) -> None:
        """Call `arrived` whenever there is something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, arrived)

    def unwatch(self, descriptor: int | socket.socket) -> None:
        """Do so no more."""
        self._selector.unregister(descriptor)

    def write_description(self, *, first: bool = False) -> None:
        """Write the description file; when it is not the first time, only if the file is there."""
        path = self._folder / self._kind.description
        if not first and not path.exists():
            return
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(self.describe(), indent=1) + "\n")
        fresh.replace(path)

    def _watch_signals(self, stack: contextlib.ExitStack) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.watch(reading, lambda: os.read(reading, 64))

    def _stop(self, *_: object) -> None:
        self._running = False

    def _listen(self, stack: contextlib.ExitStack) -> None:
        listener = listening(self._folder, CONTROL, stack)
        self.watch(listener, lambda: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(SEND_TIMEOUT)
        self._connections.add(connection)
        pending = bytearray()
        self.watch(connection, lambda: self._serve(connection, pending))

    def _serve(self, connection: socket.socket, pending: bytearray) -> None:
        commands = {"describe": lambda _: self.describe(), **self._commands()}
        try:
            chunk = connection.recv(LONGEST_REQUEST)
            pending += chunk
            while b"\n" in pending:
                line, _, rest = bytes(pending).partition(b"\n")
                pending[:] = rest
                connection.sendall(answer(line, commands))
        except OSError as error:
            print(f"control connection lost: {error}", file=sys.stderr, flush=True)
            chunk = b""
        if not chunk or len(pending) > LONGEST_REQUEST:
            self.unwatch(connection)
            self._connections.discard(connection)
            connection.close()

    def _close_connections(self) -> None:
        for connection in self._connections:
            connection.close()


def listening(folder: Path, name: str, stack: contextlib.ExitStack) -> socket.socket:
    """A Unix socket that listens in the folder, for this user only, until the stack is closed."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    path = folder / name
    path.unlink(missing_ok=True)
    stack.callback(path.unlink, missing_ok=True)
    with short_address(folder, name) as address:
        listener.bind(address)
    path.chmod(0o600)
    listener.listen()
    return listener
