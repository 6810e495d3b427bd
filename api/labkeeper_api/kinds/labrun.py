"""LabRun: one run of a LabWorkflow, as Job is to CronJob."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from labkeeper_api.kinds.base import LabObject, PrinterColumn, Status
from labkeeper_api.kinds.labworkflow import FREE_FORM
from labkeeper_api.meta import ApiModel, Cel, Name, cel


class WorkflowRef(ApiModel):
    """A LabWorkflow of the same namespace."""

    name: Name
    """Its name."""


class LabRunSpec(ApiModel):
    """Which run is wanted. It cannot be changed: delete the LabRun to cancel it, create another to run again."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.workflowRef == oldSelf.workflowRef && has(self.parameters) == has(oldSelf.parameters)"
            " && (!has(self.parameters) || self.parameters == oldSelf.parameters)"
            " && has(self.startAt) == has(oldSelf.startAt)"
            " && (!has(self.startAt) || self.startAt == oldSelf.startAt)",
            "a LabRun is one run and cannot be changed: create another LabRun",
        ),
    )

    workflow_ref: WorkflowRef
    """The workflow to run."""
    parameters: Annotated[dict[str, Any], Field(json_schema_extra=FREE_FORM)] = {}
    """Parameters of this run, over those of the workflow."""
    start_at: datetime | None = None
    """When the run should start, with time zone; at once when it is not given."""
    ttl_seconds_after_finished: (
        Annotated[
            int,
            Field(
                ge=0,
                le=31536000,
                json_schema_extra=cel(Cel("self >= 0", "ttlSecondsAfterFinished cannot be negative")),
            ),
        ]
        | None
    ) = None
    """How long after its end, in seconds, the LabRun deletes itself; never when it is not given."""

    @field_validator("start_at")
    @classmethod
    def _zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("startAt needs a time zone: write 2026-01-01T09:00:00Z")
        return value


class LabRunStatus(Status):
    """How the run is getting on."""

    flow_run_id: str | None = None
    """Id of the flow run in Prefect."""
    flow_run_name: str | None = None
    """Name of the flow run in Prefect."""
    state: str | None = None
    """Name of its state in Prefect."""
    message: Annotated[str, Field(max_length=2048)] | None = None
    """What its state says."""
    started: datetime | None = None
    """When it started."""
    ended: datetime | None = None
    """When it ended."""
    result: Annotated[dict[str, Any], Field(json_schema_extra=FREE_FORM)] | None = None
    """What the run returned, where that is a small JSON object."""
    simulated: bool | None = None
    """True when a simulator carried it out."""
    url: str | None = None
    """The flow run in the Prefect UI."""


class LabRun(LabObject):
    """One run of a LabWorkflow: carried out exactly once, cancelled by deleting it."""

    kind: Literal["LabRun"] = "LabRun"
    spec: LabRunSpec
    status: LabRunStatus | None = None

    plural: ClassVar[str] = "labruns"
    short_name: ClassVar[str] = "lrun"
    status_model: ClassVar[type[Status]] = LabRunStatus
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Workflow", ".spec.workflowRef.name"),
        PrinterColumn("State", ".status.state"),
        PrinterColumn("Started", ".status.started", "date"),
        PrinterColumn("Ended", ".status.ended", "date"),
        PrinterColumn("Simulated", ".status.simulated", "boolean"),
        PrinterColumn("Flow Run", ".status.flowRunName", priority=1),
        PrinterColumn("Message", ".status.message", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )
