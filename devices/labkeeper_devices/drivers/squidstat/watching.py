"""Watches an experiment until it ends, holds it to its limits meanwhile, and brings its data home.

The instrument ends elements at their limits by itself. The driver looks at each reading it sees as well and ends what
the instrument did not: nobody has to trust its firmware. An interrupted wait stops the experiment. Not for starting
one: that is `potentiostat`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.squidstat.checks import AnyElement
from labkeeper_devices.drivers.squidstat.link import LinkLost, Refused
from labkeeper_devices.drivers.squidstat.potentiostat import ChannelStatus, Potentiostat, RecordSummary, Report
from labkeeper_devices.drivers.squidstat.settings import PotentiostatConfig

Answer = TypeVar("Answer")

VOLT_SLACK: Final = 0.005
"""V beyond a limit that noise and the instrument's own reaction explain."""
AMPERE_SLACK: Final = 1.02
OVERTIME: Final = 1.5
"""How many times its estimate an experiment may take before a standstill ends it."""
RECONNECT_S: Final = 0.2


class _Progress:
    """Whether an experiment got stuck: its time is over, and it did not go on for so long."""

    def __init__(self, seconds: float, still_s: float) -> None:
        self._end = time.monotonic() + seconds
        self._still_s = still_s
        self._last: tuple[int | None, float | None] = (None, None)
        self._moved = time.monotonic()

    def stuck(self, status: ChannelStatus, now: float) -> bool:
        """Take a status at a time in real seconds."""
        here = (status.element, status.at)
        if here != self._last:
            self._last, self._moved = here, now
        return now > self._end and now - self._moved > self._still_s


class Watch:
    """One wait for one channel."""

    def __init__(
        self,
        potentiostat: Potentiostat,
        config: PotentiostatConfig,
        time_factor: float,
        check: Callable[[], None],
        interrupt: Interrupt,
    ) -> None:
        """`check` raises `Interrupted` when the wait should end."""
        self._potentiostat = potentiostat
        self._config = config
        self._factor = time_factor
        self._check = check
        self._interrupt = interrupt

    def until_idle(self, channel: int, wanted: str | None, poll_s: float) -> Report:
        """Wait for the end of the experiment on a channel. `wanted`: its id, where it is known.

        Raises `DeviceError` when there is no such experiment any more, or it was stopped; `Interrupted` after it was
        stopped on request; `DeviceUnreachable` when nobody can say what it does.
        """
        try:
            return self._until_idle(channel, wanted, poll_s)
        except Interrupted as error:
            self._potentiostat.link.open()
            self._potentiostat.stop(channel, error.cause)
            raise Interrupted(error.cause, f"{error}; the experiment was stopped and the cell is open") from error

    def _until_idle(self, channel: int, wanted: str | None, poll_s: float) -> Report:
        report = self._kept(channel, wanted)
        elements = report.typed()
        progress = _Progress(report.estimated_s * OVERTIME / self._factor, self._still_s(elements))
        while True:
            self._check()
            status = self._again(lambda: self._potentiostat.status(channel))
            if status.experiment != report.experiment:
                raise DeviceError(self._lost(report.experiment))
            if status.state != "running":
                break
            self._enforce(channel, status, elements)
            if progress.stuck(status, time.monotonic()):
                self._potentiostat.stop(channel, "overtime")
                raise DeviceError(
                    f"experiment {report.experiment} should have taken {report.estimated_s:.0f} s and did not end; it "
                    "was stopped and the cell is open"
                )
            self._interrupt.sleep(poll_s)
        report = self._kept(channel, report.experiment)
        if report.state != "done":
            raise DeviceError(
                f"experiment {report.experiment} was stopped ({report.reason}) in element {len(report.records)} of "
                f"{len(elements)}: its data are not complete"
            )
        return report

    def data(self, channel: int, report: Report, columns: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
        """The elements with their data as columns. `columns`: which are wanted under `dc` and `ac`."""
        return [self._element(channel, report, index, element, columns) for index, element in enumerate(report.typed())]

    def _element(
        self, channel: int, report: Report, index: int, element: AnyElement, columns: dict[str, tuple[str, ...]]
    ) -> dict[str, Any]:
        record = report.records[index]
        rows = self._again(lambda: self._potentiostat.rows(channel, report.experiment, index, record.points))
        values = dict(zip(record.columns, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
        kind = "ac" if element.technique == "PEIS" else "dc"
        found = {
            "index": index,
            "technique": element.technique,
            "points": len(rows),
            "ended": record.ended,
            "ended_early": record.ended != "completed",
            "reason": record.reason,
            "expected_s": round(record.expected_s, 6),
            "duration_s": round(record.duration_s, 6),
            "dc": {},
            "ac": {},
            kind: {name: values.get(name, []) for name in columns[kind]},
        }
        return {**found, **_extras(element, record, values)}

    def _still_s(self, elements: list[AnyElement]) -> float:
        """Real seconds without a reading that mean that there will be none: longer than any one takes."""
        longest = max(
            element.minimum_cycles / min(element.start_hz, element.end_hz)
            if element.technique == "PEIS"
            else element.sample_interval_s
            for element in elements
        )
        return self._config.timeout / 2 + 2 * longest / self._factor

    def _enforce(self, channel: int, status: ChannelStatus, elements: list[AnyElement]) -> None:
        """End what is beyond its limits and still goes on."""
        latest, index = status.latest, status.element
        if latest is None or index is None:
            return
        element, limit = elements[index], self._config.voltage_limit_v
        low, high = -limit, limit
        if element.technique == "CP":
            low = element.voltage_min_v if element.voltage_min_v is not None else low
            high = element.voltage_max_v if element.voltage_max_v is not None else high
            if not low - VOLT_SLACK <= latest.volts <= high + VOLT_SLACK:
                reason = f"the driver saw {latest.volts:.3f} V, beyond {low:g} to {high:g} V, and ended it"
                self._potentiostat.end_element(channel, index, reason)
        if abs(latest.amperes) > self._config.current_limit_a * AMPERE_SLACK:
            reason = f"the driver saw {latest.amperes:.4f} A, beyond {self._config.current_limit_a:g} A, and ended it"
            self._potentiostat.end_element(channel, index, reason)

    def _kept(self, channel: int, wanted: str | None) -> Report:
        """The experiment that the instrument keeps; the one that is wanted."""
        try:
            report = self._again(lambda: self._potentiostat.report(channel))
        except Refused as error:
            if error.code != "nothing":
                raise
            raise DeviceError(self._lost(wanted)) from error
        if wanted is not None and report.experiment != wanted:
            raise DeviceError(self._lost(wanted))
        return report

    def _lost(self, wanted: str | None) -> str:
        where = self._potentiostat.link.where
        if wanted is None:
            return (
                f"{where} keeps no experiment: none was started since its power came on, and what was measured before "
                "that is lost"
            )
        return f"{where} lost its power: the data of experiment {wanted} are lost"

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        """Ask; when the connection is lost, make a new one, for as long as an answer may take. Measuring goes on."""
        end = time.monotonic() + self._config.timeout
        while True:
            try:
                self._potentiostat.link.open()
                return ask()
            except LinkLost as error:
                if time.monotonic() > end:
                    raise DeviceUnreachable(f"{error}; nobody knows what the experiment does") from error
            self._interrupt.sleep(RECONNECT_S)


def _extras(element: AnyElement, record: RecordSummary, values: dict[str, list[float]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if element.technique == "CVA" and element.variant is not None:
        found["variant"] = element.variant
    if element.technique == "OCV" and element.stability_threshold_v is not None and record.points:
        volts = values["we_voltage_V"]
        last = volts[-max(2, len(volts) // 10) :]
        drift = max(last) - min(last)
        found |= {"drift_v": drift, "stable": drift <= element.stability_threshold_v}
    return found
