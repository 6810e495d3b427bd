"""An experiment under way on a simulated channel: its elements one after another, their data and how each ended. Pure.

Times in s of the simulation. The instrument ends an element at its limits, as real ones do in hardware: the last point
then stands at the limit. Work is done in portions: an experiment that goes faster than this machine can work it out
ends later, and can be stopped meanwhile. Not for requests: those are `instrument`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from labkeeper_devices.simulators.squidstat.cell import Cell
from labkeeper_devices.simulators.squidstat.measuring import Dc, Reading, duration, readings

DC = ("timestamp_s", "current_A", "we_voltage_V")
AC = ("timestamp", "frequency", "absoluteImpedance", "realImpedance", "imagImpedance", "phaseAngle", "numberOfCycles")


PORTION = 400
"""Readings that are worked out at once: some tens of ms."""


@dataclass(frozen=True)
class Limits:
    """What the instrument can do: V and A, both ways."""

    volts: float
    amperes: float


@dataclass
class Record:
    """The data of one element. `rows` are in the order of `columns`."""

    technique: str
    columns: tuple[str, ...]
    expected_s: float
    began: float
    rows: list[tuple[float, ...]] = field(default_factory=list)
    ended: str = ""
    reason: str = ""
    duration_s: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Everything but the data."""
        return {
            "technique": self.technique,
            "columns": list(self.columns),
            "expected_s": self.expected_s,
            "points": len(self.rows),
            "ended": self.ended,
            "reason": self.reason,
            "duration_s": self.duration_s,
        }


class Experiment:
    """One experiment, from its start on."""

    def __init__(
        self,
        number: str,
        elements: Sequence[Mapping[str, Any]],
        cell: Cell,
        noise: Random,
        limits: Limits,
        now: float,
    ) -> None:
        self.id = number
        self.elements = elements
        self.records: list[Record] = []
        self.state = "running"
        self.reason = ""
        self.latest: Dc | None = None
        self.heeds_limits = True
        """A fault: whether elements end at their limits."""
        self.hangs = False
        """A fault: time goes on and the elements do not."""
        self._cell = cell
        self._noise = noise
        self._limits = limits
        self._readings: Iterator[Reading] = iter(())
        self._ahead: Reading | None = None
        self._at = 0.0
        self._begin(now)

    @property
    def estimated_s(self) -> float:
        """s that it takes when nothing ends early."""
        return sum(duration(element) for element in self.elements)

    @property
    def at(self) -> float:
        """Time in the element under way up to which it has been worked out."""
        return self._at

    def advance(self, now: float) -> bool:
        """Let the time pass; False when there is more to work out, which is done in portions so that a stop gets in."""
        for _ in range(PORTION):
            if self.state != "running" or self.hangs:
                return True
            record = self.records[-1]
            reading, self._ahead = self._ahead or next(self._readings, None), None
            if reading is None:
                self._end("completed", "", record.began + record.expected_s)
            elif record.began + reading.at > now:
                self._ahead = reading
                return True
            else:
                self._take(record, reading)
        return False

    def end_element(self, index: int, reason: str, now: float) -> None:
        """End the element under way, on the host's word; the next one begins. Nothing when it has ended already."""
        self.advance(now)
        if self.state == "running" and index == len(self.records) - 1:
            self._end("host", reason, self.records[-1].began + self._at)

    def stop(self, state: str, reason: str, now: float) -> None:
        """End everything; the cell is open."""
        self.advance(now)
        if self.state == "running":
            record = self.records[-1]
            record.ended, record.reason, record.duration_s = state, reason, self._at
            self.state, self.reason = state, reason

    def _begin(self, now: float) -> None:
        element = self.elements[len(self.records)]
        columns = AC if element["technique"] == "PEIS" else DC
        self.records.append(Record(element["technique"], columns, duration(element), now))
        self._readings = readings(element, self._cell, self._noise)
        self._ahead = None
        self.latest, self._at = None, 0.0

    def _end(self, ended: str, reason: str, now: float) -> None:
        record = self.records[-1]
        record.ended, record.reason, record.duration_s = ended, reason, now - record.began
        if len(self.records) < len(self.elements):
            self._begin(now)
        else:
            self.state = "done"

    def _take(self, record: Record, reading: Reading) -> None:
        self._at = reading.at
        if not isinstance(reading, Dc):
            record.rows.append(reading.columns())
            return
        self.latest = reading
        broken = self._broken(reading) if self.heeds_limits else None
        if broken is not None:
            ended, reason, amperes, volts = broken
            record.rows.append((reading.at, amperes, volts))
            self._end(ended, reason, record.began + reading.at)
        elif reading.kept:
            record.rows.append((reading.at, reading.amperes, reading.volts))

    def _broken(self, reading: Dc) -> tuple[str, str, float, float] | None:
        """Which limit a reading breaks: how the element ends, why, and the last point."""
        element, limits = self.elements[len(self.records) - 1], self._limits
        if element["technique"] == "CP":
            low, high = (
                own if own is not None else math.copysign(limits.volts, sign)
                for own, sign in ((element.get("voltage_min_v"), -1), (element.get("voltage_max_v"), 1))
            )
            if not low <= reading.volts <= high:
                limit = low if reading.volts < low else high
                return "voltage-limit", f"the voltage reached {limit:g} V", reading.amperes, limit
        if abs(reading.amperes) > limits.amperes:
            limit = math.copysign(limits.amperes, reading.amperes)
            return "current-limit", f"the current reached {limit:g} A", limit, reading.volts
        return None
