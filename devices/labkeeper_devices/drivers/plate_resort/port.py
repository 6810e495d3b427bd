"""The serial port below the SDK: opened for one process only, waited for without spinning, gated by the stop.

Three things are different from the SDK's own `PortHandler`. It takes an exclusive lock, because two of the SDK's open
the same port without complaint and garble each other. Reads wait in `select` instead of asking again and again. And
every packet passes a gate on its way out: while the emergency stop is latched, nothing leaves but reads and torque
off, whatever thread sends it. Not for packets: those are the SDK's; not for retries: those are `bus`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Final

from labkeeper_api.errors import Interrupted
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.pyserial import Serial, SerialException
from labkeeper_devices.drivers.plate_resort.registers import TORQUE_ENABLE
from labkeeper_devices.drivers.plate_resort.sdk import PortHandler

REPLY_MARGIN: Final = 0.06
"""Seconds that a reply may take beyond its time on the wire: for the servo's return delay (0.5 ms), the USB adapter's
latency timer (16 ms unless set otherwise) and a busy host."""

BABBLE_LIMIT: Final = 0.2
"""Seconds after the end of its time during which a reply may still be read from what has arrived."""
SEND_TIMEOUT: Final = 0.1
QUIET: Final = 0.03
"""Seconds without a byte after which the line counts as quiet again."""
QUIET_LIMIT: Final = 0.25

_PING, _READ, _WRITE = 0x01, 0x02, 0x03
_INSTRUCTION, _PARAMETERS = 7, 8


def harmless(packet: bytes) -> bool:
    """Whether a packet may be sent while the stop is latched: pings, reads, and turning the torque off."""
    instruction = packet[_INSTRUCTION]
    if instruction in (_PING, _READ):
        return True
    address = int.from_bytes(packet[_PARAMETERS : _PARAMETERS + 2], "little")
    data = packet[_PARAMETERS + 2 : -2]
    return instruction == _WRITE and address == TORQUE_ENABLE.address and data == b"\x00"


class ServoPort(PortHandler):
    """A serial port for one process. Raises `OSError` and `SerialException` as they come; `bus` translates them."""

    def __init__(self, port_name: str, latch: StopLatch) -> None:
        super().__init__(port_name)
        self._latch = latch
        # Held only around one `write`, never while waiting for a reply: an emergency stop may always take it.
        self._wire = threading.Lock()
        self._deadline = 0.0
        self._unread_until = 0.0

    def setupPort(self, cflag_baud: int) -> bool:  # noqa: ARG002, N802 - the SDK calls it by this name
        """Open the port, as the SDK does from `openPort` and `setBaudRate`, but for this process only."""
        self.closePort()
        self.ser = Serial(self.port_name, self.baudrate, timeout=0, exclusive=True)
        self.ser.reset_input_buffer()
        self.is_open = True
        self.tx_time_per_byte = 10_000 / self.baudrate
        return True

    def closePort(self) -> None:  # noqa: N802
        """Close the port and with it the lock; nothing happens when it is closed."""
        with self._wire:
            serial, self.ser, self.is_open = self.ser, None, False
        if serial is not None:
            serial.close()

    def clearPort(self) -> None:  # noqa: N802
        """Forget what has arrived."""
        self._serial().reset_input_buffer()

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Up to `length` bytes, waiting for the first one until the packet's time is over."""
        remaining = self._deadline - time.monotonic()
        # On a line that never falls silent the SDK would go on searching for a header for ever.
        if length <= 0 or remaining < -BABBLE_LIMIT:
            return b""
        return self._receive(length, max(0.0, remaining))

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Send a packet. Raises `Interrupted` when the emergency stop does not let it through."""
        data = bytes(packet)
        with self._wire:
            # Looked at under the same lock that sends: the stop cannot slip in between.
            if self._latch.engaged and not harmless(data):
                raise Interrupted("emergency-stop", "the emergency stop is latched: nothing may move")
            self._send(data)
        return len(data)

    def send_now(self, data: bytes) -> None:
        """Send bytes past everything that is under way, from any thread."""
        with self._wire:
            self._send(data)
        self._unread_until = time.monotonic() + REPLY_MARGIN

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Begin to wait for a reply of so many bytes."""
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + REPLY_MARGIN * 1000)

    def setPacketTimeoutMillis(self, msec: float) -> None:  # noqa: N802
        """Begin to wait for a reply; on the monotonic clock, since the SDK's wall clock may jump."""
        self._deadline = time.monotonic() + msec / 1000

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the time for the reply is over."""
        return time.monotonic() > self._deadline

    def settle(self) -> None:
        """Wait until nothing that was sent can be answered any more and the line is quiet, and drop what came.

        A late reply would otherwise be taken for the answer to the next question, and that one's for the answer to the
        question after it, and so on: protocol 2.0 does not number them.
        """
        answered = max(self._deadline, self._unread_until)
        end = max(time.monotonic(), answered) + QUIET_LIMIT
        while (now := time.monotonic()) < end:
            if not self._receive(4096, max(QUIET, answered - now)) and time.monotonic() >= answered:
                return

    def _receive(self, length: int, timeout: float) -> bytes:
        descriptor = self._descriptor()
        if not select.select([descriptor], [], [], timeout)[0]:
            return b""
        data = os.read(descriptor, length)
        if not data:
            raise SerialException("the port says that there is something to read, and there is nothing: it is gone")
        return data

    def _send(self, data: bytes) -> None:
        descriptor, end = self._descriptor(), time.monotonic() + SEND_TIMEOUT
        while data:
            if not select.select([], [descriptor], [], max(0.0, end - time.monotonic()))[1]:
                raise SerialException("the port takes no more bytes")
            data = data[os.write(descriptor, data) :]

    def _serial(self) -> Serial:
        if self.ser is None:
            raise SerialException("the port is closed")
        return self.ser

    def _descriptor(self) -> int:
        descriptor = self._serial().fd
        if descriptor is None:
            raise SerialException("the port is closed")
        return descriptor
