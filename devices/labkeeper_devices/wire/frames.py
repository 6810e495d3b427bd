"""The framed protocol of the simulated potentiostat. Not for sockets, nor for what is done.

There is no public description of the real instrument's protocol; this one is ours. A frame is its length in bytes (four
bytes, big endian) and then one JSON object in UTF-8. A request is `{"id": N, "do": NAME, ...}`; its answer has the same
`id`, and `"ok": true` with the result, or `"ok": false` with `code` and `error`. The instrument begins with a frame of
id 0, which says in the same way whether it lets the host in. Data of an experiment are read in
pages, so that no frame is larger than a few hundred kB and a stop never waits behind megabytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of a frame at most: far more than a page of data."""
PAGE: Final = 4000
"""Points of data in one frame at most."""
_HEAD: Final = struct.Struct(">I")


class FrameError(ValueError):
    """What arrived is no frame; nothing after it can be understood."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as a frame. Raises `FrameError` when it is too long."""
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > LONGEST:
        raise FrameError(f"a message of {len(body)} bytes is longer than a frame may be ({LONGEST})")
    return _HEAD.pack(len(body)) + body


class FrameReader:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete now. Raises `FrameError`."""
        self._pending += data
        found: list[dict[str, Any]] = []
        while len(self._pending) >= _HEAD.size:
            (length,) = _HEAD.unpack_from(self._pending)
            if length > LONGEST:
                raise FrameError(f"a frame of {length} bytes is announced; at most {LONGEST} are possible")
            end = _HEAD.size + length
            if len(self._pending) < end:
                break
            found.append(_message(bytes(self._pending[_HEAD.size : end])))
            del self._pending[:end]
        return found


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise FrameError(f"a frame holds no JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError("a frame holds no JSON object")
    return message
