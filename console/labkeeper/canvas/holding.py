"""One unit that a run holds: kept reserved by a thread, which also sees to it that an interrupt arrives.

Not for carrying commands out: that is `devices`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from labkeeper_api.errors import LabkeeperError
from labkeeper_api.unit_calls import RENEW_SECONDS, Reserved
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.unit_client import UnitClient

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""How soon it is tried again to hold a unit whose agent was away."""
INTERRUPT_SECONDS = 0.2
"""How soon an interrupt is sent again."""


class Command:
    """One command that was asked of a unit and not answered yet."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        """It is to be stopped."""
        self.answered = threading.Event()
        self.settled = threading.Event()
        """No interrupt that is meant for it is on its way any more."""


class HeldUnit:
    """A reserved unit. One command at a time."""

    def __init__(self, client: UnitClient, reserved: Reserved, holder: str, name: str) -> None:
        self.client = client
        self.driver = reserved.driver
        self._holder = holder
        self._name = name
        self._lock = threading.Lock()
        self._command: Command | None = None
        self._to_interrupt: Command | None = None
        self._released = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"holds-{client.unit}", daemon=True)
        self._thread.start()

    @contextmanager
    def command(self) -> Iterator[Command]:
        """What is asked of the unit inside can be interrupted."""
        with self._lock:
            command = self._command = Command()
        try:
            yield command
        finally:
            command.answered.set()
            with self._lock:
                self._command = None
            if command.interrupted.is_set():
                # Else the interrupt could arrive late and stop the next one.
                command.settled.wait()

    def interrupt(self) -> None:
        """Stop the command that is under way, if there is one. Returns at once."""
        with self._lock:
            if self._command is not None:
                self._to_interrupt = self._command
                self._command.interrupted.set()
        self._wake.set()

    def release(self) -> None:
        """Let the unit go. An agent that is away, or is gone meanwhile, knows of no reservation anyway."""
        self._released = True
        self._wake.set()
        self._thread.join()
        try:
            self.client.unreserve(self._holder)
        except LabkeeperError as error:
            log.info("unit %s could not be let go, its reservation ends by itself: %s", self.client.unit, error)

    def _keep(self) -> None:
        due = time.monotonic() + RENEW_SECONDS
        while not self._released:
            if self._wake.wait(max(0.0, due - time.monotonic())):
                self._wake.clear()
                self._send_interrupts()
            if time.monotonic() >= due and not self._released:
                due = time.monotonic() + (RENEW_SECONDS if self._renew() else AGAIN_SECONDS)
        self._send_interrupts()

    def _send_interrupts(self) -> None:
        """Until the command has an answer: the first interrupt may overtake the command that it is meant for."""
        with self._lock:
            command, self._to_interrupt = self._to_interrupt, None
        if command is None:
            return
        while not command.answered.is_set():
            try:
                self.client.interrupt(self._holder)
            except LabkeeperError as error:
                log.info("unit %s could not be interrupted, trying again: %s", self.client.unit, error)
            command.answered.wait(INTERRUPT_SECONDS)
        command.settled.set()

    def _renew(self) -> bool:
        try:
            self.client.renew(self._holder)
        except NoAgent as error:
            log.info("%s; its unit is held again when it is back", error)
            return False
        except LabkeeperError:
            return self._reserve_again()
        return True

    def _reserve_again(self) -> bool:
        """The agent was started anew and knows of no reservation, or this process stood still for too long."""
        try:
            self.client.reserve(self._holder, self._name)
        except LabkeeperError as error:
            log.warning("unit %s is not held any more: %s", self.client.unit, error)
            return False
        return True
