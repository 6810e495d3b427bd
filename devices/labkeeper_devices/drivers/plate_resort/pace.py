"""Time as motions see it: a clock, waiting, and being told to end. Replaced by a fake in tests of decisions.

Waits are in the device's seconds: a simulator that moves ten times as fast is waited for a tenth of the time, so that
pulses turn the shaft as far as on hardware. Time limits are in real seconds and stay as they are.
"""

from __future__ import annotations

import time
from typing import Protocol

from labkeeper_api.errors import Interrupted
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.common.latch import StopLatch


class Pace(Protocol):
    """The time of one motion."""

    def now(self) -> float:
        """Real seconds on a clock that never goes back."""

    def wait(self, seconds: float) -> None:
        """Wait that many seconds of the device. Raises `Interrupted` as soon as the motion should end."""

    def check(self) -> None:
        """Raise `Interrupted` if the motion should end."""


class DevicePace:
    """The real time of a motion: ended by an interrupt or by the latched emergency stop."""

    def __init__(self, interrupt: Interrupt, latch: StopLatch, time_factor: float = 1.0) -> None:
        self._interrupt = interrupt
        self._latch = latch
        self._factor = time_factor

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait; the time factor shortens it."""
        self.check()
        self._interrupt.sleep(seconds / self._factor)
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` with cause `emergency-stop` when that is latched, else with the interrupt's."""
        if self._latch.engaged:
            raise Interrupted("emergency-stop")
        self._interrupt.check()
