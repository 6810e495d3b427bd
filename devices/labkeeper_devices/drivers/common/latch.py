"""The emergency stop as drivers keep it: engaged or not, and how often it was. Not for what the stop does."""

from __future__ import annotations

import threading


class StopLatch:
    """Says whether the emergency stop is engaged. Outlives the connection that it guards."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._count = 0

    @property
    def count(self) -> int:
        """How often it was engaged: who remembers the number sees that a stop came and went."""
        return self._count

    @property
    def engaged(self) -> bool:
        """Whether nothing may move and no energy may be turned on."""
        return self._event.is_set()

    def engage(self) -> None:
        """From now on nothing gets through but reads and what takes energy out."""
        self._count += 1
        self._event.set()

    def release(self) -> None:
        """Let everything through again."""
        self._event.clear()
