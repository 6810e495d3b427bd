"""The line protocol of the board that drives pumps, ultrasonic baths and heaters. Not for ports, nor for what is done.

The facts (1.5) give a serial line of 9600 bit/s and leave its lines open; these are ours. One line is one message of
ASCII text, at most 200 bytes with its end, `\\n`:

    request   ID VERB ARGUMENT... *CRC      17 PUMP 2 4000 *1A2B
    reply     ID OK key=value... *CRC       17 OK done=4000 *5C6D
              ID ERR CODE key=value... *CRC 17 ERR STALL done=512 *....
              ID BUSY *CRC                  another motion runs; nothing was begun

`ID`, 1 to 65535, is the host's and comes back in the reply, so a late reply can never be taken for that of another
command. `CRC` is CRC-16/XMODEM over everything before ` *`, as four hexadecimal digits; a line that does not match is
not acted on and gets no reply. A host repeats only what is harmless.

    HELLO           board=NAME version=N pumps=N baths=N bases=N
    STATUS          what runs and what ended last, see below; always answered at once
    PUMP n ms       runs pump n for so many ms; answered when it has stopped
    SONIC n ms      the same for ultrasonic bath n
    HEAT n celsius  holds base n at a temperature from now on; answered at once
    COOL n          turns the heater of base n off; answered at once
    STOP            everything off, heaters too; a motion under way is answered `ERR STOPPED done=ms`

STATUS answers `run=ID` and `left=ms` of the motion under way (`-`: none), `last=ID end=ok|stopped|stall done=ms` of the
motion that ended last, and for each base `t0=celsius` (`-`: its thermometer is broken) and `set0=celsius` (`off`).
Codes: `SYNTAX`, `NUMBER` (there is no such pump, bath or base), `RANGE`, `STALL` (the pump's rotation sensor stood
still for 500 ms; it was turned off), `STOPPED`.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from typing import Final, Literal

LONGEST: Final = 200
MAX_ID: Final = 65535

Kind = Literal["OK", "ERR", "BUSY"]


def seal(text: str) -> bytes:
    """A line with its checksum and its end."""
    return f"{text} *{binascii.crc_hqx(text.encode('ascii'), 0):04X}\n".encode("ascii")


def unseal(line: bytes) -> str | None:
    """The text of a line without its end; None when it is garbled."""
    body, mark, crc = line.rstrip(b"\r\n").rpartition(b" *")
    if not mark or len(line) > LONGEST or crc != b"%04X" % binascii.crc_hqx(body, 0):
        return None
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Request:
    """What a host asks."""

    id: int
    verb: str
    arguments: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """As a line."""
        return seal(" ".join((str(self.id), self.verb, *self.arguments)))

    @classmethod
    def decode(cls, line: bytes) -> Request | None:
        """From a line; None when it is garbled or no request."""
        words = (unseal(line) or "").split()
        if len(words) < 2 or not _is_id(words[0]):
            return None
        return cls(int(words[0]), words[1], tuple(words[2:]))


@dataclass(frozen=True)
class Reply:
    """What a board answers. `code` says what an `ERR` is."""

    id: int
    kind: Kind
    values: dict[str, str] = field(default_factory=dict)
    code: str = ""

    def encode(self) -> bytes:
        """As a line."""
        values = (f"{key}={value}" for key, value in self.values.items())
        return seal(" ".join((str(self.id), self.kind, *([self.code] if self.code else []), *values)))

    @classmethod
    def decode(cls, line: bytes) -> Reply | None:
        """From a line; None when it is garbled or no reply."""
        words = (unseal(line) or "").split()
        if len(words) < 2 or not _is_id(words[0]):
            return None
        number, kind, rest = int(words[0]), words[1], words[2:]
        code = rest.pop(0) if kind == "ERR" and rest else ""
        pairs = [word.partition("=") for word in rest]
        if any(not equals for _, equals, _ in pairs):
            return None
        values = {key: value for key, _, value in pairs}
        match kind:
            case "OK" | "ERR" | "BUSY":
                return cls(number, kind, values, code)
        return None


class LineReader:
    """Cuts what arrives into lines; what is longer than a line can be is thrown away."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > LONGEST:
            self._pending = b""
        return [line + b"\n" for line in lines]


def _is_id(word: str) -> bool:
    return word.isdecimal() and 1 <= int(word) <= MAX_ID
