"""The canvas runs of this home, from their records: how they stand and whether they can be resumed. Only reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper_api.errors import Stalled
from labkeeper_flows.canvas_run.outcome import RunStatus
from labkeeper_flows.canvas_run.record import NAME, RunRecord

RESUMABLE = (None, RunStatus.SUSPENDED.value)
"""Ends that are none: broken off, or waiting for a person."""


@dataclass(frozen=True)
class KeptRun:
    """One run as its record tells. `state` is `broken off` where the record just ends, `damaged` where it is none."""

    id: str
    name: str
    state: str
    began: str
    ended: str
    dry_run: bool
    simulated: bool | None
    resumable: bool
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--output json`."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "began": self.began,
            "ended": self.ended,
            "dryRun": self.dry_run,
            "simulated": self.simulated,
            "resumable": self.resumable,
            "message": self.message,
        }


def kept_runs(home: Path) -> list[KeptRun]:
    """All runs of the home, the newest first."""
    root = home / "runs"
    folders = [path for path in root.iterdir() if RunRecord.exists(path)] if root.is_dir() else []
    return sorted((_kept(folder) for folder in folders), key=lambda run: run.began, reverse=True)


def _kept(folder: Path) -> KeptRun:
    try:
        record = RunRecord.load(folder)
    except Stalled as error:
        return KeptRun(folder.name, "", "damaged", "", "", False, None, False, error.message)
    header = record.header
    closes = [event for event in record.events if event["what"] == "close"]
    opens = [event for event in record.events if event["what"] == "open"]
    # A run that was resumed after it was suspended is open again until it is closed once more.
    last = next((e for e in reversed(record.events) if e["what"] in ("open", "close")), None)
    closed = str(closes[-1]["status"]) if closes and last is closes[-1] else None
    devices = opens[-1]["devices"] if opens else []
    return KeptRun(
        id=str(header["run_id"]),
        name=str(header["name"]),
        state=closed or "broken off, or under way",
        began=str(header["at"]),
        ended=str(closes[-1]["at"]) if closed and closes else "",
        dry_run=bool(header["dry_run"]),
        simulated=all(device["simulated"] for device in devices) if devices else None,
        resumable=closed in RESUMABLE,
    )


def progress(home: Path, run_id: str) -> str:
    """What a run that is under way does, in words; empty where this home has no record of it."""
    folder = home / "runs" / run_id
    if not RunRecord.exists(folder):
        return ""
    ended = 0
    last: dict[str, Any] = {}
    for line in (folder / NAME).read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            break  # it is being written
        if event["what"] == "begin":
            last = event
        ended += event["what"] == "end"
    return f"{last['node']}, cycle {last['cycle']} ({ended} done)" if last else "beginning"
