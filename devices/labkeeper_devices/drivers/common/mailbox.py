"""Answers by command id: whoever waits for one reads for all, so that several threads may ask over one connection.

What nobody expects is dropped: a late answer can never be taken for another command's. Not for bytes: the reading is
handed in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

SLICE: Final = 0.05
"""Seconds after which a waiting thread looks up: whether it should end, whether another one has read its answer."""

Answer = TypeVar("Answer")


def _nothing() -> None:
    """Nothing ends the wait early."""


class Mailbox(Generic[Answer]):
    """The answers of one connection."""

    def __init__(self, receive: Callable[[float], Iterable[tuple[int, Answer]]]) -> None:
        """`receive` waits for at most so many seconds and gives what has come: id and answer. May raise."""
        self._receive = receive
        self._reading = threading.Lock()
        self._arrived = threading.Condition()
        self._answers: dict[int, Answer] = {}
        self._expected: set[int] = set()

    def expect(self, number: int) -> None:
        """Keep the answer to that command when it comes. To be said before the command is sent."""
        with self._arrived:
            self._expected.add(number)

    def forget(self, number: int) -> None:
        """Nobody waits for that answer any more."""
        with self._arrived:
            self._expected.discard(number)
            self._answers.pop(number, None)

    def take(self, number: int, seconds: float, check: Callable[[], None] = _nothing) -> Answer | None:
        """The answer to a command; None when it has not come within so many seconds. It is still expected then.

        `check` may raise, to end the wait. Raises what `receive` raises.
        """
        end = time.monotonic() + seconds
        while True:
            check()
            with self._arrived:
                if number in self._answers:
                    self._expected.discard(number)
                    return self._answers.pop(number)
            remaining = end - time.monotonic()
            if remaining <= 0:
                return None
            self._wait(min(SLICE, remaining))

    def _wait(self, seconds: float) -> None:
        if not self._reading.acquire(blocking=False):
            with self._arrived:
                self._arrived.wait(seconds)
            return
        try:
            found = list(self._receive(seconds))
        finally:
            self._reading.release()
        with self._arrived:
            self._answers.update((number, answer) for number, answer in found if number in self._expected)
            self._arrived.notify_all()
