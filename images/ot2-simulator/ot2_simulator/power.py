"""The power switch: who asks for a reboot or the end, and who waits for it."""

from __future__ import annotations

import asyncio


class Power:
    """Set from anywhere on the loop (from other threads through :meth:`cut_from_thread`); the server waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cut = asyncio.Event()
        self._ending = asyncio.Event()
        self.seconds = 0.0
        """How long connections are refused after a cut, in real seconds."""

    def is_ending(self) -> bool:
        """Whether the simulator is to end."""
        return self._ending.is_set()

    def cut(self, seconds: float) -> None:
        """Cut the power; it comes back after so many seconds."""
        self.seconds = seconds
        self._cut.set()

    def cut_from_thread(self, seconds: float) -> None:
        """As :meth:`cut`, from another thread."""
        self._loop.call_soon_threadsafe(self.cut, seconds)

    def end(self) -> None:
        """End the simulator."""
        self._ending.set()
        self._cut.set()

    async def wait_for_cut(self) -> None:
        """Wait until the power is cut, or the simulator is to end."""
        await self._cut.wait()
        self._cut.clear()

    async def stay_off(self) -> None:
        """Wait until the power is back; at once when the simulator is to end."""
        try:
            async with asyncio.timeout(self.seconds):
                await self._ending.wait()
        except TimeoutError:
            return
