"""LabWorkflow: what a scientist writes. The operator keeps it as a Prefect deployment with its schedules."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from labkeeper_api.kinds.base import (
    DeletionPolicy,
    LabObject,
    PrefectDeploymentNames,
    PrinterColumn,
    Status,
)
from labkeeper_api.meta import DNS_SUBDOMAIN, ApiModel, Cel, Name, all_different
from labkeeper_api.schedules import Schedule

ENTRYPOINT = "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*[.:][A-Za-z_][A-Za-z0-9_]*$"
"""A module path and a function: `package.module:function`."""

FREE_FORM = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


MAX_INLINE = 65536
"""Most characters of a document that stands in the resource itself; a longer one is kept in a ConfigMap or a file."""

ONE_SOURCE = (
    "give exactly one flow source: flow.name for a flow of the catalog, flow.entrypoint for a function in job.image, "
    "flow.canvas for a canvas, or flow.protocol for an Opentrons protocol"
)
ONE_CANVAS = "give exactly one of canvas.inline, canvas.configMapRef and canvas.file"
ONE_PROTOCOL = "give exactly one of protocol.configMapRef and protocol.file"
DRY_RUN = "dryRun is for flow.canvas and flow.protocol; for other flows, simulate is a field of the LabDevice"


class ConfigMapRef(ApiModel):
    """One document in a ConfigMap of the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern="^[-._a-zA-Z0-9]+$")]
    """Key in its `data`."""


DocumentFile = Annotated[str, Field(min_length=1, max_length=1024)]


class CanvasSource(ApiModel):
    """A canvas: the nodes of an experiment and how they follow each other, as JSON."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel("[has(self.inline), has(self.configMapRef), has(self.file)].filter(given, given).size() == 1", ONE_CANVAS),
    )

    inline: Annotated[str, Field(min_length=1, max_length=MAX_INLINE)] | None = None
    """The text of the canvas."""
    config_map_ref: ConfigMapRef | None = None
    """The ConfigMap that holds the text."""
    file: DocumentFile | None = None
    """With `labkeeper run` and `labkeeper up`: its path relative to the manifest. A cluster cannot read it."""

    @model_validator(mode="after")
    def _one(self) -> CanvasSource:
        if [self.inline, self.config_map_ref, self.file].count(None) != 2:
            raise ValueError(ONE_CANVAS)
        return self


class ProtocolSource(ApiModel):
    """An Opentrons protocol, in Python or in JSON; the robot analyses it before anything moves."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel("[has(self.configMapRef), has(self.file)].filter(given, given).size() == 1", ONE_PROTOCOL),
    )

    config_map_ref: ConfigMapRef | None = None
    """The ConfigMap that holds the text; its key ends in `.py` or `.json`."""
    file: DocumentFile | None = None
    """With `labkeeper run` and `labkeeper up`: its path relative to the manifest. A cluster cannot read it."""

    @model_validator(mode="after")
    def _one(self) -> ProtocolSource:
        if (self.config_map_ref is None) == (self.file is None):
            raise ValueError(ONE_PROTOCOL)
        return self


class FlowSource(ApiModel):
    """What is run: exactly one source."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "[has(self.name), has(self.entrypoint), has(self.canvas), has(self.protocol)]"
            ".filter(given, given).size() == 1",
            ONE_SOURCE,
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """A flow of the built-in catalog, such as `plate-resort.activate-hotel`; `labkeeper flows` lists them."""
    entrypoint: Annotated[str, Field(min_length=3, max_length=300, pattern=ENTRYPOINT)] | None = None
    """Module path of a Prefect flow, such as `my_lab.flows:measure`, importable where the run is carried out."""
    canvas: CanvasSource | None = None
    """A canvas; it runs on a pool of type kubernetes, with each device through the agent that owns it."""
    protocol: ProtocolSource | None = None
    """An Opentrons protocol; it runs on a pool of type kubernetes, on the robot through the agent that owns it."""

    @model_validator(mode="after")
    def _one_source(self) -> FlowSource:
        if [self.name, self.entrypoint, self.canvas, self.protocol].count(None) != 3:
            raise ValueError(ONE_SOURCE)
        return self


class Placement(ApiModel):
    """Where runs wait and are carried out."""

    pool: Name
    """A LabPool of the same namespace."""
    queue: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """A queue of that pool; Prefect's `default` queue when it is not given."""


class OnConflict(StrEnum):
    """What happens to a run that would exceed the limit."""

    QUEUE = "Queue"
    SKIP = "Skip"


class Concurrency(ApiModel):
    """How many runs of this workflow may be under way at once."""

    limit: Annotated[int, Field(ge=1, le=10000)]
    """Most runs at once."""
    on_conflict: OnConflict = OnConflict.QUEUE
    """`Queue`: a run over the limit waits. `Skip`: it is cancelled."""


class JobTemplate(ApiModel):
    """How a run on a kubernetes pool is carried out."""

    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Container image that holds the flow; the pool's default when it is not given."""


class LabWorkflowSpec(ApiModel):
    """What the workflow should be."""

    cel_rules: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "!has(self.retries) || self.retries >= 0",
            "retries cannot be negative: 0 means that a failed run is not tried again",
            field_path=".retries",
        ),
        Cel(
            "!has(self.dryRun) || !self.dryRun || has(self.flow.canvas) || has(self.flow.protocol)",
            DRY_RUN,
            field_path=".dryRun",
        ),
    )

    flow: FlowSource
    """What is run."""
    placement: Placement
    """Where it is run."""
    description: Annotated[str, Field(max_length=4096)] | None = None
    """What the workflow is for, shown in Prefect."""
    parameters: Annotated[dict[str, Any], Field(json_schema_extra=FREE_FORM)] = {}
    """Parameters of every run, checked against the flow's schema; a run may override them."""
    schedules: Annotated[
        list[Schedule],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """When the workflow runs by itself."""
    suspend: bool = False
    """Hold back all schedules; a LabRun still runs."""
    concurrency: Concurrency | None = None
    """How many runs may be under way at once; no limit when it is not given."""
    retries: Annotated[int, Field(le=100)] = 0
    """How often a failed run is tried again. Refused for flows that move hardware and are not idempotent."""
    retry_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    """How long to wait before each retry, in seconds."""
    timeout_seconds: Annotated[int, Field(ge=1, le=2592000)] | None = None
    """A run that takes longer, in seconds, is stopped and fails."""
    dry_run: bool = False
    """For canvases and protocols: run on simulated devices only. A device that is not simulated refuses the run."""
    job: JobTemplate | None = None
    """How a run on a kubernetes pool is carried out."""
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=120)]],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(all_different),
    ] = []
    """Tags of the deployment and its runs in Prefect."""
    prefect: PrefectDeploymentNames | None = None
    """Names in Prefect that differ from the generated ones."""
    adopt: bool = False
    """Take over a deployment of that name that someone else made."""
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """Whether the deployment is deleted together with this resource, or left behind."""

    @model_validator(mode="after")
    def _sound(self) -> LabWorkflowSpec:
        if self.retries < 0:
            raise ValueError("retries cannot be negative: 0 means that a failed run is not tried again")
        if self.dry_run and self.flow.canvas is None and self.flow.protocol is None:
            raise ValueError(DRY_RUN)
        names = [schedule.name for schedule in self.schedules]
        if len(set(names)) != len(names):
            raise ValueError("two schedules have the same name: every name may stand once")
        return self


class RunSummary(ApiModel):
    """One run of the workflow, in short."""

    id: str
    """Id of the flow run in Prefect."""
    name: str = ""
    """Name of the flow run in Prefect."""
    state: str
    """Name of its state in Prefect."""
    started: datetime | None = None
    """When it started."""
    ended: datetime | None = None
    """When it ended."""
    message: Annotated[str, Field(max_length=2048)] = ""
    """What its state says."""
    simulated: bool | None = None
    """True when a simulator carried it out."""


class RunCounts(ApiModel):
    """How many runs ended how."""

    completed: int = 0
    """Runs that completed."""
    failed: int = 0
    """Runs that failed."""
    crashed: int = 0
    """Runs that crashed: their outcome was not reported by themselves."""
    cancelled: int = 0
    """Runs that were cancelled."""


class LabWorkflowStatus(Status):
    """What the workflow is."""

    deployment_id: str | None = None
    """Id of the deployment in Prefect."""
    deployment_name: str | None = None
    """`flow/deployment` in Prefect."""
    physical: bool | None = None
    """Whether the flow moves hardware, as the catalog says."""
    last_run: RunSummary | None = None
    """The run that changed last."""
    next_run: datetime | None = None
    """When the next scheduled run is due."""
    runs: RunCounts | None = None
    """How many runs ended how."""
    url: str | None = None
    """The deployment in the Prefect UI."""


class LabWorkflow(LabObject):
    """What a scientist writes: a flow with parameters, schedules and a place to run, kept as a Prefect deployment."""

    kind: Literal["LabWorkflow"] = "LabWorkflow"
    spec: LabWorkflowSpec
    status: LabWorkflowStatus | None = None

    plural: ClassVar[str] = "labworkflows"
    short_name: ClassVar[str] = "lwf"
    status_model: ClassVar[type[Status]] = LabWorkflowStatus
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Flow", ".spec.flow..['name','entrypoint','file']", description="What is run"),
        PrinterColumn("Pool", ".spec.placement.pool", description="LabPool that it runs on"),
        PrinterColumn("Last", ".status.lastRun.state", description="State of the last run"),
        PrinterColumn("Ended", ".status.lastRun.ended", "date", "When the last run ended"),
        PrinterColumn("Next", ".status.nextRun", description="When the next scheduled run is due"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Deployment", ".status.deploymentName", priority=1),
        PrinterColumn("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )
