"""Reads and writes registers of one servo over the SDK; every foreign error becomes one of ours, with what to check.

Retries are bounded and only where they cannot do harm: reads, and writes of a register whose value is read back when
the reply was lost. Not for what registers mean together: that is `axis`.
"""

from __future__ import annotations

import logging
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.trouble import cannot_open, reason
from labkeeper_devices.drivers.plate_resort.port import ServoPort
from labkeeper_devices.drivers.plate_resort.registers import TORQUE_ENABLE, Register
from labkeeper_devices.drivers.plate_resort.sdk import (
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    PortHandler,
    Protocol2PacketHandler,
)
from labkeeper_devices.drivers.plate_resort.trouble import ERROR_NUMBERS

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS: Final = 3
STOP_PATIENCE: Final = 0.01
"""Seconds that an emergency stop waits for the transaction under way, so that the two do not collide on the wire."""
STOP_ATTEMPTS: Final = 5
STOP_LOCK_SECONDS: Final = 0.3

ALERT: Final = 0x80
CRC_ERROR: Final = 3
LEAST_READ: Final = 4


class Refused(DeviceError):
    """The servo heard an instruction and did not carry it out. `number` is the protocol's error number."""

    def __init__(self, message: str, number: int) -> None:
        self.number = number
        super().__init__(message)


class LostReply(DeviceUnreachable):
    """No usable reply came."""


class PortLost(DeviceUnreachable):
    """The port itself is gone or cannot be opened."""


@dataclass(frozen=True)
class Block:
    """Registers read in one transaction, and so of one moment."""

    first: int
    data: bytes
    alert: bool

    def __getitem__(self, register: Register) -> int:
        start = register.address - self.first
        return register.decode(self.data[start : start + register.size])


@dataclass(frozen=True)
class StopReport:
    """How turning the torque off went; seconds after it was asked for. `collided`: sent into another transaction."""

    sent_after: float
    confirmed: bool
    confirmed_after: float | None
    collided: bool
    trouble: str = ""


class ServoBus:
    """One servo on one port. Transactions exclude each other; `torque_off_now` waits for none."""

    def __init__(self, port: str, baudrate: int, servo_id: int, latch: StopLatch) -> None:
        self.port_name = port
        self.baudrate = baudrate
        self.servo_id = servo_id
        self._port = ServoPort(port, latch)
        self._protocol = Protocol2PacketHandler()
        self._lock = threading.Lock()
        self._unsettled = False
        self._stops_sent = 0
        self._torque_off = recorded_write(servo_id, TORQUE_ENABLE, 0)

    @property
    def where(self) -> str:
        """The servo in words."""
        return f"servo {self.servo_id} on {self.port_name} at {self.baudrate} bit/s"

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._port.is_open

    def open(self) -> None:
        """Open and lock the port if it is not open. Sends nothing. Raises `PortLost` with what to check."""
        with self._lock:
            if self._port.is_open:
                return
            try:
                known = self._port.setBaudRate(self.baudrate)
            except (OSError, termios.error) as error:
                self._port.closePort()
                raise PortLost(cannot_open(self.port_name, error)) from error
            if not known:
                raise PortLost(f"{self.port_name} cannot be opened: the SDK does not know {self.baudrate} bit/s")
            self._unsettled = False

    def close(self) -> None:
        """Close the port and give up its lock. Sends nothing."""
        with self._lock:
            self._port.closePort()

    def ping(self) -> int:
        """Model number of the servo. Raises `DeviceUnreachable`."""
        return self._again(lambda: self._transact("ping", lambda: self._protocol.ping(self._port, self.servo_id)))

    def read(self, register: Register) -> int:
        """The value of a register. Raises `DeviceUnreachable`, `Refused`."""
        return self.read_block(register, register)[register]

    def read_block(self, first: Register, last: Register) -> Block:
        """All registers from `first` to `last` in one transaction. Raises `DeviceUnreachable`, `Refused`."""
        return self._again(lambda: self._read_once(first, last))

    def write(self, register: Register, value: int) -> None:
        """Set a register.

        When the reply is lost, the register is read back, and only written again if it does not hold the value: no
        write is taken for done that was not, or repeated that was. Raises `DeviceUnreachable`, `Refused`, and
        `Interrupted` when the emergency stop is latched.
        """
        lost: LostReply | None = None
        for _ in range(ATTEMPTS):
            try:
                self._write_once(register, value)
            except LostReply as error:
                lost = error
                if self.read(register) == value:
                    return
            else:
                return
        raise DeviceUnreachable(
            f"{self.where} does not take {register.name} = {value} in {ATTEMPTS} attempts"
        ) from lost

    def reboot(self) -> None:
        """Restart the servo. Never repeated: after a lost reply nobody knows whether it did. Raises `LostReply`."""
        self._transact("reboot", lambda: (None, *self._protocol.reboot(self._port, self.servo_id)))

    def torque_off_now(self) -> StopReport:
        """Turn the torque off from any thread, at most 10 ms after a transaction under way, and read it back.

        Raises `PortLost` when not even the bytes could be sent.
        """
        began = time.monotonic()
        alone = self._lock.acquire(timeout=STOP_PATIENCE)
        try:
            self._send_torque_off()
            sent_after = time.monotonic() - began
            # Its reply is not waited for here; it must not be taken for that of the next question.
            self._unsettled = True
        finally:
            if alone:
                self._lock.release()
        trouble = self._confirm_torque_off()
        confirmed_after = None if trouble else time.monotonic() - began
        return StopReport(sent_after, not trouble, confirmed_after, not alone, trouble)

    def _confirm_torque_off(self) -> str:
        """Empty once the servo says that its torque is off; otherwise what is wrong."""
        trouble = ""
        for attempt in range(STOP_ATTEMPTS):
            try:
                if attempt:
                    self._send_torque_off()
                if self._read_once(TORQUE_ENABLE, TORQUE_ENABLE, STOP_LOCK_SECONDS)[TORQUE_ENABLE] == 0:
                    return ""
                trouble = f"{self.where} still says that its torque is on"
            except PortLost:
                raise
            except DeviceError as error:
                trouble = str(error)
        return trouble

    def _send_torque_off(self) -> None:
        self._stops_sent += 1
        try:
            self._port.send_now(self._torque_off)
        except (OSError, termios.error) as error:
            self._port.closePort()
            raise PortLost(f"{self.where}: torque off could not be sent: {reason(error)}") from error

    def _read_once(self, first: Register, last: Register, lock_seconds: float = -1) -> Block:
        # A late reply to a write has no data, and the SDK then hands out its checksum as data: two bytes at most.
        length = max(LEAST_READ, last.end - first.address)
        what = f"read {first.name}" if first is last else f"read {first.name} to {last.name}"

        def call() -> tuple[tuple[list[int], int], int, int]:
            data, result, error = self._protocol.readTxRx(self._port, self.servo_id, first.address, length)
            return (data, error), result, error

        data, error = self._transact(what, call, lock_seconds)
        if len(data) != length:
            self._unsettled = True
            raise LostReply(f"{self.where} answered {what} with {len(data)} instead of {length} bytes")
        return Block(first.address, bytes(data), bool(error & ALERT))

    def _write_once(self, register: Register, value: int) -> None:
        data = register.encode(value)

        def call() -> tuple[None, int, int]:
            result = self._protocol.writeTxRx(self._port, self.servo_id, register.address, register.size, data)
            return (None, *result)

        self._transact(f"write {register.name} = {value}", call)

    def _again(self, once: Callable[[], T]) -> T:
        attempts = 0
        while True:
            stops = self._stops_sent
            try:
                return once()
            except LostReply as error:
                # Where a stop was sent into the question, the line is not to blame.
                attempts += stops == self._stops_sent
                if attempts == ATTEMPTS:
                    raise LostReply(f"{error} ({ATTEMPTS} attempts)") from error
                log.debug("%s; trying again", error)

    def _transact(self, what: str, call: Callable[[], tuple[T, int, int]], lock_seconds: float = -1) -> T:
        if not self._lock.acquire(timeout=lock_seconds):
            raise LostReply(f"{self.where}: the line is busy")
        try:
            if not self._port.is_open:
                raise PortLost(f"{self.where} is not connected; connect first")
            if self._unsettled:
                self._port.settle()
                self._unsettled = False
            value, result, error = call()
        except (OSError, termios.error) as failure:
            # The descriptor is of no use any more; a port that comes back must be opened anew.
            self._port.closePort()
            raise PortLost(
                f"{self.where}: the port failed during {what}: {reason(failure)}; check that the adapter is plugged in"
            ) from failure
        finally:
            self._port.is_using = False
            self._lock.release()
        self._judge(what, result, error)
        return value

    def _judge(self, what: str, result: int, error: int) -> None:
        number = error & ~ALERT
        if result == COMM_SUCCESS and number == 0:
            return
        if result == COMM_SUCCESS and number != CRC_ERROR:
            why = ERROR_NUMBERS.get(number, "for a reason that the protocol does not define")
            raise Refused(f"{self.where} refused to {what}: {why} (error {number})", number)
        self._unsettled = True
        if result == COMM_RX_TIMEOUT:
            raise LostReply(
                f"{self.where} does not answer to {what}: check its power supply, its cable, its id and its baud rate"
            )
        raise LostReply(
            f"{self.where} and this host garble each other's packets ({what}, code {result}): check the cable, and "
            "that no other program and no second servo with this id is on the line"
        )


class _Recorder(PortHandler):
    """A port that keeps what is sent instead of sending it."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.sent = b""

    def clearPort(self) -> None:  # noqa: N802
        """Nothing has arrived."""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Keep the packet."""
        self.sent = bytes(packet)
        return len(packet)


def recorded_write(servo_id: int, register: Register, value: int) -> bytes:
    """The packet of a WRITE as the SDK would send it, ready to be sent without the SDK's bookkeeping."""
    recorder = _Recorder()
    data = register.encode(value)
    Protocol2PacketHandler().writeTxOnly(recorder, servo_id, register.address, register.size, data)
    return recorder.sent
