"""Packets of the Dynamixel protocol 2.0, as a servo sees them: checksum, byte stuffing, framing.

Source: ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0". Not for what an instruction means: that is `instructions`.
The driver does not use this module; it speaks through the real SDK, so that the two check each other.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

HEADER: Final = b"\xff\xff\xfd"
"""What every packet begins with. Inside a packet it never stands without a stuffing byte behind it."""

BROADCAST: Final = 0xFE
STATUS: Final = 0x55
ALERT: Final = 0x80
"""Bit of the error byte that says: the hardware error status is not zero."""

LONGEST: Final = 1024
"""Longest length field that is believed; anything longer is noise that looks like a header."""

SILENCE_ENDS_PACKET: Final = 0.1
"""Seconds after which the rest of a half-received packet is not waited for any longer."""

_PREFIX = len(HEADER) + 1 + 1 + 2
_POLYNOMIAL = 0x8005


class Instruction(IntEnum):
    """The instructions that the simulated servo knows."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    REBOOT = 0x08


class ErrorNumber(IntEnum):
    """Why an instruction was not carried out, in the error byte of the answer."""

    NONE = 0
    RESULT_FAIL = 1
    INSTRUCTION = 2
    CRC = 3
    DATA_RANGE = 4
    DATA_LENGTH = 5
    DATA_LIMIT = 6
    ACCESS = 7


def _entry(index: int) -> int:
    value = index << 8
    for _ in range(8):
        value = (value << 1) ^ (_POLYNOMIAL if value & 0x8000 else 0)
    return value & 0xFFFF


_TABLE = tuple(_entry(index) for index in range(256))


def crc16(data: bytes) -> int:
    """Checksum of protocol 2.0: CRC-16 with polynomial 0x8005, start value 0, neither reflected nor inverted."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFF) ^ _TABLE[(value >> 8) ^ byte]
    return value


def stuff(body: bytes) -> bytes:
    """Put a 0xFD behind every `FF FF FD` inside a packet, so that it cannot be taken for a header."""
    return body.replace(HEADER, HEADER + b"\xfd")


def unstuff(body: bytes) -> bytes:
    """Undo `stuff`."""
    return body.replace(HEADER + b"\xfd", HEADER)


def encode(servo_id: int, instruction: int, parameters: bytes) -> bytes:
    """A whole packet: header, reserved byte, id, length, stuffed body and checksum."""
    body = stuff(bytes([instruction]) + parameters)
    head = HEADER + b"\x00" + bytes([servo_id]) + (len(body) + 2).to_bytes(2, "little") + body
    return head + crc16(head).to_bytes(2, "little")


def encode_status(servo_id: int, error: int, parameters: bytes = b"") -> bytes:
    """The answer of a servo."""
    return encode(servo_id, STATUS, bytes([error]) + parameters)


@dataclass(frozen=True)
class Packet:
    """A packet found on the line.

    `at` is when its first byte arrived, on the clock of whoever fed the reader. `intact` is False when the checksum
    does not fit; the other fields are then not to be believed.
    """

    servo_id: int
    instruction: int
    parameters: bytes
    at: float
    size: int
    intact: bool = True


class PacketReader:
    """Finds packets in a stream of bytes and remembers when each began to arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._marks: deque[tuple[int, float]] = deque()
        self._fed_at = 0.0

    def feed(self, chunk: bytes, now: float) -> list[Packet]:
        """Take in what has arrived at `now` (seconds) and return the packets that are complete."""
        if self._buffer and now - self._fed_at > SILENCE_ENDS_PACKET:
            self._drop(len(self._buffer))
        self._fed_at = now
        self._marks.append((self._offset + len(self._buffer), now))
        self._buffer += chunk
        packets = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def _next(self) -> Packet | None:
        while self._align():
            length = int.from_bytes(self._buffer[_PREFIX - 2 : _PREFIX], "little")
            if not 3 <= length <= LONGEST:
                self._drop(len(HEADER))
                continue
            size = _PREFIX + length
            if len(self._buffer) < size:
                return None
            return self._take(size)
        return None

    def _align(self) -> bool:
        """Drop what is no header; True when a prefix stands complete at the beginning of the buffer."""
        while True:
            start = self._buffer.find(HEADER)
            if start < 0:
                self._drop(max(0, len(self._buffer) - len(HEADER) + 1))
                return False
            self._drop(start)
            if len(self._buffer) < _PREFIX:
                return False
            if self._buffer[len(HEADER)] == 0:
                return True
            self._drop(len(HEADER))

    def _take(self, size: int) -> Packet:
        raw = bytes(self._buffer[:size])
        at = self._first_byte_at()
        self._drop(size)
        body = unstuff(raw[_PREFIX:-2])
        return Packet(
            servo_id=raw[len(HEADER) + 1],
            instruction=body[0],
            parameters=body[1:],
            at=at,
            size=size,
            intact=crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little"),
        )

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
        while len(self._marks) > 1 and self._marks[1][0] <= self._offset:
            self._marks.popleft()

    def _first_byte_at(self) -> float:
        return self._marks[0][1]
