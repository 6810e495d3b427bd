"""What goes wrong on the line between servo and host: fault doubles for tests. Not for faults of the servo itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from labkeeper_devices.simulators.servo.instructions import Answer

FOR_EVER: Final = -1
OTHER_ID_OFFSET: Final = 1


def garbage(count: int) -> bytes:
    """Bytes that are no packet, the same every time, with pieces of a header among them."""
    pattern = b"\x00\xff\xff\x7f\xfd\x13\xff\xfd\x00\xa5"
    return (pattern * (count // len(pattern) + 1))[:count]


@dataclass(frozen=True)
class Outgoing:
    """What really goes onto the line, and after how many seconds."""

    data: bytes
    delay: float


@dataclass
class LineFaults:
    """The faults that are set. Counts are answers still to be spoiled; -1 means until it is cleared."""

    silence: int = 0
    """Answers that never come; the servo still does what it was told."""
    deaf: int = 0
    """Packets that the servo does not hear: neither done nor answered."""
    corrupt: int = 0
    """Answers with a wrong checksum."""
    wrong_id: int = 0
    """Answers that carry the id of another servo."""
    noise: int = 0
    """Answers with garbage before them."""
    noise_bytes: int = 8
    """How much garbage."""
    delay: float = 0.0
    """Real seconds that each answer is held back."""

    def hears(self) -> bool:
        """Whether the servo hears the next packet at all."""
        return not self._spend("deaf")

    def spoil(self, answer: Answer) -> Outgoing | None:
        """What becomes of an answer on its way; None when it is lost."""
        if self._spend("silence"):
            return None
        if self._spend("wrong_id"):
            answer = replace(answer, servo_id=(answer.servo_id + OTHER_ID_OFFSET) % 253)
        data = answer.encode()
        if self._spend("corrupt"):
            data = data[:-1] + bytes([data[-1] ^ 0x5A])
        if self._spend("noise"):
            data = garbage(self.noise_bytes) + data
        return Outgoing(data, self.delay)

    def clear(self) -> None:
        """Take all faults back."""
        for name, value in asdict(LineFaults()).items():
            setattr(self, name, value)

    def state(self) -> dict[str, Any]:
        """The faults as data."""
        return asdict(self)

    def _spend(self, name: str) -> bool:
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0
