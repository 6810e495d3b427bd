"""The base of every API type, and the metadata that Kubernetes gives each object. Not for behaviour."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "labkeeper.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = f"{GROUP}/prefect"

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1123 label, as Kubernetes asks of most names."""

DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
"""A name that another object is referred to by."""

PrefectName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/%&><]+$")]
"""A name in Prefect: anything without the characters that Prefect forbids."""


class Cel:
    """A CEL rule of the CRD and the sentence that a user reads when it fails."""

    def __init__(self, rule: str, message: str, *, field_path: str | None = None) -> None:
        self.rule = rule
        self.message = message
        self.field_path = field_path

    def as_dict(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        entry = {"rule": self.rule, "message": self.message}
        if self.field_path:
            entry["fieldPath"] = self.field_path
        return entry


def cel(*rules: Cel) -> dict[str, Any]:
    """JSON-schema extras that carry CEL rules for one field."""
    return {"x-kubernetes-validations": [rule.as_dict() for rule in rules]}


def all_different(values: list[str]) -> list[str]:
    """Refuse a value that stands twice, as the API server does in a list of type set."""
    twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice")
    return values


class ApiModel(BaseModel):
    """A part of an API object: camelCase on the wire, snake_case in Python, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=False,
        ser_json_inf_nan="null",
        allow_inf_nan=False,
    )

    cel_rules: ClassVar[tuple[Cel, ...]] = ()
    """CEL rules for the whole object, written into the CRD."""

    def wire(self) -> dict[str, Any]:
        """This object as JSON-ready data, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ObjectMeta(BaseModel):
    """The part of Kubernetes' ObjectMeta that Labkeeper reads. Fields it does not know pass through untouched."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", use_attribute_docstrings=True
    )

    name: str
    """Name of the object, unique for its kind in its namespace."""
    namespace: str = "default"
    """Namespace of the object."""
    uid: str = ""
    """Unique id that the API server gave it."""
    generation: int = 0
    """Counts changes of `spec`."""
    resource_version: str = ""
    """Opaque version of the whole object."""
    creation_timestamp: datetime | None = None
    """When the object was created."""
    deletion_timestamp: datetime | None = None
    """When its deletion was asked for."""
    finalizers: list[str] = Field(default_factory=list)
    """What must be done before the object may go."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for."""
        return self.deletion_timestamp is not None
