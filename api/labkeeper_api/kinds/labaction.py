"""LabAction: what a person does to a device. Immutable, so that it is a record as well as a request."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from labkeeper_api.kinds.base import LabObject, PrinterColumn, Status
from labkeeper_api.meta import ApiModel, Cel, Name


class Action(StrEnum):
    """What the person does."""

    ACKNOWLEDGE = "Acknowledge"
    RELEASE = "Release"


class Outcome(StrEnum):
    """What the person found on looking at the hardware."""

    COMPLETED = "Completed"
    NOT_COMPLETED = "NotCompleted"


class LabActionSpec(ApiModel):
    """What is done, to what, by whom and why."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel("self == oldSelf", "a LabAction is a record and cannot be changed: create another one"),
        Cel(
            "self.action != 'Acknowledge' || has(self.outcome)",
            "acknowledging needs an outcome: Completed, or NotCompleted, as a person saw it on the hardware",
            field_path=".outcome",
        ),
        Cel(
            "self.action == 'Acknowledge' || !has(self.outcome)",
            "outcome only goes with action Acknowledge",
            field_path=".outcome",
        ),
    )

    device: Name
    """The LabDevice."""
    unit: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """The unit of the device; may be left out where there is only one."""
    action: Action
    """`Acknowledge`: say how a command of unknown outcome really ended. `Release`: end an emergency stop."""
    outcome: Outcome | None = None
    """For Acknowledge: whether the command was completed."""
    reason: Annotated[str, Field(min_length=1, max_length=2048)]
    """What the person saw or why the person acts; kept in the journal."""
    requester: Annotated[str, Field(min_length=1, max_length=253)]
    """Who acts."""

    @model_validator(mode="after")
    def _sound(self) -> LabActionSpec:
        if self.action is Action.ACKNOWLEDGE and self.outcome is None:
            raise ValueError(
                "acknowledging needs an outcome: Completed, or NotCompleted, as a person saw it on the hardware"
            )
        if self.action is not Action.ACKNOWLEDGE and self.outcome is not None:
            raise ValueError("outcome only goes with action Acknowledge")
        return self


class LabActionStatus(Status):
    """Whether it was done."""


class LabAction(LabObject):
    """What a person does to a device: acknowledge a command of unknown outcome, or release an emergency stop."""

    kind: Literal["LabAction"] = "LabAction"
    spec: LabActionSpec
    status: LabActionStatus | None = None

    plural: ClassVar[str] = "labactions"
    short_name: ClassVar[str] = "lact"
    status_model: ClassVar[type[Status]] = LabActionStatus
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Device", ".spec.device"),
        PrinterColumn("Action", ".spec.action"),
        PrinterColumn("Outcome", ".spec.outcome"),
        PrinterColumn("Requester", ".spec.requester"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )
