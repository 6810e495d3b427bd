"""The simulator as a process: its folder, its lock, its sockets and the loop that waits for all of them.

It sleeps in one `select` and wakes only when bytes, a request, a signal or a held-back answer are due: without clients
it uses no CPU. Not for the servo (`motor`) nor for starting the process from elsewhere (`launch`).
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labkeeper_devices.simulators.servo.control import Control
from labkeeper_devices.simulators.servo.line import Line
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.paths import CONTROL, DESCRIPTION, LOCK, PORT, short_address
from labkeeper_devices.simulators.servo.port import PseudoPort
from labkeeper_devices.simulators.servo.table import BAUDRATES, MODELS

SEND_TIMEOUT: Final = 2.0
LONGEST_REQUEST: Final = 65536


class AlreadyRunningError(Exception):
    """Another simulator holds the folder."""


@dataclass(frozen=True)
class Options:
    """How the servo is to be."""

    state_dir: Path
    servo_id: int = 1
    baudrate: int = 57600
    time_factor: float = 1.0
    position: float = 0.0
    model: str = "xm430-w350"


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for one simulator. Raises `AlreadyRunningError`."""
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode() or "unknown"
            os.close(descriptor)
            raise AlreadyRunningError(f"another servo simulator (pid {holder}) runs in {folder}") from None
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


class Process:
    """One simulator in one folder."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = options.state_dir
        self._epoch = time.monotonic()
        self._port = PseudoPort(self._folder / PORT)
        self._line = Line(self._port, self._new_motor(options.position), self._simulated)
        self._control = Control(self._line, self._simulated, self._describe, self._watch_port, self._new_motor)
        self._selector = selectors.DefaultSelector()
        self._watched: int | None = None
        self._connections: set[socket.socket] = set()
        self._started_at = time.time()
        self._running = True

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once with what stands in `servo.json`."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._selector.close)
            stack.callback(self._close_connections)
            self._watch_signals(stack)
            stack.callback(self._port.unplug)
            self._port.plug()
            self._watch_port()
            self._listen(stack)
            stack.callback((self._folder / DESCRIPTION).unlink, missing_ok=True)
            self._write_description()
            ready(self._describe())
            while self._running:
                for key, _ in self._selector.select(self._line.send_due()):
                    key.data()

    def _new_motor(self, position: float) -> Motor:
        options = self._options
        motor = Motor(
            MODELS[options.model],
            servo_id=options.servo_id,
            position=position,
            now=self._simulated(),
            time_factor=options.time_factor,
        )
        motor.table["baud_rate"] = BAUDRATES.index(options.baudrate)
        return motor

    def _simulated(self) -> float:
        return (time.monotonic() - self._epoch) * self._options.time_factor

    def _describe(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "port": str(self._port.link),
            "pty": self._port.path,
            "control": str(self._folder / CONTROL),
            "model": MODELS[self._options.model].name,
            "id": self._options.servo_id,
            "baudrate": self._options.baudrate,
            "time_factor": self._options.time_factor,
            "started_at": self._started_at,
        }

    def _write_description(self) -> None:
        fresh = self._folder / f"{DESCRIPTION}.new"
        fresh.write_text(json.dumps(self._describe(), indent=1) + "\n")
        fresh.replace(self._folder / DESCRIPTION)

    def _watch_signals(self, stack: contextlib.ExitStack) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._selector.register(reading, selectors.EVENT_READ, lambda: os.read(reading, 64))

    def _stop(self, *_: object) -> None:
        self._running = False

    def _watch_port(self) -> None:
        """Follow the port after it was plugged in or unplugged."""
        if self._watched is not None:
            self._selector.unregister(self._watched)
            self._watched = None
        if self._port.plugged:
            self._watched = self._port.fileno()
            self._selector.register(self._watched, selectors.EVENT_READ, self._line.receive)
            if (self._folder / DESCRIPTION).exists():
                self._write_description()

    def _listen(self, stack: contextlib.ExitStack) -> None:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        path = self._folder / CONTROL
        path.unlink(missing_ok=True)
        stack.callback(path.unlink, missing_ok=True)
        with short_address(self._folder, CONTROL) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(SEND_TIMEOUT)
        self._connections.add(connection)
        pending = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._serve(connection, pending))

    def _serve(self, connection: socket.socket, pending: bytearray) -> None:
        try:
            chunk = connection.recv(LONGEST_REQUEST)
            pending += chunk
            while b"\n" in pending:
                line, _, rest = bytes(pending).partition(b"\n")
                pending[:] = rest
                connection.sendall(self._control.answer(line))
        except OSError as error:
            print(f"control connection lost: {error}", file=sys.stderr, flush=True)
            chunk = b""
        if not chunk or len(pending) > LONGEST_REQUEST:
            self._selector.unregister(connection)
            self._connections.discard(connection)
            connection.close()

    def _close_connections(self) -> None:
        for connection in self._connections:
            connection.close()
