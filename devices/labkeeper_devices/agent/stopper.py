"""The emergency stop of a unit: energy off first, bookkeeping second, latched until a person releases it.

It waits for nothing: not for the queue, the journal, Prefect or the run under way. Engaged by the control socket, by
SIGUSR1 or by an operation; from any thread. The latch is a file, so that a restarted agent is still stopped.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from labkeeper_api.errors import LabkeeperError
from labkeeper_devices.agent.host import read_json, write_durably
from labkeeper_devices.drivers.base import Driver, Interrupt

log = logging.getLogger(__name__)

STOP_SIGNAL = signal.SIGUSR1


class EmergencyStop:
    """Latched stop of one unit."""

    def __init__(
        self,
        latch: Path,
        driver: Driver,
        interrupt: Interrupt,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
        record: Callable[[str, str, str | None], None],
    ) -> None:
        """`changed` is called, from the stopping thread, after each change.

        `record` keeps who stopped, why, and what went wrong with it; it must not raise.
        """
        self._latch = latch
        self._driver = driver
        self._interrupt = interrupt
        self._clock = clock
        self._changed = changed
        self._record = record
        self._lock = threading.Lock()
        self._why = describe(latch)

    @property
    def engaged(self) -> str | None:
        """Who engaged the stop and why; None while it is not engaged."""
        return self._why

    def engage(self, requester: str, reason: str) -> str | None:
        """Take the energy out at once; what went wrong with that, or None.

        The latch is set whatever happens: a stop that did not reach the hardware must not look like none.
        """
        self._interrupt.set("emergency-stop")
        trouble = self._take_energy_out()
        with self._lock:
            self._why = f"{requester}: {reason}"
            unwritten = self._write_latch(requester, reason, trouble)
        trouble = "; ".join(said for said in (trouble, unwritten) if said) or None
        # An operation that began between the first time and now has cleared it, and knew of no stop.
        self._interrupt.set("emergency-stop")
        if trouble:
            log.error("emergency stop by %s, with trouble: %s", requester, trouble)
        else:
            log.warning("emergency stop by %s: %s", requester, reason)
        self._record(requester, reason, trouble)
        self._changed()
        return trouble

    def release(self) -> None:
        """A person ended the stop. Nothing moves or is energized by this."""
        with self._lock:
            self._latch.unlink(missing_ok=True)
            self._driver.release_stop()
            self._why = None
        self._changed()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Engage on SIGUSR1.

        Where the signal is blocked (`block_stop_signal`), a thread that does nothing else waits for it, so that a busy
        event loop cannot delay a stop; else the loop takes it.
        """
        if STOP_SIGNAL in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
            threading.Thread(target=self._wait_for_signal, name="stop-signal", daemon=True).start()
        else:
            loop.add_signal_handler(STOP_SIGNAL, self._by_signal)

    def _take_energy_out(self) -> str | None:
        try:
            self._driver.emergency_stop()
        except LabkeeperError as error:
            return str(error)
        except Exception as error:
            log.exception("driver error in the emergency stop")
            return f"a mistake in the driver: {type(error).__name__}: {error}"
        return None

    def _write_latch(self, requester: str, reason: str, trouble: str | None) -> str | None:
        content = {"requester": requester, "reason": reason, "at": self._clock().isoformat(), "trouble": trouble}
        try:
            write_durably(self._latch, content)
        except OSError as error:
            return f"the stop is not on disk, and a restarted agent would not know of it: {error}"
        return None

    def _wait_for_signal(self) -> None:
        while True:
            signal.sigwait({STOP_SIGNAL})
            self._by_signal()

    def _by_signal(self) -> None:
        self.engage("signal", f"{STOP_SIGNAL.name} was sent to the agent")


def block_stop_signal() -> None:
    """Let only the thread of `listen` see the stop signal. Call it before any thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})


def describe(latch: Path) -> str | None:
    """Who engaged the stop and why, from the latch file; None if it is not engaged. A file that says nothing counts."""
    try:
        content = read_json(latch) or ({} if latch.exists() else None)
    except ValueError:
        content = {}
    if content is None:
        return None
    return f"{content.get('requester', 'unknown')}: {content.get('reason', f'{latch.name} does not say why')}"
