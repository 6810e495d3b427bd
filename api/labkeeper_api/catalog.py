"""The flow catalog: what `flow.name` of a LabWorkflow may say, as data.

The operator reads it from a file that `make manifests` generates, so that it never imports a flow or a driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel, ConfigDict, Field

from labkeeper_api.errors import Problem
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_api.operations import OPERATIONS, OperationSpec


class CatalogEntry(BaseModel):
    """One flow of the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+$")]
    """What a LabWorkflow says, such as `plate-resort.activate-hotel`."""
    flow_name: str
    """Name of the flow in Prefect."""
    description: str
    """What it does, in a sentence."""
    pool_type: PoolType
    """Type of pool that can carry it out."""
    driver: str | None = None
    """For device flows: the driver whose units can carry it out."""
    operation: str | None = None
    """For device flows: the operation, as `driver.operation`."""
    physical: bool
    """Whether it moves hardware."""
    idempotent: bool
    """Whether doing it twice is the same as doing it once."""
    parameter_schema: dict[str, Any]
    """JSON schema of its parameters."""

    @classmethod
    def of_operation(cls, spec: OperationSpec) -> CatalogEntry:
        """The device flow that carries out one driver operation."""
        slug = spec.name.replace("_", "-")
        return cls(
            name=f"{spec.driver}.{slug}",
            flow_name=slug,
            description=spec.summary,
            pool_type=PoolType.DEVICE,
            driver=spec.driver,
            operation=spec.key,
            physical=spec.physical,
            idempotent=spec.idempotent,
            parameter_schema=spec.parameter_schema(),
        )


class Catalog(BaseModel):
    """All flows of the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    entries: tuple[CatalogEntry, ...]

    def get(self, name: str) -> CatalogEntry | None:
        """The entry of that name, if there is one."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def names(self) -> list[str]:
        """All names in alphabetical order."""
        return sorted(entry.name for entry in self.entries)


def builtin_catalog() -> Catalog:
    """The catalog of this release."""
    entries = (CatalogEntry.of_operation(spec) for spec in OPERATIONS.values())
    return Catalog(entries=tuple(sorted(entries, key=lambda entry: entry.name)))


def parameter_problems(
    schema: Mapping[str, Any], parameters: Mapping[str, Any], *, complete: bool, path: str = "spec.parameters"
) -> list[Problem]:
    """Everything that is wrong with `parameters` against a flow's schema.

    With `complete` False, parameters that are required but not given are no problem: a run may still give them.
    """
    checked = dict(schema)
    if not complete:
        checked.pop("required", None)
    errors: Iterable[ValidationError] = Draft202012Validator(checked).iter_errors(dict(parameters))
    found = [Problem(_path(path, error), error.message, _hint(schema, error)) for error in errors]
    return sorted(found)


def _path(base: str, error: ValidationError) -> str:
    return base + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)


def _hint(schema: Mapping[str, Any], error: ValidationError) -> str:
    if error.validator in ("additionalProperties", "required") and not error.absolute_path:
        known = ", ".join(schema.get("properties", {}))
        return f"the flow takes {known}" if known else "the flow takes no parameters"
    if isinstance(error.schema, Mapping) and error.schema.get("description"):
        return str(error.schema["description"])
    return ""
