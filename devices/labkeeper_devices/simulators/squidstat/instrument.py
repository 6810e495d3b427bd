"""The simulated potentiostat: what it does with requests. Pure: the time is passed in. Not for sockets: see `process`.

Requests by `do`, all with `channel` but the first and the last:

    hello                               model, serial, firmware, channels, limits
    status                              state (idle, running, done, stopped), experiment, element, latest reading
    upload      elements, name, two_electrodes      keeps an experiment for the next start; disturbs nothing
    start       experiment              begins what was uploaded last, under the id that the host chose
    report                              the elements of the experiment started last, and how each ended
    read        element, first, count   rows of one element
    end-element element, reason         the host ends an element; the next one begins
    stop        reason                  ends the experiment and opens the cell
    open-cells  reason                  the same on all channels, at once

What was measured stays until the next start on the channel, or until the power goes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from labkeeper_devices.simulators.squidstat.cell import Cell
from labkeeper_devices.simulators.squidstat.experiment import Experiment, Limits
from labkeeper_devices.wire.frames import PAGE

MODEL: Final = "simulated potentiostat"
FIRMWARE: Final = "1"
LONGEST_REST: Final = 600.0
"""s of rest between experiments that are worked out; after that a cell has come to rest."""
REST_STEP: Final = 1.0
KEPT_REQUESTS: Final = 5000


class Refusal(Exception):
    """The instrument does not do what it was asked to."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Uploaded:
    """An experiment that waits for its start."""

    elements: list[dict[str, Any]]
    name: str
    two_electrodes: bool


@dataclass
class Channel:
    """One channel with its cell."""

    cell: Cell
    noise: Random
    since: float
    uploaded: Uploaded | None = None
    name: str = ""
    experiment: Experiment | None = None
    started: list[str] = field(default_factory=list)
    """Ids of all experiments that were really started: the truth for tests."""


class Instrument:
    """One potentiostat with a cell on each channel."""

    def __init__(self, channels: int, seed: int, limits: Limits, now: float) -> None:
        self._seed = seed
        self.limits = limits
        self.boots = 0
        self.fault = ""
        self.heeds_limits = True
        self.hangs = False
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.channels = [Channel(Cell(), Random(seed + number), now) for number in range(channels)]  # noqa: S311
        self._handlers: dict[str, Callable[[dict[str, Any], float], dict[str, Any]]] = {
            "hello": self._hello,
            "status": self._status,
            "upload": self._upload,
            "start": self._start,
            "report": self._report,
            "read": self._read,
            "end-element": self._end_element,
            "stop": self._stop,
            "open-cells": self._open_cells,
        }

    @property
    def running(self) -> bool:
        """Whether anything is measured."""
        return any(one.experiment is not None and one.experiment.state == "running" for one in self.channels)

    def advance(self, now: float) -> bool:
        """Let the time pass on all channels; False when there is more to work out."""
        done = [one.experiment.advance(now) for one in self.channels if one.experiment is not None]
        return all(done)

    def handle(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        """Do what is asked; the answer without id. Raises `Refusal`."""
        handler = self._handlers.get(str(request.get("do")))
        if handler is None:
            raise Refusal(
                "unknown", f"there is no request {request.get('do')!r}; there are {', '.join(self._handlers)}"
            )
        if request["do"] not in ("status", "read", "report", "hello"):
            self.log.append({"at": now, **{key: value for key, value in request.items() if key != "id"}})
        try:
            return handler(request, now)
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal("malformed", f"{request['do']}: {type(error).__name__}: {error}") from error

    def lose_power(self, now: float) -> None:
        """Power off and on again: uploads and data are gone, cells keep their chemistry."""
        self.advance(now)
        self.boots += 1
        for channel in self.channels:
            channel.uploaded = channel.experiment = None
            channel.since = now

    def _hello(self, _: dict[str, Any], __: float) -> dict[str, Any]:
        return {
            "model": MODEL,
            "serial": f"SIM-{self._seed}",
            "firmware": FIRMWARE,
            "channels": len(self.channels),
            "voltage_limit_v": self.limits.volts,
            "current_limit_a": self.limits.amperes,
        }

    def _status(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        channel = self._channel(request)
        experiment = channel.experiment
        if experiment is None:
            return {"state": "idle", "experiment": None, "fault": self.fault, "boots": self.boots}
        experiment.advance(now)
        latest = experiment.latest
        return {
            "state": experiment.state,
            "experiment": experiment.id,
            "element": len(experiment.records) - 1,
            "at": experiment.at,
            "latest": None if latest is None else {"amperes": latest.amperes, "volts": latest.volts},
            "fault": self.fault,
            "boots": self.boots,
        }

    def _upload(self, request: dict[str, Any], _: float) -> dict[str, Any]:
        elements = [dict(element) for element in request["elements"]]
        channel = self._channel(request)
        channel.uploaded = Uploaded(elements, str(request["name"] or ""), bool(request["two_electrodes"]))
        return {"elements": len(elements)}

    def _start(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        channel = self._channel(request)
        if self.fault:
            raise Refusal("fault", self.fault)
        if channel.experiment is not None:
            channel.experiment.advance(now)
            if channel.experiment.state == "running":
                raise Refusal("busy", f"experiment {channel.experiment.id} is still running")
        uploaded = channel.uploaded
        if uploaded is None:
            raise Refusal("nothing", "no experiment was uploaded")
        self._rest(channel, now)
        channel.uploaded = None
        channel.cell.use_reference(own=not uploaded.two_electrodes)
        made = Experiment(str(request["experiment"]), uploaded.elements, channel.cell, channel.noise, self.limits, now)
        made.heeds_limits, made.hangs = self.heeds_limits, self.hangs
        channel.experiment, channel.name = made, uploaded.name
        channel.started.append(made.id)
        return {"experiment": made.id, "estimated_s": made.estimated_s}

    def _report(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        channel, experiment = self._measured(request, now)
        return {
            "experiment": experiment.id,
            "name": channel.name,
            "state": experiment.state,
            "reason": experiment.reason,
            "estimated_s": experiment.estimated_s,
            "elements": list(experiment.elements),
            "records": [record.summary() for record in experiment.records],
        }

    def _read(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        _, experiment = self._measured(request, now)
        if experiment.id != request["experiment"]:
            raise Refusal("gone", f"experiment {request['experiment']} is not kept any more")
        first, count = int(request["first"]), min(int(request["count"]), PAGE)
        return {"rows": experiment.records[int(request["element"])].rows[first : first + count]}

    def _end_element(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        _, experiment = self._measured(request, now)
        experiment.end_element(int(request["element"]), str(request["reason"]), now)
        return {}

    def _stop(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        return self._open(self._channel(request), str(request["reason"]), now)

    def _open_cells(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        for channel in self.channels:
            self._open(channel, str(request["reason"]), now)
        return {"cell": "open"}

    def _open(self, channel: Channel, reason: str, now: float) -> dict[str, Any]:
        if channel.experiment is not None:
            channel.experiment.stop("stopped", reason, now)
            channel.since = now
        return {"cell": "open"}

    def _rest(self, channel: Channel, now: float) -> None:
        """The cell was left alone since the last experiment."""
        last = channel.experiment
        since = channel.since
        if last is not None:
            since = max(record.began + record.duration_s for record in last.records)
        for _ in range(int(min(now - since, LONGEST_REST) / REST_STEP)):
            channel.cell.rest(REST_STEP)

    def _measured(self, request: dict[str, Any], now: float) -> tuple[Channel, Experiment]:
        channel = self._channel(request)
        if channel.experiment is None:
            raise Refusal("nothing", "no experiment was started on this channel since the power came on")
        channel.experiment.advance(now)
        return channel, channel.experiment

    def _channel(self, request: dict[str, Any]) -> Channel:
        number = int(request["channel"])
        if not 0 <= number < len(self.channels):
            raise Refusal("channel", f"there is no channel {number}; there are {len(self.channels)}, from 0 on")
        return self.channels[number]
