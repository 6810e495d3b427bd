"""Carries one canvas run out, natively or with a task per node in Prefect, and sees to it that Ctrl-C ends it at rest.

Both managers have the same plan, the same engine and the same way to the devices. Not for deciding what the run needs:
that is `preparing`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.preparing import Prepared
from labkeeper.canvas.units import held, units_of
from labkeeper.cli.options import Manager
from labkeeper.cli.prefect_environment import prepare as prepare_prefect
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.events import Tell
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.results import native_result, prefect_result, save_result

T = TypeVar("T")

Say = Callable[[str], None]
"""One line of progress for people."""

JOIN_SECONDS = 0.2


@dataclass(frozen=True)
class Ended:
    """How a run ended: the outcome, its result object, the file that this was saved to.

    `held` says which units a person has to look at before anything moves again.
    """

    outcome: RunOutcome
    result: dict[str, Any]
    saved: Path | None
    held: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every node completed."""
        return self.outcome.status is RunStatus.COMPLETED


class Cancelling:
    """What Ctrl-C and SIGTERM do: cancel, and wait until all is at rest."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._cancel: Callable[[], None] | None = None
        self.asked = False

    def begin(self, cancel: Callable[[], None]) -> None:
        """From now on there is something to cancel."""
        self._cancel = cancel
        if self.asked:
            cancel()

    def ask(self) -> None:
        """A person wants it to end."""
        if self.asked:
            self._say("still cancelling: not everything is at rest yet")
            return
        self.asked = True
        self._say("cancelling; waiting until the hardware is at rest")
        if self._cancel is not None:
            self._cancel()


def carry_out(
    prepared: Prepared,
    home: Path,
    manager: Manager,
    *,
    say: Say,
    tell: Tell,
    cancelling: Cancelling,
    port: int | None = None,
    save: bool = True,
) -> Ended:
    """Carry a prepared run out to its end. Blocking. Raises `LabkeeperError` when it could not begin."""
    prepared.asked.keep(prepared.settings.directory)
    with units_of(home, prepared.devices, say) as units:
        devices = SocketDevices(units, run=prepared.settings.run_id, name=prepared.title)
        if manager is Manager.NATIVE:
            run = CanvasRun(prepared.plan, devices, prepared.settings, tell=tell)
            cancelling.begin(run.cancel)
            outcome = run.carry_out()
            result = native_result(outcome)
        else:
            prepare_prefect(home, quiet=True)
            from labkeeper.canvas.prefect_manager import carry_out_in_server

            outcome = carry_out_in_server(prepared, devices, home, tell=tell, say=say, cancelling=cancelling, port=port)
            result = prefect_result(outcome)
        waiting = tuple(held(units.values()))
    saved = save_result(result, outcome, prepared.settings.results_directory) if save else None
    return Ended(outcome, result, saved, waiting)


def heeding_signals(work: Callable[[], T], cancelling: Cancelling) -> T:
    """Do blocking work in a thread while this one, the main thread, lets Ctrl-C and SIGTERM cancel it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def carry() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            errors.append(error)

    thread = threading.Thread(target=carry, name="canvas run")
    with signals(cancelling):
        thread.start()
        while thread.is_alive():
            thread.join(JOIN_SECONDS)
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def signals(cancelling: Cancelling) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel. For the main thread only."""

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        cancelling.ask()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
