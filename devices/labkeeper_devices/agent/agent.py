"""The agent of one unit: owns the hardware, serves its host and Prefect, survives what goes away around it.

Here the parts are joined and the loops run. Prefect is only one side: an agent without a pool serves its host alone,
and does not import Prefect, which takes longer than all the rest of a start.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from labkeeper_api.kinds import LabDevice
from labkeeper_devices.agent.calls import Calls
from labkeeper_devices.agent.control import ControlServer
from labkeeper_devices.agent.desk import Desk
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.register import Register
from labkeeper_devices.agent.workplace import AgentSettings, Workplace
from labkeeper_devices.drivers.base import Driver

if TYPE_CHECKING:
    from labkeeper_devices.agent.prefect_side import PrefectSide

__all__ = ["Agent", "AgentSettings"]

log = logging.getLogger(__name__)


class Agent:
    """The agent of one unit."""

    def __init__(
        self,
        device: LabDevice,
        settings: AgentSettings,
        driver: Driver,
        directory: UnitDirectory,
        clock: Callable[[], datetime],
    ) -> None:
        """Opens the journal. Raises `JournalError`."""
        self._work = work = Workplace(device, settings, driver, directory, clock)
        self._register = Register(directory)
        self._calls = Calls(work)
        self._desk = Desk(work, self._calls, self._acted)
        self._prefect: PrefectSide | None = None

    async def run(self) -> None:
        """Serve the unit until SIGTERM or SIGINT, then drain."""
        work, loop = self._work, asyncio.get_running_loop()
        work.attach(loop)
        self._look_at_the_past()
        control = ControlServer(work.directory.socket, self._desk.handle)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        work.stop.listen(loop)
        work.publish()
        loops = [
            asyncio.create_task(work.connection.keep(), name="connection"),
            asyncio.create_task(self._calls.watch(), name="reservation"),
        ]
        if self._prefect is not None:
            loops.append(asyncio.create_task(self._prefect.serve(), name="serve"))
        waiting = asyncio.create_task(stopping.wait(), name="stop")
        try:
            await asyncio.wait([*loops, waiting], return_when=asyncio.FIRST_COMPLETED)
            await self._drain(loops)
        finally:
            for task in (*loops, waiting):
                task.cancel()
            results = await asyncio.gather(*loops, waiting, return_exceptions=True)
            # Not in the loop, which those who still wait for an answer need.
            await asyncio.to_thread(control.close)
            await work.connection.close()
            work.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _look_at_the_past(self) -> None:
        """Whose journal it is: with Prefect that is asked there, as soon as it answers."""
        work = self._work
        if work.settings.pool is not None:
            from labkeeper_devices.agent.prefect_side import PrefectSide

            self._prefect = PrefectSide(work, work.settings.pool)
            return
        work.journal_lost = not self._register.knows(work.journal)
        work.journal_known = True

    async def _drain(self, loops: list[asyncio.Task[None]]) -> None:
        """Let what is under way come to its end, or stop it; begin nothing new."""
        work = self._work
        work.draining = True
        log.info("draining")
        deadline = asyncio.get_running_loop().time() + work.settings.drain_seconds
        in_time = True
        while self._calls.busy or (self._serves_runs(loops) and (work.busy_with or (work.claiming and in_time))):
            await asyncio.sleep(0.02)
            if in_time and asyncio.get_running_loop().time() >= deadline:
                work.interrupt.set("drain")
                in_time = False

    @staticmethod
    def _serves_runs(loops: list[asyncio.Task[None]]) -> bool:
        return any(task.get_name() == "serve" and not task.done() for task in loops)

    def _acted(self) -> None:
        """A person said how things really are; called from a control thread."""
        work = self._work
        if work.journal_lost:
            if self._prefect is not None:
                self._prefect.adopt_journal()
            else:
                self._register.remember(work.journal)
                work.journal.prove()
                work.journal_lost = False
        work.changed_elsewhere()
