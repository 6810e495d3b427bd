"""The plate hotel as a class, with the names of its guide (facts 3.2). Can be used without an agent.

    with PlateResort("resort_config.yaml") as resort:
        resort.activate_hotel_precise("B")

One thread at a time may drive it; `emergency_stop` and `release_stop` may be called from any. Not for journals, queues
and retries: those are the agent's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labkeeper_api.errors import DeviceError, InvalidInput, Problem
from labkeeper_devices.drivers.base import AtRest, Interrupt
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.plate_resort import config as configuration
from labkeeper_devices.drivers.plate_resort import geometry, motion, registers
from labkeeper_devices.drivers.plate_resort.bus import StopReport
from labkeeper_devices.drivers.plate_resort.motion import Outcome
from labkeeper_devices.drivers.plate_resort.session import Address, Session
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

Config = ResortConfig | Path | str | Sequence[Path | str] | None

COARSE_KEYS = ("position_tolerance", "movement_timeout")


class PlateResort:
    """One plate hotel on one servo."""

    def __init__(self, config: Config = None, port: str | None = None, *, time_factor: float = 1.0) -> None:
        """`config`: a file, several of which later ones win, or a configuration; the guide's defaults when not given.

        `port` wins over the configured device. `time_factor` above 1 is for simulators that move that much faster.
        Raises `InvalidInput`.
        """
        self.config = _loaded(config)
        self._precise = self.config
        self._latch = StopLatch()
        self._time_factor = time_factor
        self._busy = threading.RLock()
        self._interrupt: Interrupt | None = None
        address = Address(port or self.config.device, self.config.baudrate, self.config.motor_id)
        self.session = Session(self.config, address, self._latch, time_factor)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_connected():
            self.disconnect()

    # The connection.

    def connect(self, device: str | None = None, baudrate: int | None = None, motor_id: int | None = None) -> bool:
        """Open and lock the port and hold the present position; nothing moves. Returns whether the torque is on.

        It is not turned on while the emergency stop is latched or a fault exists; `get_motor_health` tells which.
        Raises `DeviceUnreachable`, `DeviceError`, `InvalidInput`.
        """
        with self._busy:
            self._readdress(device, baudrate, motor_id)
            self.session.open(energise=True)
            return self.session.energised

    def disconnect(self) -> None:
        """Turn the torque off, close the port and give up its lock. Raises `DeviceUnreachable` if torque stays on."""
        with self._busy:
            self.session.disconnect()

    def is_connected(self) -> bool:
        """Whether the port is open."""
        return self.session.bus.is_open

    # Moving.

    def activate_hotel(self, hotel: str, tolerance: float | None = None, timeout: float | None = None) -> bool:
        """Bring a hotel to the access position. True when it is verified to be there (degrees, seconds).

        Raises `ValueError` for an unknown hotel, `Interlocked`, `DeviceError`, `DeviceUnreachable`.
        """
        return self.move_to_angle(self.angle_of(hotel), tolerance, timeout)

    def activate_hotel_precise(self, hotel: str, **overrides: Any) -> dict[str, Any]:
        """Bring a hotel to the access position in two stages: `success, reason, pulses, final_angle, final_error`."""
        return self.move_to_angle_precise(self.angle_of(hotel), **overrides)

    def move_to_angle(self, angle: float, tolerance: float | None = None, timeout: float | None = None) -> bool:
        """Turn to an angle, taken modulo 360. True when it is verified to be there."""
        given = {"position_tolerance": tolerance, "movement_timeout": timeout}
        changes = {key: value for key, value in given.items() if value is not None}
        used = configuration.with_overrides(self._precise, changes, "move_to_angle", COARSE_KEYS)
        return self.move(angle, config=used).success

    def move_to_angle_precise(self, angle: float, **overrides: Any) -> dict[str, Any]:
        """Turn to an angle in two stages: `success, reason, pulses, final_angle, final_error` (degrees)."""
        outcome = self.move(angle, precise=True, config=self.precise_config(overrides))
        return {
            "success": outcome.success,
            "reason": outcome.reason,
            "pulses": outcome.pulses,
            "final_angle": outcome.angle,
            "final_error": outcome.error,
        }

    def go_home(self) -> bool:
        """Turn to 0 degrees. True when it is verified to be there."""
        return self.move_to_angle(0.0)

    def move(
        self,
        angle: float,
        *,
        precise: bool = False,
        config: ResortConfig | None = None,
        interrupt: Interrupt | None = None,
    ) -> Outcome:
        """Turn to an angle; `precise` uses two stages if the configuration allows it. `interrupt` ends it early.

        Raises `Interlocked` before anything moves, `Interrupted`, `DeviceError`, `DeviceUnreachable`.
        """
        used = config or self._precise
        two_stages = precise and used.enable_precise_move
        with self._busy:
            self.session.must_be_ready()
            self._interrupt = interrupt or Interrupt()
            try:
                pace = self.session.pace(self._interrupt)
                carry_out = motion.precise_move if two_stages else motion.coarse_move
                return carry_out(self.session.axis, angle, used, pace)
            finally:
                self._interrupt = None

    def set_speed(self, speed: int) -> None:
        """Set the profile velocity of the following moves (units of 0.229 rpm), until the end of this object."""
        if isinstance(speed, bool) or not 1 <= speed <= registers.VELOCITY_MAX:
            raise InvalidInput([Problem("speed", f"{speed} is outside 1 to {registers.VELOCITY_MAX}")])
        with self._busy:
            self.session.must_be_ready()
            self.session.axis.set_speed(speed)

    def halt(self) -> AtRest:
        """End any motion and say whether the shaft is at rest, with its angle. Holds it unless the torque is off."""
        with self._busy:
            return self.session.halt()

    # Looking.

    def get_current_position(self) -> float:
        """Where the shaft is in degrees, at least 0 and less than 360."""
        with self._busy:
            return self.session.axis.sample().angle

    def get_active_hotel(self) -> str | None:
        """The hotel within 5 degrees of the access position."""
        return self.hotel_at(self.get_current_position())

    def hotel_at(self, angle: float) -> str | None:
        """The hotel within 5 degrees of an angle."""
        return geometry.nearest_hotel(self.config.angles, angle)

    def angle_of(self, hotel: str) -> float:
        """The angle of a hotel in degrees. Raises `ValueError` naming the hotels that there are."""
        if hotel not in self.config.angles:
            raise ValueError(f"there is no hotel {hotel!r}; the hotels are {', '.join(self.config.hotels)}")
        return self.config.angles[hotel]

    def get_motor_health(self) -> dict[str, Any]:
        """`temperature` (°C), `current` (mA), `voltage` (V), `hardware_error`, `position` (degrees), `warnings`."""
        with self._busy:
            vitals = self.session.vitals()
            return {
                "temperature": vitals.temperature_c,
                "current": vitals.current_ma,
                "voltage": vitals.voltage_v,
                "hardware_error": vitals.hardware_error,
                "position": vitals.position_deg,
                "warnings": [*self.session.faults(vitals), *self.session.warnings(vitals)],
            }

    # Stopping and mending.

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is latched."""
        return self._latch.engaged

    def emergency_stop(self) -> StopReport:
        """Turn the torque off at once, from any thread, and latch that until `release_stop`.

        Raises `DeviceUnreachable` when the servo does not confirm it; the stop is latched all the same.
        """
        try:
            return self.session.emergency_stop()
        finally:
            interrupt = self._interrupt
            if interrupt is not None:
                interrupt.set("emergency-stop")

    def release_stop(self) -> None:
        """A person ended the emergency stop. Turns nothing on: `connect` does."""
        self._latch.release()

    def reboot(self, wait: float = 0.8, reapply: bool = True, *, interrupt: Interrupt | None = None) -> dict[str, Any]:
        """Restart the servo, which clears hardware errors: `status, reapply, wait, health`.

        `wait`: seconds until it is spoken to again; `reapply`: hold the position again afterwards. Raises `Interlocked`
        while the emergency stop is latched, `DeviceError` when an error persists, `DeviceUnreachable`.
        """
        with self._busy:
            pace = self.session.pace(interrupt or Interrupt())
            self.session.reboot(wait, reapply=reapply, pace=pace)
            return {"status": "rebooted", "reapply": reapply, "wait": wait, "health": self.get_motor_health()}

    # Settings of the precise move.

    def tune_precise(self, **settings: Any) -> dict[str, Any]:
        """Change settings of the precise move for this object; returns all. Raises `InvalidInput`, changing nothing."""
        self._precise = configuration.with_overrides(self._precise, settings, "tune_precise")
        return self.show_precise_params()

    def show_precise_params(self) -> dict[str, Any]:
        """The settings of the precise move as they are used now."""
        return self._precise.precise_parameters()

    def precise_config(self, overrides: Mapping[str, Any] | None) -> ResortConfig:
        """The configuration with settings of the precise move for one move. Raises `InvalidInput`."""
        return configuration.with_overrides(self._precise, overrides or {})

    def _readdress(self, device: str | None, baudrate: int | None, motor_id: int | None) -> None:
        now = self.session.address
        given = {"device": device, "baudrate": baudrate, "motor_id": motor_id}
        changes = {key: value for key, value in given.items() if value is not None}
        checked = configuration.with_overrides(self.config, changes, "connect", tuple(given))
        wanted = Address(
            now.port if device is None else checked.device,
            now.baudrate if baudrate is None else checked.baudrate,
            now.servo_id if motor_id is None else checked.motor_id,
        )
        if wanted == now:
            return
        if self.is_connected():
            raise DeviceError(f"already connected to {self.session.bus.where}; disconnect first")
        self.session = Session(self.config, wanted, self._latch, self._time_factor)


def _loaded(config: Config) -> ResortConfig:
    if config is None:
        return ResortConfig()
    if isinstance(config, ResortConfig):
        return config
    files = [config] if isinstance(config, str | Path) else list(config)
    return configuration.load_files(files).config
