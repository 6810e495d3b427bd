"""What the agent asks of every driver, and the token by which a motion is ended early.

A driver is one plain class per device. Its methods are blocking and run in the unit's device thread; only
`emergency_stop` and `release_stop` may be called from any thread at any time. Not for journaling, retries or queues:
those are the agent's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from labkeeper_api.errors import Interrupted
from labkeeper_api.operations import OperationSpec
from labkeeper_api.operations.spec import Parameters


class Interrupt:
    """Ends what a driver is doing, from another thread.

    The driver calls `check` between transactions and `sleep` where it would wait; both raise `Interrupted` once a
    cause was set. The first cause wins, except that `emergency-stop` overrides any other.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._event = threading.Event()
        self._cause: str | None = None
        self._deadline: float | None = None
        self._lock = threading.Lock()

    def set(self, cause: str) -> None:
        """End the current operation: `cancel`, `timeout` or `emergency-stop`."""
        with self._lock:
            if self._cause is None or cause == "emergency-stop":
                self._cause = cause
            self._event.set()

    def clear(self) -> None:
        """Begin a new operation with nothing pending. An emergency stop is latched by the agent, not here."""
        with self._lock:
            self._cause = None
            self._deadline = None
            self._event.clear()

    def set_deadline(self, seconds: float | None) -> None:
        """End the operation with cause `timeout` that many seconds from now."""
        self._deadline = None if seconds is None else self._monotonic() + seconds

    @property
    def cause(self) -> str | None:
        """Why the operation should end; None while it may go on."""
        if self._cause is None and self._deadline is not None and self._monotonic() >= self._deadline:
            self.set("timeout")
        return self._cause

    def check(self) -> None:
        """Raise `Interrupted` if the operation should end."""
        if self.cause is not None:
            raise Interrupted(self.cause)

    def sleep(self, seconds: float) -> None:
        """Wait that long, or raise `Interrupted` as soon as the operation should end."""
        end = self._monotonic() + seconds
        while True:
            self.check()
            remaining = end - self._monotonic()
            if remaining <= 0:
                return
            if self._deadline is not None:
                remaining = min(remaining, max(0.0, self._deadline - self._monotonic()))
            self._event.wait(remaining)


@dataclass(frozen=True)
class Simulation:
    """Says that a simulator is driven, and how much faster than real time it moves."""

    time_factor: float = 1.0


@dataclass(frozen=True)
class Identity:
    """What a driver found at the other end of its connection."""

    port: str
    model: str
    firmware: str
    serial: str = ""
    simulated: bool = False
    time_factor: float | None = None


@dataclass(frozen=True)
class Health:
    """A reading of the device's own condition.

    `readings` are numbers with their unit in the key (`temperature_c`); `warnings` are for a person to read;
    `faults` are interlocks: while there is one, no physical command may begin.
    """

    readings: dict[str, float | int | None]
    warnings: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class AtRest:
    """What a driver says after `halt`: whether the hardware confirmed that it stands still, and where."""

    confirmed: bool
    detail: dict[str, Any] = field(default_factory=dict)


class Commands(Protocol):
    """Carries out single operations on behalf of a program, each journaled on its own."""

    def run(self, operation: str, parameters: dict[str, Any], *, node: str, iteration: int) -> dict[str, Any]:
        """Carry out one operation; its result, or the error that it ended with."""


class Driver(Protocol):
    """A device as the agent sees it."""

    operations: dict[str, OperationSpec]
    """What it can do, by the operation's key."""
    mending: frozenset[str]
    """Keys of operations that may be asked for although the device reports a fault, since they clear it."""

    def open(self, *, energize: bool) -> Identity:
        """Open the connection and lock it against other processes.

        With `energize` False nothing is written that could move or hold the hardware: only identity and readings.
        Raises `DeviceUnreachable` or `DeviceError`.
        """

    def close(self) -> None:
        """Close the connection; leaves the hardware as it is."""

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""

    def health(self) -> Health:
        """Read the device's condition. Raises `DeviceUnreachable`."""

    def check(self, operation: str, parameters: Parameters) -> None:
        """Refuse what could never succeed or what the device's own condition forbids, before anything moves.

        Raises `InvalidInput`, `Interlocked`, or `DeviceUnreachable` when the device cannot be asked.
        """

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        """Carry out one operation and confirm it. The result is JSON-ready.

        Raises `DeviceError` when it did not succeed, `Interrupted` when it was ended early (the hardware may still
        be moving: the agent calls `halt`), and `DeviceUnreachable` when nobody can say how it ended.
        """

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:
        """Carry out an operation that consists of others."""

    def halt(self) -> AtRest:
        """Stop the current motion, hold the position and say whether the hardware is at rest."""

    def emergency_stop(self) -> None:
        """Take the energy out, from any thread, without waiting for anything that is under way.

        From then on nothing moves and no energy is turned on until `release_stop`. Raises `DeviceError` when the
        hardware does not confirm it.
        """

    def release_stop(self) -> None:
        """A person ended the emergency stop. Turns nothing on by itself."""


@dataclass(frozen=True)
class Progress:
    """How far an operation that takes long has come: `done` of `total` parts (None: nobody knows), and what it does."""

    done: int
    total: int | None
    doing: str
    paused: bool = False


@runtime_checkable
class Pausable(Protocol):
    """A driver whose long operations can be watched and paused. From any thread, while `perform` is under way."""

    def progress(self) -> Progress | None:
        """How far the operation under way has come; None while there is none that tells."""

    def pause(self) -> None:
        """Pause the operation under way. Raises `DeviceError` when there is none, or the device refuses."""

    def resume(self) -> None:
        """Let it go on. Raises `DeviceError` when nothing is paused, or the device refuses."""
