"""Pumps, ultrasonic baths and heaters as the agent drives them: the `Driver` protocol over `Board`.

Results are JSON with units in the keys; each says whether it was simulated, and at which time factor. Stopping turns
everything off, heaters too. Not for journals, queues, retries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted, InvalidInput, Problem
from labkeeper_api.operations import OperationSpec, arduino
from labkeeper_api.operations.arduino import GetStatus, Pump, SetTemperature, Ultrasonic
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.arduino.board import Board, BoardIdentity, BoardStatus
from labkeeper_devices.drivers.arduino.checks import static_problems
from labkeeper_devices.drivers.arduino.link import BoardLink, LineLost
from labkeeper_devices.drivers.arduino.settings import BoardConfig
from labkeeper_devices.drivers.base import AtRest, Commands, Health, Identity, Interrupt, Simulation
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.results import marked

log = logging.getLogger(__name__)

HEATING_LOOK_SECONDS: Final = 1.0
"""Seconds of the device between looks at a temperature."""
SHORTEST_LOOK: Final = 0.05
"""Real seconds between them at least: a line of 9600 bit/s takes so long for an answer."""


class ArduinoDriver:
    """Drives one board. Blocking; `emergency_stop` and `release_stop` from any thread."""

    operations: dict[str, OperationSpec] = {spec.key: spec for spec in arduino.OPERATIONS}
    mending: frozenset[str] = frozenset()
    """Heat goes by itself, and a broken thermometer is mended by hand."""

    def __init__(self, config: BoardConfig, *, port: str | None = None, simulation: Simulation | None = None) -> None:
        """`port`: where the board really is, when that is not the configured device, as with a simulator."""
        self._config = config
        self._simulation = simulation
        self._factor = simulation.time_factor if simulation else 1.0
        self._latch = StopLatch()
        self._port = port or config.device
        self._link = BoardLink(self._port, config.baudrate, self._latch)
        self._board = Board(self._link, config.timeout, self._factor)
        self._perform: dict[str, Callable[[Any, Interrupt], dict[str, Any]]] = {
            arduino.PUMP.key: self._pump,
            arduino.ULTRASONIC.key: self._ultrasonic,
            arduino.SET_TEMPERATURE.key: self._set_temperature,
            arduino.GET_STATUS.key: self._get_status,
            arduino.EMERGENCY_STOP.key: self._emergency_stop,
        }

    @property
    def config(self) -> BoardConfig:
        """The configuration."""
        return self._config

    def open(self, *, energize: bool) -> Identity:  # noqa: ARG002 - connecting turns nothing on either way
        """Open and lock the port, and see that the board has what the configuration says. Only questions are sent.

        Raises `DeviceUnreachable`, `DeviceError`; a port that was opened for it is closed again then.
        """
        fresh = not self._link.is_open
        self._link.open()
        try:
            found = self._board.greet()
            self._compare(found)
        except BaseException:
            if fresh:
                self._link.close()
            raise
        return Identity(
            port=self._port,
            model="pump board",
            firmware=str(found.version),
            simulated=self._simulation is not None,
            time_factor=self._simulation.time_factor if self._simulation else None,
        )

    def close(self) -> None:
        """Close the port and leave the board as it is: what it holds at a temperature it goes on holding."""
        self._link.close()

    @property
    def is_open(self) -> bool:
        """Whether the port is open; False as well after it was lost."""
        return self._link.is_open

    def health(self) -> Health:
        """Read the board's condition; an overheated base is no longer heated. Raises `DeviceUnreachable`."""
        status = self._board.status()
        faults = self._faults(status)
        for base, setpoint in enumerate(status.setpoints):
            if setpoint is not None and self._unfit(status, base):
                log.error("the heater of base %d is turned off: %s", base, "; ".join(faults))
                self._board.hold_off(base)
        warnings = ("the emergency stop is latched",) if self._latch.engaged else ()
        return Health(_readings(status), warnings, faults)

    def check(self, operation: str, parameters: Parameters) -> None:
        """Refuse what could never succeed, before anything moves.

        Raises `InvalidInput`, `Interlocked`; `DeviceUnreachable` when the board cannot be asked.
        """
        problems = static_problems(self._config, parameters)
        if problems:
            raise InvalidInput(problems)
        if operation == arduino.EMERGENCY_STOP.key:
            return
        if not self._link.is_open:
            raise Interlocked(f"{self._link.where} is not connected")
        if not self.operations[operation].physical:
            return
        if self._latch.engaged:
            raise Interlocked("the emergency stop is latched: a person must release it first")
        status = self._board.status()
        found = [*self._faults(status)]
        if status.running is not None:
            found.append(f"{self._link.where} still runs a motion that began before, for {status.left_ms} ms more")
        if found:
            raise Interlocked("; ".join(found))

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        """Carry out one operation and confirm it.

        Raises `DeviceError` when it did not succeed, `Interrupted` when it is to be ended early (`halt` then does
        that), `DeviceUnreachable` when nobody can say how it ended.
        """
        began = time.monotonic()
        try:
            result = self._perform[operation](parameters, interrupt)
        except DeviceUnreachable:
            raise
        except DeviceError:
            # A stop from another thread ends a motion with an error of the board's.
            if operation != arduino.EMERGENCY_STOP.key:
                self._check(interrupt)
            raise
        result["duration_s"] = round(time.monotonic() - began, 3)
        return marked(result, self._simulation)

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:  # noqa: ARG002
        """This driver has no programs."""
        raise InvalidInput([Problem("operation", f"{operation} is no program")])

    def halt(self) -> AtRest:
        """Turn everything off and say whether the board confirms it."""
        try:
            status = self._board.stop()
        except DeviceError as error:
            return AtRest(False, {"reason": str(error)})
        return AtRest(True, {"pumps": "off", "ultrasound": "off", "heaters": "off", "ran_ms": status.done_ms})

    def emergency_stop(self) -> None:
        """Turn everything off, from any thread, without waiting for what is under way; latched.

        Raises `DeviceUnreachable` when the board does not confirm it; the stop is latched all the same.
        """
        self._latch.engage()
        try:
            self._stop_now()
        except DeviceError as error:
            raise DeviceUnreachable(
                f"the emergency stop is latched, but {error}. Cut the power of pumps, bath and heaters"
            ) from error
        log.warning("emergency stop: %s confirms that everything is off", self._link.where)

    def release_stop(self) -> None:
        """A person ended the emergency stop. Everything stays off."""
        self._latch.release()

    # The operations.

    def _pump(self, wanted: Pump, interrupt: Interrupt) -> dict[str, Any]:
        duration = self._config.pump_ms(wanted.pump, wanted.volume_ml)
        ran = self._board.move("PUMP", wanted.pump, duration, lambda: self._check(interrupt))
        flow = self._config.pumps_ml_per_s[wanted.pump]
        return {"pump": wanted.pump, "volume_ml": wanted.volume_ml, "ran_ms": ran, "flow_ml_per_s": flow}

    def _ultrasonic(self, wanted: Ultrasonic, interrupt: Interrupt) -> dict[str, Any]:
        duration = max(1, round(wanted.duration_ms))
        ran = self._board.move("SONIC", wanted.channel, duration, lambda: self._check(interrupt))
        return {"channel": wanted.channel, "duration_ms": wanted.duration_ms, "ran_ms": ran}

    def _set_temperature(self, wanted: SetTemperature, interrupt: Interrupt) -> dict[str, Any]:
        self._check(interrupt)
        self._board.hold(wanted.base, wanted.celsius)
        end = time.monotonic() + self._config.heating_timeout / self._factor
        while True:
            status = self._board.status()
            faults = self._faults(status)
            if faults:
                self._board.hold_off(wanted.base)
                raise DeviceError(f"{'; '.join(faults)}; the heater of base {wanted.base} was turned off")
            celsius = status.celsius[wanted.base]
            if celsius is not None and abs(celsius - wanted.celsius) <= self._config.tolerance_celsius:
                return {"base": wanted.base, "celsius": wanted.celsius, "measured_celsius": celsius, "verified": True}
            if time.monotonic() > end:
                self._board.hold_off(wanted.base)
                raise DeviceError(
                    f"base {wanted.base} did not get to {wanted.celsius:g} degrees Celsius within "
                    f"{self._config.heating_timeout:g} s: it has {celsius}, and its heater was turned off. "
                    "It cools by itself only"
                )
            interrupt.sleep(max(HEATING_LOOK_SECONDS / self._factor, SHORTEST_LOOK))
            self._check(interrupt)

    def _get_status(self, wanted: GetStatus, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        status = self._board.status()
        return {
            "com_port": wanted.com_port,
            "port": self._port,
            "running": status.running is not None,
            "celsius": list(status.celsius),
            "setpoints_celsius": list(status.setpoints),
            "stopped": self._latch.engaged,
            "faults": list(self._faults(status)),
        }

    def _emergency_stop(self, _: Parameters, __: Interrupt) -> dict[str, Any]:
        began = time.monotonic()
        self.emergency_stop()
        confirmed = round((time.monotonic() - began) * 1000, 2)
        return {"stopped": True, "pumps": "off", "ultrasound": "off", "heaters": "off", "confirmed_after_ms": confirmed}

    def _compare(self, found: BoardIdentity) -> None:
        """See that the board has what the configuration says."""
        wanted = (len(self._config.pumps_ml_per_s), self._config.baths, self._config.bases)
        has = (found.pumps, found.baths, found.bases)
        if any(more > there for more, there in zip(wanted, has, strict=True)):
            raise DeviceError(
                f"{self._link.where} has {has[0]} pumps, {has[1]} baths and {has[2]} bases, and the configuration "
                f"says {wanted[0]}, {wanted[1]} and {wanted[2]}: correct pumps_ml_per_s, baths, bases"
            )

    def _check(self, interrupt: Interrupt) -> None:
        if self._latch.engaged:
            raise Interrupted("emergency-stop")
        interrupt.check()

    def _stop_now(self) -> None:
        try:
            self._board.stop()
        except LineLost as error:
            log.warning("%s; opening the port for the emergency stop", error)
        else:
            return
        # The port was closed or lost, and the board may pump or heat all the same.
        self._link.open()
        try:
            self._board.stop()
        finally:
            self._link.close()

    def _faults(self, status: BoardStatus) -> tuple[str, ...]:
        found = []
        for base, celsius in enumerate(status.celsius[: self._config.bases]):
            if celsius is None:
                found.append(f"the thermometer of base {base} is broken")
            elif celsius >= self._config.overheat_celsius:
                limit = self._config.overheat_celsius
                found.append(f"base {base} is overheated: {celsius:.1f} degrees Celsius, from {limit:g} nothing begins")
        return tuple(found)

    def _unfit(self, status: BoardStatus, base: int) -> bool:
        celsius = status.celsius[base]
        return celsius is None or celsius >= self._config.overheat_celsius


def _readings(status: BoardStatus) -> dict[str, float | int | None]:
    readings: dict[str, float | int | None] = {"motion_left_ms": status.left_ms}
    for base, (celsius, setpoint) in enumerate(zip(status.celsius, status.setpoints, strict=True)):
        readings[f"base_{base}_c"] = celsius
        readings[f"base_{base}_setpoint_c"] = setpoint
    return readings
