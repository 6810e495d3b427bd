"""What all kinds share: the object envelope, conditions in `status`, and how `kubectl get` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from labkeeper_api.conditions import Conditions
from labkeeper_api.meta import ApiModel, ObjectMeta

SECONDS_IN_A_WEEK = 7 * 24 * 3600


class DeletionPolicy(StrEnum):
    """What happens to the Prefect object when the resource is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


@dataclass(frozen=True)
class PrinterColumn:
    """One column of `kubectl get`; `priority` 1 shows with `-o wide` only."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date", "boolean"] = "string"
    description: str = ""
    priority: int = 0


class Status(ApiModel):
    """The part of `status` that every kind has."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: int | None = None
    """The generation of `spec` that this status speaks of."""
    conditions: Conditions = []
    """What is the case now: Ready, Reconciling, Stalled (kstatus), and for runs Complete and Failed."""


class LabObject(ApiModel):
    """An object of one of the kinds: envelope, spec and status."""

    api_version: Literal["labkeeper.dev/v1alpha1"] = "labkeeper.dev/v1alpha1"
    kind: str
    metadata: ObjectMeta

    plural: ClassVar[str]
    short_name: ClassVar[str]
    status_model: ClassVar[type[Status]]
    columns: ClassVar[tuple[PrinterColumn, ...]]

    @classmethod
    def kind_name(cls) -> str:
        """The kind as it stands in a manifest."""
        return cls.__name__


class PrefectPoolNames(ApiModel):
    """Names in Prefect that differ from the generated ones."""

    pool_name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/%&><]+$")] | None = None
    """Name of the work pool in Prefect; `<namespace>.<name>` when it is not given."""


class PrefectDeploymentNames(ApiModel):
    """Names in Prefect that differ from the generated ones, so that `flow/deployment` is what a guide prints."""

    flow_name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/%&><]+$")] | None = None
    """Name of the flow in Prefect; when it is not given, that of the catalog entry or of the function."""
    deployment_name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/%&><]+$")] | None = None
    """Name of the deployment in Prefect; `<namespace>.<name>` when it is not given."""
