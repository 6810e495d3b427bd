"""What tests may ask of a running board, and set wrong in it: the commands of its control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from labkeeper_devices.simulators.arduino.board import Board
from labkeeper_devices.simulators.arduino.line import Line, LineFaults
from labkeeper_devices.simulators.arduino.thermal import Base
from labkeeper_devices.simulators.common.control import Answer


class Control:
    """Carries out control requests on a line and its board."""

    def __init__(
        self,
        line: Line,
        simulated: Callable[[], float],
        replugged: Callable[[], None],
        new_board: Callable[[], Board],
    ) -> None:
        """`replugged`: the port changed; `new_board`: a fresh one."""
        self._line = line
        self._simulated = simulated
        self._replugged = replugged
        self._new_board = new_board
        self.commands: dict[str, Callable[[Answer], Answer]] = {
            "state": lambda _: self._state(),
            "temperatures": self._temperatures,
            "log": lambda _: {"log": self._line.log()},
            "reset-log": lambda _: self._reset_log(),
            "line": self._set_line,
            "clear": lambda _: self._clear(),
            "stall": self._stall,
            "flow": self._flow,
            "runaway": self._runaway,
            "warm": self._warm,
            "thermometer": self._thermometer,
            "unplug": lambda _: self._unplug(),
            "replug": lambda _: self._replug(),
            "reset": lambda _: self._reset(),
        }

    @property
    def _board(self) -> Board:
        return self._line.board

    def _state(self) -> Answer:
        # What has happened by now counts, whether or not the loop has come round to it.
        self._line.send_due()
        return {
            **self._board.state(self._simulated()),
            "plugged": self._line.port.plugged,
            "faults": asdict(self._line.faults),
        }

    def _temperatures(self, request: Answer) -> Answer:
        return {"temperatures": self._base(request).history(self._simulated(), float(request["interval"]))}

    def _set_line(self, request: Answer) -> Answer:
        known = {field.name for field in fields(LineFaults)}
        wanted = {name: int(value) for name, value in request.items() if name != "do"}
        if not wanted or set(wanted) - known:
            raise ValueError(f"line faults are {', '.join(sorted(known))}")
        for name, value in wanted.items():
            setattr(self._line.faults, name, value)
        return {}

    def _clear(self) -> Answer:
        self._line.faults = LineFaults()
        for pump in range(len(self._board.flows)):
            self._board.stall(pump, self._simulated(), on=False)
        return {}

    def _stall(self, request: Answer) -> Answer:
        self._line.send_due()
        self._board.stall(self._pump(request), self._simulated(), on=bool(request["on"]))
        return {}

    def _flow(self, request: Answer) -> Answer:
        self._line.send_due()
        self._board.flows[self._pump(request)] = float(request["ml_per_s"])
        return {}

    def _runaway(self, request: Answer) -> Answer:
        self._base(request).run_away(self._simulated(), on=bool(request["on"]))
        return {}

    def _warm(self, request: Answer) -> Answer:
        self._base(request).warm(float(request["celsius"]), self._simulated())
        return {}

    def _thermometer(self, request: Answer) -> Answer:
        self._base(request).broken = bool(request["broken"])
        return {}

    def _reset_log(self) -> Answer:
        self._line.reset_log()
        return {}

    def _unplug(self) -> Answer:
        self._line.cut()
        self._replugged()
        return {}

    def _replug(self) -> Answer:
        self._line.port.plug()
        self._replugged()
        return {}

    def _reset(self) -> Answer:
        self._line.install(self._new_board())
        return self._replug()

    def _pump(self, request: Mapping[str, Any]) -> int:
        pump = int(request["pump"])
        if not 0 <= pump < len(self._board.flows):
            raise ValueError(f"there is no pump {pump}")
        return pump

    def _base(self, request: Mapping[str, Any]) -> Base:
        number = int(request["base"])
        if not 0 <= number < len(self._board.heated):
            raise ValueError(f"there is no base {number}")
        return self._board.heated[number]
