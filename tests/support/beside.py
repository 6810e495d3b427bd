"""Blocking work beside a test, in a thread that must end. Not for coroutines, and not for processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Beside:
    """Does something in another thread and keeps what came of it."""

    patience: ClassVar[float] = 60.0
    """Seconds that `join` waits for the end when it is not told otherwise."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the test, which looks at it
            self.error = error

    def join(self, timeout: float | None = None) -> Self:
        """Wait for the end. Raises `AssertionError` when it does not come in time."""
        self._thread.join(self.patience if timeout is None else timeout)
        assert not self._thread.is_alive(), "the operation did not end"
        return self
