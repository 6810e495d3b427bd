"""The plate hotel as the agent drives it: the `Driver` protocol over `PlateResort`. Not for journals, queues, retries.

Results are JSON with units in the keys; each says whether it was simulated, and at which time factor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, InvalidInput, Problem
from labkeeper_api.operations import OperationSpec, plate_resort
from labkeeper_api.operations.plate_resort import ActivateHotel, Connect, MoveToAngle, Reboot, SetSpeed, Tour
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.base import AtRest, Commands, Health, Identity, Interrupt, Simulation
from labkeeper_devices.drivers.common.results import marked
from labkeeper_devices.drivers.plate_resort import health
from labkeeper_devices.drivers.plate_resort.checks import static_problems
from labkeeper_devices.drivers.plate_resort.motion import Outcome
from labkeeper_devices.drivers.plate_resort.resort import PlateResort
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

ALWAYS_ALLOWED: Final = frozenset(
    {plate_resort.CONNECT.key, plate_resort.DISCONNECT.key, plate_resort.EMERGENCY_STOP.key}
)
"""What may be asked for whatever the state: it takes energy out, or it only reports and holds."""


class PlateResortDriver:
    """Drives one plate hotel. Blocking; `emergency_stop` and `release_stop` from any thread."""

    operations: dict[str, OperationSpec] = {spec.key: spec for spec in plate_resort.OPERATIONS}
    mending: frozenset[str] = frozenset({plate_resort.REBOOT.key})
    """A reboot is how hardware errors are cleared."""

    def __init__(self, config: ResortConfig, *, port: str | None = None, simulation: Simulation | None = None) -> None:
        """`port`: where the servo really is, when that is not the configured device, as with a simulator."""
        self._config = config
        self._simulation = simulation
        self._resort = PlateResort(config, port, time_factor=simulation.time_factor if simulation else 1.0)
        self._perform: dict[str, Callable[[Any, Interrupt], dict[str, Any]]] = {
            plate_resort.CONNECT.key: self._connect,
            plate_resort.DISCONNECT.key: self._disconnect,
            plate_resort.GET_MOTOR_HEALTH.key: self._get_motor_health,
            plate_resort.ACTIVATE_HOTEL.key: self._activate_hotel,
            plate_resort.GO_HOME.key: self._go_home,
            plate_resort.MOVE_TO_ANGLE.key: self._move_to_angle,
            plate_resort.SET_SPEED.key: self._set_speed,
            plate_resort.EMERGENCY_STOP.key: self._emergency_stop,
            plate_resort.GET_CURRENT_POSITION.key: self._get_current_position,
            plate_resort.REBOOT.key: self._reboot,
        }

    @property
    def resort(self) -> PlateResort:
        """The hotel itself."""
        return self._resort

    def open(self, *, energize: bool) -> Identity:
        """Open and lock the port; with `energize` hold the present position. Nothing moves either way.

        Without `energize`, only pings and reads are sent. The torque is not turned on while the emergency stop is
        latched or a fault exists: `health` then says why. Raises `DeviceUnreachable`, `DeviceError`.
        """
        found = self._resort.session.open(energise=energize)
        return Identity(
            port=self._resort.session.address.port,
            model=f"{found.model.name} ({found.number})",
            firmware=str(found.firmware),
            simulated=self._simulation is not None,
            time_factor=self._simulation.time_factor if self._simulation else None,
        )

    def close(self) -> None:
        """Close the port and leave the servo as it is: if it holds, it goes on holding."""
        self._resort.session.close()

    @property
    def is_open(self) -> bool:
        """Whether the port is open; False as well after it was lost."""
        return self._resort.is_connected()

    def health(self) -> Health:
        """Read the servo's condition. Raises `DeviceUnreachable`."""
        session = self._resort.session
        session.must_be_connected()
        vitals = session.vitals()
        warnings = session.warnings(vitals)
        if self._resort.stopped:
            warnings = ("the emergency stop is latched", *warnings)
        elif not session.energised:
            warnings = ("the torque was not turned on by this driver; connect does that", *warnings)
        return Health(health.as_readings(vitals), warnings, session.faults(vitals))

    def check(self, operation: str, parameters: Parameters) -> None:
        """Refuse what could never succeed, before anything moves.

        Raises `InvalidInput`, `Interlocked`; `DeviceUnreachable` when the servo cannot be asked.
        """
        problems = static_problems(self._config, parameters)
        if problems:
            raise InvalidInput(problems)
        if operation in ALWAYS_ALLOWED:
            return
        session = self._resort.session
        if not session.bus.is_open:
            raise Interlocked(f"{session.bus.where} is not connected: run connect first")
        if self.operations[operation].physical:
            self._check_physical(operation)

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        """Carry out one operation and confirm it.

        Raises `DeviceError` when it did not succeed, `Interrupted` when it was ended early (the servo then holds where
        it is, except after the emergency stop), `DeviceUnreachable` when nobody can say how it ended.
        """
        began = time.monotonic()
        result = self._perform[operation](parameters, interrupt)
        result["duration_s"] = round(time.monotonic() - began, 3)
        return marked(result, self._simulation)

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:
        """Carry out `tour`: each hotel as a command of its own, and a reading of the servo's condition at the end."""
        if operation != plate_resort.TOUR.key or not isinstance(parameters, Tour):
            raise InvalidInput([Problem("operation", f"{operation} is no program", f"use {plate_resort.TOUR.key}")])
        problems = static_problems(self._config, parameters)
        if problems:
            raise InvalidInput(problems)
        hotels = self._config.hotels if parameters.hotels is None else parameters.hotels
        visits = [
            commands.run(
                plate_resort.ACTIVATE_HOTEL.key,
                {"hotel": hotel, "precise": parameters.precise},
                node="hotels",
                iteration=index,
            )
            for index, hotel in enumerate(hotels)
        ]
        reading = commands.run(plate_resort.GET_MOTOR_HEALTH.key, {}, node="health", iteration=0)
        return marked({"visits": visits, "hotels": list(hotels), "health": reading}, self._simulation)

    def halt(self) -> AtRest:
        """Stop the current motion, hold the position and say whether the shaft is at rest."""
        return self._resort.halt()

    def emergency_stop(self) -> None:
        """Turn the torque off, from any thread, at most 10 ms after a transaction under way; latched.

        Raises `DeviceUnreachable` when the servo does not confirm it.
        """
        self._resort.emergency_stop()

    def release_stop(self) -> None:
        """A person ended the emergency stop. The torque stays off until `open(energize=True)` or `connect`."""
        self._resort.release_stop()

    # The operations.

    def _connect(self, _: Connect, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        identity = self.open(energize=True)
        reading = self.health()
        return {
            "connected": True,
            "energised": self._resort.session.energised,
            "port": identity.port,
            "device": self._config.device,
            "baudrate": self._config.baudrate,
            "motor_id": self._config.motor_id,
            "model": identity.model,
            "firmware": identity.firmware,
            "angle_deg": reading.readings["position_deg"],
            "warnings": [*reading.faults, *reading.warnings],
        }

    def _disconnect(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        was_open = self.is_open
        self._resort.disconnect()
        return {"connected": False, "was_connected": was_open, "torque": False}

    def _get_motor_health(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        return self._reading()

    def _reading_if_it_answers(self) -> dict[str, Any]:
        """The same beside a verified move: a line lost just now does not make its outcome unknown."""
        try:
            return self._reading()
        except DeviceUnreachable as error:
            return {"unreadable": str(error)}

    def _reading(self) -> dict[str, Any]:
        """The servo's condition, for results."""
        reading = self.health()
        return {**reading.readings, "warnings": list(reading.warnings), "faults": list(reading.faults)}

    def _get_current_position(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        angle = self._resort.get_current_position()
        return {"angle_deg": round(angle, 3), "hotel": self._resort.hotel_at(angle)}

    def _activate_hotel(self, wanted: ActivateHotel, interrupt: Interrupt) -> dict[str, Any]:
        angle = self._resort.angle_of(wanted.hotel)
        return self._move(angle, wanted.precise, wanted.overrides, interrupt)

    def _go_home(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        return self._move(0.0, False, None, interrupt)

    def _move_to_angle(self, wanted: MoveToAngle, interrupt: Interrupt) -> dict[str, Any]:
        return self._move(wanted.angle, wanted.precise, wanted.overrides, interrupt)

    def _move(
        self, angle: float, precise: bool, overrides: dict[str, Any] | None, interrupt: Interrupt
    ) -> dict[str, Any]:
        used = self._resort.precise_config(overrides)
        outcome = self._resort.move(angle, precise=precise, config=used, interrupt=interrupt)
        if not outcome.success:
            raise DeviceError(_missed(outcome, used))
        return {
            "target_angle_deg": round(outcome.target, 3),
            "angle_deg": round(outcome.angle, 3),
            "error_deg": round(outcome.error, 3),
            "tolerance_deg": used.position_tolerance,
            "verified": True,
            "hotel": self._resort.hotel_at(outcome.angle),
            "precise": precise and used.enable_precise_move,
            "reason": outcome.reason,
            "pulses": outcome.pulses,
            "health": self._reading_if_it_answers(),
        }

    def _set_speed(self, wanted: SetSpeed, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        self._resort.set_speed(wanted.speed)
        return {"speed": wanted.speed, "speed_rpm": round(wanted.speed * 0.229, 3)}

    def _emergency_stop(self, _: Parameters, __: Interrupt) -> dict[str, Any]:
        report = self._resort.emergency_stop()
        return {
            "stopped": True,
            "torque": False,
            "sent_after_ms": round(report.sent_after * 1000, 2),
            "confirmed_after_ms": round((report.confirmed_after or 0.0) * 1000, 2),
        }

    def _reboot(self, wanted: Reboot, interrupt: Interrupt) -> dict[str, Any]:
        self._resort.reboot(wanted.wait, wanted.reapply, interrupt=interrupt)
        return {
            "status": "rebooted",
            "reapply": wanted.reapply,
            "wait_s": wanted.wait,
            "energised": self._resort.session.energised,
            "health": self._reading(),
        }

    def _check_physical(self, operation: str) -> None:
        session = self._resort.session
        session.must_not_be_stopped()
        if operation in self.mending:
            return
        found = session.faults(session.vitals())
        if not session.energised:
            found = (f"{session.bus.where} is without torque: run connect first", *found)
        if found:
            raise Interlocked("; ".join(found))


def _missed(outcome: Outcome, config: ResortConfig) -> str:
    pulses = f" after {outcome.pulses} pulses" if outcome.pulses else ""
    return (
        f"the hotel did not arrive: target {outcome.target:.2f} degrees, it stands and is held at {outcome.angle:.2f}, "
        f"{outcome.error:+.2f} off, with a tolerance of {config.position_tolerance:g} degrees "
        f"({outcome.reason}{pulses})"
    )
