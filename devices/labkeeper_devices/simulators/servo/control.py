"""What tests and benchmarks may ask of a running simulator, and set wrong in it: the commands of its control socket.

Not for the form of requests, nor for the socket: those are `common.control` and `common.host`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from labkeeper_devices.simulators.common.control import Answer
from labkeeper_devices.simulators.servo.line import Line
from labkeeper_devices.simulators.servo.line_faults import LineFaults
from labkeeper_devices.simulators.servo.motor import Motor


class Control:
    """Carries out control requests on a line and its motor."""

    def __init__(
        self,
        line: Line,
        simulated: Callable[[], float],
        replugged: Callable[[], None],
        new_motor: Callable[[float], Motor],
    ) -> None:
        """`replugged`: the port changed; `new_motor`: a fresh one."""
        self._line = line
        self._new_motor = new_motor
        self._simulated = simulated
        self._replugged = replugged
        self.commands: dict[str, Callable[[Answer], Answer]] = {
            "state": lambda _: self._state(),
            "motions": lambda _: {"motions": self._motor.shaft.motion_log()},
            "log": lambda _: {"log": self._line.log()},
            "reset-log": lambda _: self._reset_log(),
            "line": self._set_line,
            "clear": lambda _: self._clear(),
            "stall": self._stall,
            "heat": self._heat,
            "supply": self._supply,
            "fail": self._fail,
            "retune": self._retune,
            "turn-by-hand": self._turn_by_hand,
            "write": self._write,
            "unplug": lambda _: self._unplug(),
            "replug": lambda _: self._replug(),
            "reset": self._reset,
        }

    @property
    def _motor(self) -> Motor:
        return self._line.motor

    def _state(self) -> Answer:
        counters = {"packets": self._line.packets, "bytes": self._line.received_bytes}
        return {
            **self._motor.state(self._simulated()),
            "counters": counters,
            "plugged": self._line.port.plugged,
            "faults": self._line.faults.state(),
        }

    def _set_line(self, request: Answer) -> Answer:
        known = {field.name for field in fields(LineFaults)}
        wanted = {name: value for name, value in request.items() if name != "do"}
        if not wanted or set(wanted) - known:
            raise ValueError(f"line faults are {', '.join(sorted(known))}")
        for name, value in wanted.items():
            setattr(self._line.faults, name, float(value) if name == "delay" else int(value))
        return {}

    def _clear(self) -> Answer:
        self._line.faults.clear()
        self._motor.stall(self._simulated(), on=False)
        return {}

    def _stall(self, request: Answer) -> Answer:
        after = request.get("overload_after")
        overload_after = None if after is None else float(after)
        self._motor.stall(self._simulated(), on=bool(request["on"]), overload_after=overload_after)
        return {}

    def _heat(self, request: Answer) -> Answer:
        self._motor.heat(int(request["celsius"]), self._simulated())
        return {}

    def _supply(self, request: Answer) -> Answer:
        self._motor.supply(float(request["volts"]), self._simulated())
        return {}

    def _fail(self, request: Answer) -> Answer:
        self._motor.fail(int(request["bits"]), self._simulated())
        return {}

    def _retune(self, request: Answer) -> Answer:
        friction, deadband = request.get("friction"), request.get("deadband_deg")
        self._motor.retune(
            self._simulated(),
            friction=None if friction is None else int(friction),
            deadband=None if deadband is None else float(deadband),
        )
        return {}

    def _turn_by_hand(self, request: Answer) -> Answer:
        if not self._motor.turn_by_hand(float(request["degrees"]), self._simulated()):
            raise ValueError("the torque is on: a hand cannot turn the shaft")
        return {}

    def _write(self, request: Answer) -> Answer:
        """Write a register as if another host had done it."""
        register = self._motor.table.registers[request["register"]]
        data = (int(request["value"]) & ((1 << 8 * register.size) - 1)).to_bytes(register.size, "little")
        error = self._motor.write(register.address, data, self._simulated())
        if error:
            raise ValueError(f"the servo refuses {register.name}={request['value']}: {error.name}")
        return {}

    def _reset(self, request: Answer) -> Answer:
        """Begin anew with another servo of the same kind, at a position in degrees."""
        self._line.install(self._new_motor(float(request["position"])))
        self._line.port.plug()
        self._replugged()
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
