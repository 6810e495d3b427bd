"""The form of a driver operation. Not for carrying one out: that is the agent's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Base of the parameters of an operation: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class NoParameters(Parameters):
    """An operation that takes no parameters."""


@dataclass(frozen=True)
class OperationSpec:
    """One operation of a driver.

    `physical`: it may move hardware or change what hardware will do. `idempotent`: doing it twice is the same as
    doing it once, so the agent may retry it. `emergency`: it is never queued behind other work. `program`: it
    consists of other operations, each journaled on its own.
    """

    driver: str
    name: str
    summary: str
    parameters: type[Parameters] = NoParameters
    physical: bool = True
    idempotent: bool = False
    emergency: bool = False
    program: bool = False

    @property
    def key(self) -> str:
        """`driver.operation`, unique."""
        return f"{self.driver}.{self.name}"

    def parameter_schema(self) -> dict[str, Any]:
        """JSON schema of the parameters in the shape that Prefect's UI and API use."""
        schema = self.parameters.model_json_schema()
        properties = schema.get("properties", {})
        for position, (name, prop) in enumerate(properties.items()):
            prop["position"] = position
            prop.setdefault("title", name)
        result: dict[str, Any] = {
            "title": "Parameters",
            "type": "object",
            "properties": properties,
            "required": schema.get("required", []),
            "additionalProperties": False,
        }
        if "$defs" in schema:
            # Prefect's UI and validation look for nested models here.
            result["definitions"] = schema["$defs"]
        moved: dict[str, Any] = json.loads(json.dumps(result).replace('"#/$defs/', '"#/definitions/'))
        return moved
