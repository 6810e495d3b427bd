"""A driver for tests of what an agent does around one: it moves nothing, counts, waits, and fails as it is told.

The hardware's own behaviour is tested with real drivers on simulated lines; here the hardware must stand still exactly
when the test wants it to.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked
from labkeeper_api.operations import OperationSpec
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.base import AtRest, Commands, Health, Identity, Interrupt, Progress


class Move(Parameters):
    """Parameters of `move`."""

    to: str
    text: str = ""


class Big(Parameters):
    """Parameters of `big`."""

    megabytes: int


MOVE = OperationSpec("bench", "move", "Moves until it is let go on.", Move)
FAIL = OperationSpec("bench", "fail", "Does not succeed.")
VANISH = OperationSpec("bench", "vanish", "Loses the device on the way.")
TOUCH = OperationSpec("bench", "touch", "Fails the first time, and may be repeated.", idempotent=True)
BIG = OperationSpec("bench", "big", "Returns a lot.", Big, physical=False)
WATCH = OperationSpec("bench", "watch", "Waits for what a move began.", Move, physical=False)
STOP = OperationSpec("bench", "stop", "Emergency stop.", emergency=True)


@dataclass
class BenchDriver:
    """The driver. `free`: moves end at once; else they wait for `go_on`."""

    free: bool = True
    moved: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    confirms_rest: bool = True
    interlock: str | None = None
    faults: tuple[str, ...] = ()
    paused: bool = False
    is_open: bool = False
    touched: int = 0
    halts: int = 0
    operations: dict[str, OperationSpec] = field(
        default_factory=lambda: {spec.key: spec for spec in (MOVE, FAIL, VANISH, TOUCH, BIG, WATCH, STOP)}
    )
    mending: frozenset[str] = frozenset()

    def open(self, *, energize: bool) -> Identity:
        self.is_open = True
        return Identity("bench", "Bench", "1")

    def close(self) -> None:
        self.is_open = False

    def health(self) -> Health:
        return Health({}, faults=self.faults)

    def check(self, operation: str, parameters: Parameters) -> None:
        self.checked.append(operation)
        if self.interlock is not None:
            raise Interlocked(self.interlock)

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        match operation:
            case "bench.fail":
                raise DeviceError("it jams")
            case "bench.vanish":
                raise DeviceUnreachable("the cable is out")
            case "bench.touch":
                self.touched += 1
                if self.touched == 1:
                    raise DeviceError("slipped")
                return {"touched": self.touched}
            case "bench.big":
                assert isinstance(parameters, Big)
                return {"text": "x" * (parameters.megabytes * 1024 * 1024)}
        assert isinstance(parameters, Move)
        self.moved.append(parameters.to)
        self.begun.set()
        while not self.free and not self.go_on.is_set():
            interrupt.sleep(0.01)
        return {"at": parameters.to}

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:
        raise NotImplementedError("the bench has no programs")

    def halt(self) -> AtRest:
        self.halts += 1
        return AtRest(self.confirms_rest, {"at": "somewhere"})

    def emergency_stop(self) -> None:
        self.stopped.set()

    def release_stop(self) -> None:
        self.stopped.clear()

    def progress(self) -> Progress | None:
        return Progress(1, 3, "moves", self.paused)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
