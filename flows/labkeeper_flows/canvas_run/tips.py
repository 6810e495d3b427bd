"""The lab's tip ledger: which tips of which rack of which robot are gone, from run to run, in one JSON file.

A tip is noted before it is picked up, with the command that takes it: after a crash it counts as gone for everybody
but that very command. Not for planning: that is `canvas.ledgers`, which is handed what is gone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkeeper_api.errors import Stalled
from labkeeper_flows.canvas_run import durable

Racks = dict[str, dict[str, str]]


class TipStore:
    """One file for all robots of a home: robot unit -> rack -> tip -> who took it. Safe between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def used(self, unit: str) -> dict[str, tuple[str, ...]]:
        """Rack -> tips that are gone, for `PlanInputs.tips` and `TipLedger`."""
        with self._locked():
            return {rack: tuple(tips) for rack, tips in self._read().get(unit, {}).items() if tips}

    def take(self, unit: str, rack: str, well: str, taker: str) -> bool:
        """Note that a tip goes; False if another than `taker` took it before."""
        with self._locked():
            units = self._read()
            tips = units.setdefault(unit, {}).setdefault(rack, {})
            if well in tips:
                return tips[well] == taker
            tips[well] = taker
            self._write(units)
            return True

    def give_back(self, unit: str, rack: str, well: str, taker: str) -> None:
        """The command was refused before anything moved: the tip is still there."""
        with self._locked():
            units = self._read()
            tips = units.get(unit, {}).get(rack, {})
            if tips.get(well) == taker:
                del tips[well]
                self._write(units)

    def reset(self, unit: str, rack: str | None = None) -> int:
        """A new rack stands there, or new ones everywhere; how many tips were gone."""
        with self._locked():
            units = self._read()
            racks = units.get(unit, {})
            chosen = list(racks) if rack is None else [rack]
            gone = sum(len(racks.pop(name, {})) for name in chosen)
            self._write(units)
            return gone

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Racks]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return {}
        try:
            found = json.loads(text)
        except ValueError as error:
            raise Stalled("TipLedger", f"{self._path} cannot be read ({error}): put it right, or reset it") from error
        if not isinstance(found, dict):
            raise Stalled("TipLedger", f"{self._path} holds no tip ledger: put it right, or reset it")
        return found

    def _write(self, units: dict[str, Any]) -> None:
        try:
            durable.write_json(self._path, units)
        except OSError as error:
            raise Stalled("TipLedger", f"{self._path} cannot be written: {error.strerror}") from error
