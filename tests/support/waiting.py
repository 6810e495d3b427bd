"""Wait until something becomes true, and say what it was instead when it does not. Not for fixed sleeps."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_LONGEST_VALUE = 2000
_PATIENCE = 3.0 if os.environ.get("CI") == "true" else 1.0


def patient(seconds: float) -> float:
    """A deadline for this machine: one that builds may be slow and shared, and waiting longer only delays a failure."""
    return seconds * _PATIENCE


class NotInTimeError(AssertionError):
    """The condition did not hold before the deadline; the message ends with the last value or error."""


class _Attempts:
    """The bookkeeping of one wait: the deadline, and what the attempts so far gave."""

    def __init__(self, what: str, timeout: float) -> None:
        self._what = what
        self._timeout = patient(timeout)
        self._deadline = time.monotonic() + self._timeout
        self._count = 0
        self._outcome = "nothing"
        self._error: Exception | None = None

    def saw_value(self, value: object) -> None:
        shown = repr(value)
        self._outcome = f"the value {shown[:_LONGEST_VALUE]}{'...' if len(shown) > _LONGEST_VALUE else ''}"
        self._error = None
        self._end_or_go_on()

    def saw_error(self, error: Exception) -> None:
        self._outcome = f"{type(error).__name__}: {error}"
        self._error = error
        self._end_or_go_on()

    def _end_or_go_on(self) -> None:
        self._count += 1
        if time.monotonic() >= self._deadline:
            message = (
                f"{self._what} did not hold within {self._timeout:g} s; "
                f"attempt {self._count}, the last one, gave {self._outcome}"
            )
            raise NotInTimeError(message) from self._error


def eventually(
    fn: Callable[[], T],
    timeout: float = 10.0,
    interval: float = 0.1,
    *,
    what: str | None = None,
    retry_on: tuple[type[Exception], ...] = (Exception,),
) -> T:
    """Call `fn` until it returns something true, and return that. An error in `retry_on` counts as not yet.

    `fn` is called at least once, and once more after the last wait. Not for coroutines: it blocks.
    """
    attempts = _Attempts(what or _name(fn), timeout)
    while True:
        try:
            value = fn()
        except retry_on as error:
            attempts.saw_error(error)
        else:
            if value:
                return value
            attempts.saw_value(value)
        time.sleep(interval)


async def eventually_async(
    fn: Callable[[], Awaitable[T]],
    timeout: float = 10.0,  # noqa: ASYNC109 (the deadline is checked between attempts, which are not cancelled)
    interval: float = 0.1,
    *,
    what: str | None = None,
    retry_on: tuple[type[Exception], ...] = (Exception,),
) -> T:
    """`eventually` for a coroutine function: the event loop goes on between attempts."""
    attempts = _Attempts(what or _name(fn), timeout)
    while True:
        try:
            value = await fn()
        except retry_on as error:
            attempts.saw_error(error)
        else:
            if value:
                return value
            attempts.saw_value(value)
        await asyncio.sleep(interval)


def _name(fn: Callable[..., object]) -> str:
    name = getattr(fn, "__qualname__", repr(fn))
    code = getattr(fn, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name
