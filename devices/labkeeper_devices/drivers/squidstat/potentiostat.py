"""The potentiostat as an object: what is asked of it, with answers checked; experiments that are started once.

Not for configuration, sessions and results: that is `driver`; nor for watching a measurement: that is `watching`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_api.operations.squidstat import Element
from labkeeper_devices.drivers.squidstat.checks import AnyElement
from labkeeper_devices.drivers.squidstat.link import InstrumentLink, LinkLost, NoAnswer
from labkeeper_devices.wire.frames import PAGE

Shape = TypeVar("Shape", bound="_Answer")

_ELEMENTS: TypeAdapter[list[AnyElement]] = TypeAdapter(list[Element])


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Hello(_Answer):
    """Who answered."""

    model: str
    serial: str
    firmware: str
    channels: int
    voltage_limit_v: float
    current_limit_a: float


class Latest(_Answer):
    """The latest reading."""

    amperes: float
    volts: float


class ChannelStatus(_Answer):
    """What a channel does."""

    state: Literal["idle", "running", "done", "stopped"]
    experiment: str | None
    element: int | None = None
    at: float | None = None
    latest: Latest | None = None
    fault: str


class RecordSummary(_Answer):
    """One element of a report: how it ended, without its data."""

    technique: str
    columns: tuple[str, ...]
    expected_s: float
    points: int
    ended: str
    reason: str
    duration_s: float


class Report(_Answer):
    """The experiment that was started last on a channel."""

    experiment: str
    name: str
    state: str
    reason: str
    estimated_s: float
    elements: list[dict[str, Any]]
    records: list[RecordSummary]

    def typed(self) -> list[AnyElement]:
        """Its elements as they were built."""
        return _ELEMENTS.validate_python(self.elements)


class _Started(_Answer):
    experiment: str
    estimated_s: float


class _Rows(_Answer):
    rows: list[tuple[float, ...]]


class _Opened(_Answer):
    cell: Literal["open"]


@dataclass(frozen=True)
class Built:
    """An experiment before it is handed over."""

    elements: list[AnyElement]
    name: str | None
    two_electrodes: bool


class Potentiostat:
    """One instrument."""

    def __init__(self, link: InstrumentLink) -> None:
        self.link = link

    def hello(self) -> Hello:
        """Who answers. Raises `DeviceUnreachable`, `DeviceError`."""
        return self._as(Hello, "hello")

    def status(self, channel: int) -> ChannelStatus:
        """What a channel does. Raises `DeviceUnreachable`, `DeviceError`."""
        return self._as(ChannelStatus, "status", channel=channel)

    def report(self, channel: int) -> Report:
        """The experiment that was started last. Raises `Refused` with code `nothing` when there is none."""
        return self._as(Report, "report", channel=channel)

    def upload(self, channel: int, built: Built) -> None:
        """Hand an experiment over; it waits for its start."""
        elements = [element.model_dump(mode="json", exclude_none=True) for element in built.elements]
        self.link.ask(
            "upload", channel=channel, elements=elements, name=built.name, two_electrodes=built.two_electrodes
        )

    def start(self, channel: int) -> _Started:
        """Start what was uploaded, once. The experiment's id is chosen here, so that a lost answer can be looked up.

        Raises `DeviceError` when it did not start, `DeviceUnreachable` when nobody can say.
        """
        number = uuid.uuid4().hex
        try:
            return self._as(_Started, "start", channel=channel, experiment=number)
        except (NoAnswer, LinkLost) as error:
            self.link.open()
            if self.status(channel).experiment != number:
                raise DeviceError(f"{self.link.where} never started the experiment: {error}") from error
            return _Started(experiment=number, estimated_s=self.report(channel).estimated_s)

    def rows(self, channel: int, experiment: str, element: int, points: int) -> list[tuple[float, ...]]:
        """The data of one element, read in pages."""
        found: list[tuple[float, ...]] = []
        while len(found) < points:
            where = {"channel": channel, "experiment": experiment, "element": element, "first": len(found)}
            page = self._as(_Rows, "read", **where, count=PAGE).rows
            if not page:
                raise DeviceError(
                    f"{self.link.where} gave {len(found)} of {points} points of element {element} and no more"
                )
            found += page
        return found

    def end_element(self, channel: int, element: int, reason: str) -> None:
        """End the element under way; nothing happens when it has ended already."""
        self.link.ask("end-element", channel=channel, element=element, reason=reason)

    def stop(self, channel: int, reason: str) -> None:
        """End the experiment on a channel and confirm that the cell is open. Raises `DeviceUnreachable`."""
        self._as(_Opened, "stop", channel=channel, reason=reason)
        if self.status(channel).state == "running":
            raise DeviceUnreachable(
                f"{self.link.where} says that it stopped channel {channel}, and still measures there"
            )

    def open_cells(self, reason: str, channels: int) -> None:
        """Open the cells of all channels, from any thread, and confirm it. Raises `DeviceUnreachable`."""
        self._as(_Opened, "open-cells", reason=reason)
        measuring = [number for number in range(channels) if self.status(number).state == "running"]
        if measuring:
            raise DeviceUnreachable(f"{self.link.where} still measures on channels {measuring}")

    def _as(self, shape: type[Shape], do: str, **parameters: Any) -> Shape:
        answer = self.link.ask(do, **parameters)
        try:
            return shape.model_validate(answer)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DeviceError(f"{self.link.where} answers {do} with a wrong {place}: {first['msg']}") from error
