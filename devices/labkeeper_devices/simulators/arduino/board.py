"""The simulated board: what its firmware does with requests, and what is really pumped. Pure: the time is passed in.

Times in s of the simulation. Not for bytes: that is `line`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from labkeeper_devices.simulators.arduino.thermal import Base
from labkeeper_devices.wire.board_lines import Reply, Request

NAME: Final = "labkeeper-pumps"
VERSION: Final = 1
STALL_SECONDS: Final = 0.5
"""How long the rotation sensor may stand still."""
LONGEST_MS: Final = 3_600_000
HOTTEST: Final = 100.0


@dataclass
class Motion:
    """A pump or a bath that runs."""

    id: int
    verb: str
    number: int
    began: float
    ends: float
    seen: float = 0.0
    """Until when that was counted."""
    still_since: float | None = None

    def done_ms(self, now: float) -> int:
        """ms that it was on."""
        return round((min(now, self.ends) - self.began) * 1000)

    def stalls(self) -> float:
        """When the board will have noticed that it stands still."""
        return math.inf if self.still_since is None else self.still_since + STALL_SECONDS


@dataclass(frozen=True)
class Ended:
    """The motion that ended last, as the board remembers it."""

    id: int
    end: str
    done_ms: int


@dataclass
class Board:
    """One board. `flows` are what its pumps really move, in mL/s."""

    flows: list[float]
    baths: int
    bases: int
    now: float = 0.0
    motion: Motion | None = None
    last: Ended | None = None
    stalled: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.heated = [Base(self.now) for _ in range(self.bases)]
        self.pumped_ml = [0.0] * len(self.flows)
        self.ultrasound_ms = [0.0] * self.baths

    def handle(self, request: Request, now: float) -> list[Reply]:
        """Do what is asked; what is answered now, a motion that this ended included."""
        due = self.advance(now)
        handler = {
            "HELLO": self._hello,
            "STATUS": self._status,
            "PUMP": self._pump,
            "SONIC": self._sonic,
            "HEAT": self._heat,
            "COOL": self._cool,
            "STOP": self._stop,
        }.get(request.verb)
        return [*due, *(handler(request) if handler else [Reply(request.id, "ERR", code="SYNTAX")])]

    def advance(self, now: float) -> list[Reply]:
        """Let the time pass; the reply of a motion that ended by it."""
        self.now = max(self.now, now)
        motion = self.motion
        if motion is None:
            return []
        self._count(motion)
        stalls = motion.stalls()
        if self.now >= stalls < motion.ends:
            # Ended then, though it is noticed only now.
            now, self.now = self.now, stalls
            reply = self._end("stall", "ERR", "STALL")
            self.now = now
            return [reply]
        return [self._end("ok", "OK")] if self.now >= motion.ends else []

    def next_due(self) -> float | None:
        """When something happens by itself; None for never."""
        return None if self.motion is None else min(self.motion.ends, self.motion.stalls())

    def stall(self, pump: int, now: float, *, on: bool) -> None:
        """Block a pump, or let it turn again."""
        self.advance(now)
        (self.stalled.add if on else self.stalled.discard)(pump)
        if self.motion is not None:
            self._count(self.motion)

    def state(self, now: float) -> dict[str, Any]:
        """What is true, whatever the board says."""
        motion = self.motion
        return {
            "pumped_ml": list(self.pumped_ml),
            "ultrasound_ms": list(self.ultrasound_ms),
            "celsius": [base.at(now) for base in self.heated],
            "setpoints": [base.setpoint for base in self.heated],
            "motion": None if motion is None else {"verb": motion.verb, "number": motion.number, "id": motion.id},
            "stalled": sorted(self.stalled),
        }

    def _count(self, motion: Motion) -> None:
        """Add what was moved since it was last looked at."""
        until = min(self.now, motion.ends)
        still = motion.verb == "PUMP" and motion.number in self.stalled
        passed, motion.seen = max(0.0, until - motion.seen), until
        if motion.still_since is None:
            # What passed since the last look turned: a stall is counted from the moment it is set.
            if motion.verb == "PUMP":
                self.pumped_ml[motion.number] += passed * self.flows[motion.number]
            else:
                self.ultrasound_ms[motion.number] += passed * 1000
        motion.still_since = (motion.still_since if motion.still_since is not None else until) if still else None

    def _end(self, end: str, kind: Any, code: str = "") -> Reply:
        assert self.motion is not None  # noqa: S101 - asked for only while one runs
        motion, self.motion = self.motion, None
        self.last = Ended(motion.id, end, motion.done_ms(self.now))
        return Reply(motion.id, kind, {"done": str(self.last.done_ms)}, code)

    def _hello(self, request: Request) -> list[Reply]:
        counts = {"pumps": len(self.flows), "baths": self.baths, "bases": self.bases}
        values = {"board": NAME, "version": str(VERSION), **{key: str(value) for key, value in counts.items()}}
        return [Reply(request.id, "OK", values)]

    def _status(self, request: Request) -> list[Reply]:
        motion, last = self.motion, self.last
        values = {
            "run": str(motion.id) if motion else "-",
            "left": str(max(0, round((motion.ends - self.now) * 1000))) if motion else "0",
            "last": str(last.id) if last else "-",
            "end": last.end if last else "-",
            "done": str(last.done_ms) if last else "0",
        }
        for number, base in enumerate(self.heated):
            values[f"t{number}"] = "-" if base.broken else f"{base.at(self.now):.2f}"
            values[f"set{number}"] = "off" if base.setpoint is None else f"{base.setpoint:.2f}"
        return [Reply(request.id, "OK", values)]

    def _pump(self, request: Request) -> list[Reply]:
        return self._begin(request, len(self.flows))

    def _sonic(self, request: Request) -> list[Reply]:
        return self._begin(request, self.baths)

    def _begin(self, request: Request, count: int) -> list[Reply]:
        words = request.arguments
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            return [Reply(request.id, "ERR", code="SYNTAX")]
        number, duration = map(int, words)
        if number >= count:
            return [Reply(request.id, "ERR", code="NUMBER")]
        if not 1 <= duration <= LONGEST_MS:
            return [Reply(request.id, "ERR", code="RANGE")]
        if self.motion is not None:
            return [Reply(request.id, "BUSY")]
        self.motion = Motion(request.id, request.verb, number, self.now, self.now + duration / 1000, seen=self.now)
        self._count(self.motion)
        return []

    def _heat(self, request: Request) -> list[Reply]:
        base = self._base(request.arguments, 2)
        if isinstance(base, str):
            return [Reply(request.id, "ERR", code=base)]
        try:
            celsius = float(request.arguments[1])
        except ValueError:
            return [Reply(request.id, "ERR", code="SYNTAX")]
        if not 0 <= celsius <= HOTTEST:
            return [Reply(request.id, "ERR", code="RANGE")]
        base.hold(celsius, self.now)
        return [Reply(request.id, "OK")]

    def _cool(self, request: Request) -> list[Reply]:
        base = self._base(request.arguments, 1)
        if isinstance(base, str):
            return [Reply(request.id, "ERR", code=base)]
        base.hold(None, self.now)
        return [Reply(request.id, "OK")]

    def _base(self, words: Sequence[str], count: int) -> Base | str:
        if len(words) != count or not words[0].isdecimal():
            return "SYNTAX"
        return self.heated[int(words[0])] if int(words[0]) < self.bases else "NUMBER"

    def _stop(self, request: Request) -> list[Reply]:
        ended = [self._end("stopped", "ERR", "STOPPED")] if self.motion else []
        for base in self.heated:
            base.hold(None, self.now)
        return [*ended, Reply(request.id, "OK")]
