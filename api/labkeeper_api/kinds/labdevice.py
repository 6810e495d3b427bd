"""LabDevice: a kind of hardware, how to reach it and which pool it serves. Each place that has it is one unit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from labkeeper_api.kinds.base import LabObject, PrinterColumn, Status
from labkeeper_api.meta import ApiModel, Cel, Name, all_different

MAX_CONFIG = 65536

ADDRESS = "^[A-Za-z0-9_.-]+(:[0-9]{1,5})?$"


class Connection(ApiModel):
    """How the hardware is reached. What is given here wins over the driver's own configuration."""

    port: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Serial port, such as `/dev/ttyUSB0`."""
    baudrate: Annotated[int, Field(ge=9600, le=4500000)] | None = None
    """Speed of the serial line in bits per second."""
    id: Annotated[int, Field(ge=0, le=252)] | None = None
    """Id of the servo on its bus."""
    address: Annotated[str, Field(min_length=1, max_length=256, pattern=ADDRESS)] | None = None
    """Host name or IP address of a device on the network, with `:port` where it differs from the driver's usual one."""
    aliases: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(all_different),
    ] = []
    """What canvases and scripts of others call this device, such as `COM4` or `169.254.69.185`."""


class DriverConfig(ApiModel):
    """The driver's own configuration, as the device's guide writes it. Later files win over earlier ones."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.inline), has(self.files)].filter(given, given).size() == 1",
            "give exactly one of config.inline and config.files",
        ),
    )

    inline: Annotated[str, Field(min_length=1, max_length=MAX_CONFIG)] | None = None
    """The text of the configuration file."""
    files: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(min_length=1, max_length=8)] | None
    ) = None
    """Paths on the unit's host; with `labkeeper run` and `labkeeper up`, relative to the manifest."""

    @model_validator(mode="after")
    def _one(self) -> DriverConfig:
        if (self.inline is None) == (self.files is None):
            raise ValueError("give exactly one of config.inline and config.files")
        return self


class Simulate(ApiModel):
    """Drive a simulator instead of hardware. Every result then says `simulated: true`."""

    time_factor: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """How many times faster than real time the simulator moves; recorded in every result."""


class LabDeviceSpec(ApiModel):
    """What the device is and whom it serves."""

    driver: Annotated[str, Field(min_length=1, max_length=63)]
    """Driver that knows the hardware, such as `plate-resort`."""
    pool: Name
    """The LabPool whose runs its units claim."""
    queues: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(all_different),
    ] = []
    """The queues of the pool that it serves; all of them when none is given."""
    connection: Connection | None = None
    """How the hardware is reached."""
    config: DriverConfig | None = None
    """The driver's own configuration."""
    simulate: Simulate | None = None
    """Drive a simulator instead of hardware. Never happens unless it stands here."""


class UnitState(StrEnum):
    """What a unit is doing."""

    IDLE = "Idle"
    BUSY = "Busy"
    HELD = "Held"
    STOPPED = "Stopped"
    FAULTED = "Faulted"
    OFFLINE = "Offline"


class UnitStatus(ApiModel):
    """One unit of the device: one place that has the hardware."""

    name: Annotated[str, Field(max_length=253)]
    """Name of the unit, as the worker in Prefect."""
    state: Literal["Online", "Offline"]
    """Whether its agent is heard of."""


class LabDeviceStatus(Status):
    """How its units are."""

    units: Annotated[
        list[UnitStatus],
        Field(
            max_length=256,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """The units whose agents serve the pool."""
    online: int | None = None
    """How many units are online."""


class LabDevice(LabObject):
    """Hardware of the lab: its driver, its connection and the pool whose runs its units carry out."""

    kind: Literal["LabDevice"] = "LabDevice"
    spec: LabDeviceSpec
    status: LabDeviceStatus | None = None

    plural: ClassVar[str] = "labdevices"
    short_name: ClassVar[str] = "ldev"
    status_model: ClassVar[type[Status]] = LabDeviceStatus
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Driver", ".spec.driver"),
        PrinterColumn("Pool", ".spec.pool"),
        PrinterColumn("Units", ".status.online", "integer", "Units online"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )
