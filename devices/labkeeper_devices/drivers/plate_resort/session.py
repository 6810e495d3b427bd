"""The connection to one servo: who may use it, whether its torque is on, its condition and its emergency stop.

Not for moves and hotels: those are `motion` and `resort`. One thread at a time, except `emergency_stop`,
`release_stop` and the properties.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted
from labkeeper_devices.drivers.base import AtRest, Interrupt
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.plate_resort import health, registers
from labkeeper_devices.drivers.plate_resort.axis import Axis, Setup
from labkeeper_devices.drivers.plate_resort.bus import PortLost, ServoBus, StopReport
from labkeeper_devices.drivers.plate_resort.health import Vitals
from labkeeper_devices.drivers.plate_resort.pace import DevicePace, Pace
from labkeeper_devices.drivers.plate_resort.registers import Model, OperatingMode
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

log = logging.getLogger(__name__)

REBOOT_SECONDS: Final = 3.0
"""Real seconds that a rebooted servo gets to answer, beyond the wait that was asked for."""


@dataclass(frozen=True)
class Address:
    """Where the servo is."""

    port: str
    baudrate: int
    servo_id: int


@dataclass(frozen=True)
class ServoIdentity:
    """What answered there."""

    number: int
    model: Model
    firmware: int


class Session:
    """One servo, connected or not."""

    def __init__(self, config: ResortConfig, address: Address, latch: StopLatch, time_factor: float) -> None:
        self._config = config
        self._latch = latch
        self._time_factor = time_factor
        self._energised_under: int | None = None
        self.address = address
        self.identity: ServoIdentity | None = None
        self.bus = ServoBus(address.port, address.baudrate, address.servo_id, latch)
        setup = Setup(
            goal_pwm=config.goal_pwm,
            pwm_limit=registers.pwm_of_torque(config.torque_limit),
            profile_acceleration=config.profile_acceleration,
            profile_velocity=config.default_speed,
            moving_threshold=config.moving_threshold,
        )
        # Waiting for the shaft to come to rest is not ended by a stop: it only reads.
        self.axis = Axis(self.bus, setup, DevicePace(Interrupt(), StopLatch(), time_factor))

    @property
    def energised(self) -> bool:
        """Whether the torque was turned on here and no emergency stop came since."""
        return self._energised_under == self._latch.count

    def pace(self, interrupt: Interrupt) -> Pace:
        """The time of one operation."""
        return DevicePace(interrupt, self._latch, self._time_factor)

    def open(self, *, energise: bool) -> ServoIdentity:
        """Open and lock the port. Without `energise` only pings and reads are sent. Harmless when it is open.

        Raises `DeviceUnreachable`, `DeviceError`; a port that was opened for it is closed again then.
        """
        fresh = not self.bus.is_open
        self.bus.open()
        try:
            number = self.bus.ping()
            firmware = self.axis.memory()[registers.FIRMWARE]
            self.identity = ServoIdentity(number, registers.model_of(number), firmware)
            if energise:
                self._energise_if_sound()
        except BaseException:
            if fresh:
                self.close()
            raise
        return self.identity

    def close(self) -> None:
        """Close the port and leave the servo as it is."""
        self._energised_under = None
        self.bus.close()

    def disconnect(self) -> None:
        """Turn the torque off and close the port. Raises `DeviceUnreachable` if nobody can say that it is off."""
        try:
            if self.bus.is_open:
                self.axis.torque_off()
        finally:
            self.close()

    def vitals(self) -> Vitals:
        """Everything that the servo measures. Raises `DeviceUnreachable`."""
        return health.vitals_of(self.axis.readings(), self.axis.status(), self._model)

    def faults(self, vitals: Vitals) -> tuple[str, ...]:
        """What forbids every motion."""
        return health.faults(vitals, self._config, torque_expected=self.energised)

    def warnings(self, vitals: Vitals) -> tuple[str, ...]:
        """What a person should know."""
        return health.warnings(vitals, self._config, self.axis.limits, self._model)

    def must_be_connected(self) -> None:
        """Raise `DeviceUnreachable` while the port is closed."""
        if not self.bus.is_open:
            raise DeviceUnreachable(f"{self.bus.where} is not connected; connect first")

    def must_not_be_stopped(self) -> None:
        """Raise `Interlocked` while the emergency stop is latched."""
        if self._latch.engaged:
            raise Interlocked("the emergency stop is latched: a person must release it first")

    def must_be_ready(self) -> None:
        """Raise `Interlocked` unless the servo is sound and holds in position mode with the torque turned on here."""
        self.must_be_connected()
        self.must_not_be_stopped()
        if not self.energised:
            raise Interlocked(f"{self.bus.where} is without torque; connect first")
        found = list(self.faults(self.vitals()))
        mode = self.bus.read(registers.OPERATING_MODE)
        if mode != OperatingMode.POSITION:
            found.append(f"operating mode {mode} was set by another program; connect again")
        if found:
            raise Interlocked("; ".join(found))

    def halt(self) -> AtRest:
        """End any motion and say whether the shaft is at rest. Holds it unless the torque is off."""
        try:
            if self.energised:
                self._hold_unless_stopped()
            sample = self.axis.wait_for_rest()
            torque = self.axis.status()[registers.TORQUE_ENABLE] == 1
        except DeviceError as error:
            return AtRest(False, {"reason": str(error)})
        return AtRest(True, {"angle_deg": round(sample.angle, 3), "torque": torque})

    def emergency_stop(self) -> StopReport:
        """Turn the torque off at once, from any thread, and latch that.

        Raises `DeviceUnreachable` when the servo does not confirm it; the stop is latched all the same.
        """
        self._latch.engage()
        try:
            report = self._torque_off_now()
        except DeviceUnreachable as error:
            raise DeviceUnreachable(
                f"the emergency stop is latched, but {error}. Cut the power of the servo"
            ) from error
        if not report.confirmed:
            raise DeviceUnreachable(
                f"the emergency stop is latched and torque off was sent, but it is not confirmed: {report.trouble}. "
                "Cut the power of the servo"
            )
        log.warning("emergency stop: torque off sent after %.1f ms", report.sent_after * 1000)
        return report

    def reboot(self, wait: float, *, reapply: bool, pace: Pace) -> None:
        """Restart the servo, wait that long (device's seconds), and hold the position again if `reapply`."""
        self.must_be_connected()
        self.must_not_be_stopped()
        self._energised_under = None
        self.bus.reboot()
        pace.wait(wait)
        self._await_answer()
        if self.axis.status()[registers.TORQUE_ENABLE]:
            # A servo can be set to come up with its torque on; here it comes on at the present position only.
            self.axis.torque_off()
        if not reapply:
            return
        found = health.faults(self.vitals(), self._config, torque_expected=False)
        if found:
            raise DeviceError(f"{self.bus.where} was rebooted and stays without torque: {'; '.join(found)}")
        self._energise()

    @property
    def _model(self) -> Model:
        return self.identity.model if self.identity else registers.model_of(self.bus.ping())

    def _energise_if_sound(self) -> None:
        if self._latch.engaged:
            log.warning("%s stays without torque: the emergency stop is latched", self.bus.where)
            return
        vitals = self.vitals()
        found = health.faults(vitals, self._config, torque_expected=False)
        if found:
            if not vitals.torque:
                self._energised_under = None
            log.error("the torque of %s is not turned on: %s", self.bus.where, "; ".join(found))
            return
        self._energise()

    def _energise(self) -> None:
        stops = self._latch.count
        self._energised_under = None
        self.axis.energise()
        # A stop that came meanwhile has raised the count, and this does not pass for energised.
        self._energised_under = stops

    def _hold_unless_stopped(self) -> None:
        try:
            self.axis.hold()
        except Interrupted:
            log.info("the emergency stop came first: there is no torque to hold with")

    def _torque_off_now(self) -> StopReport:
        try:
            return self.bus.torque_off_now()
        except PortLost as error:
            log.warning("%s; opening the port for the emergency stop", error)
        # The port was closed or lost, and the servo may hold or move all the same.
        self.bus.open()
        try:
            return self.bus.torque_off_now()
        finally:
            self.bus.close()

    def _await_answer(self) -> None:
        end = time.monotonic() + REBOOT_SECONDS
        while True:
            try:
                self.bus.ping()
            except PortLost:
                raise
            except DeviceUnreachable:
                if time.monotonic() >= end:
                    raise
            else:
                return
