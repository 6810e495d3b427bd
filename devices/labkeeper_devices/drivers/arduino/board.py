"""The board as an object: motions that are confirmed, temperatures, and everything off. Over `link`.

A motion whose reply was lost is looked up in the board's status: it keeps the id and the end of its last motion. So
nothing is taken for done that was not, and nothing is sent twice. Not for configuration and results: that is `driver`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.arduino.link import BoardLink
from labkeeper_devices.wire.board_lines import Reply

NAME: Final = "labkeeper-pumps"
LOOK_SECONDS: Final = 1.0
"""Real seconds without a reply after which a motion's state is asked for: a line that died is noticed while it runs."""
STOP_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class BoardIdentity:
    """What answered."""

    version: int
    pumps: int
    baths: int
    bases: int


@dataclass(frozen=True)
class BoardStatus:
    """What the board does. `celsius` has None where a thermometer is broken, `setpoints` where a heater is off."""

    running: int | None
    left_ms: int
    last: int | None
    end: str
    done_ms: int
    celsius: tuple[float | None, ...]
    setpoints: tuple[float | None, ...]

    @property
    def all_off(self) -> bool:
        """Whether no pump, no bath and no heater is on."""
        return self.running is None and not any(value is not None for value in self.setpoints)


class Board:
    """One board."""

    def __init__(self, link: BoardLink, timeout: float, time_factor: float) -> None:
        """`timeout`: real seconds that a reply may take beyond what it answers."""
        self.link = link
        self._timeout = timeout
        self._factor = time_factor

    def greet(self) -> BoardIdentity:
        """Who answers. Sends only questions. Raises `DeviceUnreachable`, `DeviceError`."""
        values = self._ok("HELLO").values
        if values.get("board") != NAME:
            raise DeviceError(
                f"{self.link.where} is no {NAME} board; it calls itself {values.get('board', 'nothing')!r}"
            )
        identity = BoardIdentity(*(self._whole(values, key) for key in ("version", "pumps", "baths", "bases")))
        last = self.status().last
        if last is not None:
            self.link.skip(last)
        return identity

    def status(self) -> BoardStatus:
        """What it does now. Raises `DeviceUnreachable`."""
        values = self._ok("STATUS").values
        bases = range(sum(key.startswith("t") and key[1:].isdecimal() for key in values))
        return BoardStatus(
            running=self._id(values, "run"),
            left_ms=self._whole(values, "left"),
            last=self._id(values, "last"),
            end=values.get("end", "-"),
            done_ms=self._whole(values, "done"),
            celsius=tuple(self._number(values, f"t{base}", none="-") for base in bases),
            setpoints=tuple(self._number(values, f"set{base}", none="off") for base in bases),
        )

    def move(self, verb: str, number: int, duration_ms: int, check: Callable[[], None]) -> int:
        """Run a pump or a bath and wait until it has stopped; the ms that it ran.

        Raises `DeviceError` when it did not run or not to its end, `DeviceUnreachable` when nobody can say, and what
        `check` raises, which leaves it running.
        """
        wanted = self.link.send(verb, number, duration_ms)
        try:
            return self._until_stopped(wanted, f"{verb} {number}", duration_ms, check)
        finally:
            self.link.forget(wanted)

    def hold(self, base: int, celsius: float) -> None:
        """Heat a base to a temperature and hold it there from now on. Raises `DeviceError`, `Interrupted`."""
        reply = self.link.ask("HEAT", base, f"{celsius:.2f}", within=self._timeout)
        if reply.kind != "OK":
            raise DeviceError(f"{self.link.where} refuses to heat base {base} to {celsius} degrees: {_why(reply)}")

    def hold_off(self, base: int) -> None:
        """Turn a heater off, also while the emergency stop is latched. Raises `DeviceError`."""
        reply = self.link.ask("COOL", base, within=self._timeout)
        if reply.kind != "OK":
            raise DeviceError(f"{self.link.where} refuses to turn the heater of base {base} off: {_why(reply)}")

    def stop(self) -> BoardStatus:
        """Turn everything off, from any thread, and confirm it. Raises `DeviceUnreachable` if it is not confirmed."""
        status: BoardStatus | None = None
        for _ in range(STOP_ATTEMPTS):
            self._ok("STOP")
            status = self.status()
            if status.all_off:
                return status
        raise DeviceUnreachable(f"{self.link.where} answers STOP, and still says that something is on: {status}")

    def _until_stopped(self, wanted: int, what: str, duration_ms: int, check: Callable[[], None]) -> int:
        end = time.monotonic() + duration_ms / 1000 / self._factor + self._timeout
        while True:
            reply = self.link.reply(wanted, LOOK_SECONDS, check)
            if reply is not None:
                return self._ended(what, reply)
            status = self.status()
            if status.running != wanted:
                return self._looked_up(what, wanted, status)
            if time.monotonic() > end:
                self.stop()
                raise DeviceError(
                    f"{self.link.where} ran {what} for longer than the {duration_ms} ms asked for; it was "
                    "stopped: check its firmware"
                )

    def _ended(self, what: str, reply: Reply) -> int:
        if reply.kind == "OK":
            return self._whole(reply.values, "done")
        if reply.kind == "BUSY":
            raise DeviceError(f"{self.link.where} did not begin {what}: another motion runs")
        done = reply.values.get("done")
        after = f" after {done} ms" if done else ""
        raise DeviceError(f"{self.link.where}: {what} ended early{after}: {_why(reply)}")

    def _looked_up(self, what: str, wanted: int, status: BoardStatus) -> int:
        """How a motion ended whose reply did not come."""
        if status.last != wanted:
            raise DeviceError(f"{self.link.where} never got {what}: nothing was moved. Check the line for noise")
        if status.end == "ok":
            return status.done_ms
        code = status.end.upper()
        return self._ended(what, Reply(wanted, "ERR", {"done": str(status.done_ms)}, code))

    def _ok(self, verb: str) -> Reply:
        reply = self.link.ask(verb, within=self._timeout)
        if reply.kind != "OK":
            raise DeviceError(f"{self.link.where} refuses {verb}: {_why(reply)}")
        return reply

    def _whole(self, values: dict[str, str], key: str) -> int:
        text = values.get(key, "")
        if not text.isdecimal():
            raise DeviceError(f"{self.link.where} answers {key}={text!r}, which is no whole number: check its firmware")
        return int(text)

    def _id(self, values: dict[str, str], key: str) -> int | None:
        return None if values.get(key) == "-" else self._whole(values, key)

    def _number(self, values: dict[str, str], key: str, none: str) -> float | None:
        text = values.get(key, "")
        if text == none:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DeviceError(f"{self.link.where} answers {key}={text!r}, which is no number: check its firmware")
        return value


WORDS: Final = {
    "STALL": "the pump's rotation sensor stood still, and it was turned off; check the tube and the motor",
    "STOPPED": "everything was stopped",
    "NUMBER": "it has no such part; check pumps_ml_per_s, baths and bases in the configuration",
    "RANGE": "the value is out of its range",
    "SYNTAX": "it does not understand the request; check its firmware",
}


def _why(reply: Reply) -> str:
    if reply.kind == "BUSY":
        return "another motion runs"
    return WORDS.get(reply.code, f"for a reason of its own ({reply.code or 'none given'})")
