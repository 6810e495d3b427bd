"""What other threads may ask of an OT-2 while the device thread carries something out: pause, resume, emergency stop.

Each over a connection of its own, so that nothing here waits for what is under way.
"""

from __future__ import annotations

from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.ot2.carrying import Watch
from labkeeper_devices.drivers.ot2.http import Patience, RobotHttp
from labkeeper_devices.drivers.ot2.session import RunSession
from labkeeper_devices.drivers.ot2.stopping import StopLatch, stop_now

AT_ONCE: Final = Patience(connect=2.0, answer=3.0)
"""Who stands there must hear soon whether it was heard."""


class Controls:
    """Pause, resume and emergency stop of one robot. Any thread."""

    def __init__(self, address: str, latch: StopLatch, watch: Watch) -> None:
        self._address = address
        self._latch = latch
        self._watch = watch

    def pause(self) -> None:
        """Pause what is under way, in the middle of a motion. Raises `DeviceError`."""
        self._watch.pause(True)
        try:
            self._act("pause")
        except DeviceError:
            self._watch.pause(False)
            raise

    def resume(self) -> None:
        """Let it go on. Raises `DeviceError`."""
        progress = self._watch.progress
        if progress is None or not (self._watch.paused or progress.paused):
            raise DeviceError("nothing is paused")
        self._latch.check()
        self._act("play")
        self._watch.pause(False)

    def stop(self, session: RunSession | None) -> str | None:
        """Engage the latch and stop the robot's run; its id, None if nothing was under way.

        Raises `DeviceUnreachable` when the robot does not confirm it; the stop is latched all the same.
        """
        self._latch.engage()
        run_id, settled = (session.run_id, session.settled) if session is not None else (None, False)
        moving = self._watch.run_id or (run_id if not settled else None)
        try:
            return stop_now(self._address, AT_ONCE, moving=moving, settled=run_id if settled else None)
        except DeviceError as error:
            text = f"the emergency stop is latched, but it is not confirmed: {error}. Cut the power of the robot"
            raise DeviceUnreachable(text) from error

    def _act(self, action: str) -> None:
        run_id = self._watch.run_id
        if not run_id:
            raise DeviceError("nothing is under way that could be paused")
        with RobotHttp(self._address, AT_ONCE) as robot:
            robot.post(f"/runs/{run_id}/actions", {"data": {"actionType": action}})
