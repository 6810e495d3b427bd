"""Time passing for motors: durations scaled by the time factor, frozen while paused, and the faults that strike
motions.

One ``Pace`` per power-up of the robot. It is used from the motors' thread; pausing and naming the command happen in
others, which is why what they set is plain flags, read in short slices.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from opentrons.drivers.smoothie_drivers.errors import SmoothieAlarm

from ot2_simulator.faults import Fault, Faults

SLICE = 0.02
"""Seconds between looks at the flags: how late a pause, a release or a loss of power can act."""


class Pace:
    """How fast time passes for the motors.

    Args:
        factor: how many times faster than a robot; 1 is real time.
        faults: where motion faults come from.
        power_cut: called (from the motors' thread) when a reboot fault strikes, with the seconds until power is back.
    """

    def __init__(self, factor: float, faults: Faults, power_cut: Callable[[float], None]) -> None:
        self.factor = factor
        self.paused = False
        self.moving = False
        self.plunger_moved = False
        """Whether a plunger has begun to move in the command that is running."""
        self.motor_seconds = 0.0
        """What the motions so far would have taken on a robot, in s."""
        self._faults = faults
        self._power_cut = power_cut
        self._command: str | None = None
        self._fault: Fault | None = None
        self._asked = False
        self._hanging = False

    def begin(self, command: str) -> None:
        """A command of this type starts: its motions are open to faults."""
        self._command, self._fault, self._asked, self._hanging, self.plunger_moved = command, None, False, False, False

    def end(self) -> None:
        """The command is over: later motions (homing after a run) are not open to faults."""
        self._command, self._fault, self._asked, self._hanging, self.plunger_moved = None, None, False, False, False

    @property
    def commanded(self) -> bool:
        """Whether a command is running; if not, what moves is the robot's own doing, such as tidying up after a run."""
        return self._command is not None

    def release(self) -> None:
        """Let go of a motion that hangs: the command goes on as if nothing had been."""
        self._hanging = False

    async def motion(self, seconds: float, progress: Callable[[float], None]) -> None:
        """Pass the time of one motion.

        Args:
            seconds: what it takes on a robot.
            progress: told the fraction done, 0 to 1, while it goes on; a motion that is cancelled stays where it
                last was.

        Raises:
            SmoothieAlarm: a ``fail`` fault struck, half-way.
        """
        fault = self._due()
        self.moving = True
        try:
            if fault is None:
                await self._pass(seconds / self.factor, progress)
            else:
                await self._suffer(fault, seconds, progress)
        finally:
            self.moving = False
        self.motor_seconds += seconds

    async def wait(self, seconds: float) -> None:
        """Pass time in which nothing moves: a delay. As on the robot, a pause does not stop it."""
        await asyncio.sleep(seconds / self.factor)

    def _due(self) -> Fault | None:
        """The fault of the command that is running: asked for once, at its first motion."""
        if self._command is not None and not self._asked:
            self._asked = True
            self._fault = self._faults.strike(self._command, ("motion",))
        return self._fault

    async def _suffer(self, fault: Fault, seconds: float, progress: Callable[[float], None]) -> None:
        """Pass a motion's time under a fault."""
        real = seconds / self.factor
        if fault.kind == "slow":
            extra, fault_seconds = fault.factor, fault.seconds
            self._fault = None if extra == 1.0 else fault
            fault.seconds = 0.0
            await self._pass(real * extra + fault_seconds, progress)
            return
        self._fault = None
        await self._pass(real / 2, lambda fraction: progress(fraction / 2))
        if fault.kind == "fail":
            raise SmoothieAlarm(ret_code=fault.message, command="G0")
        if fault.kind == "reboot":
            self._power_cut(fault.seconds)
            await asyncio.Event().wait()  # nothing moves without power; the thread ends with the robot
        self._hanging = True
        while self._hanging:  # noqa: ASYNC110 - released from another thread, where asyncio's events are not safe
            await asyncio.sleep(SLICE)
        await self._pass(real / 2, lambda fraction: progress(0.5 + fraction / 2))

    async def _pass(self, seconds: float, progress: Callable[[float], None]) -> None:
        """Let real seconds pass in slices, not counting those in which the robot is paused."""
        done = 0.0
        while done < seconds or self.paused:
            if self.paused:
                await asyncio.sleep(SLICE)
                continue
            before = time.monotonic()
            await asyncio.sleep(min(SLICE, seconds - done))
            done += time.monotonic() - before
            progress(min(1.0, done / seconds))
        progress(1.0)
