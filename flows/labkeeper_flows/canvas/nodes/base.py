"""What all node types share: common parameters, field types with units, and the form of a type's entry in the registry.

No node type lives here, and nothing is looked up here (`registry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from labkeeper_flows.canvas import units
from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.steps import Role, Step


@dataclass(frozen=True)
class Unit:
    """Marks a field with the unit that its numbers are in."""

    name: str


def _in(unit: str) -> BeforeValidator:
    return BeforeValidator(partial(units.convert, unit=unit))


def _whole(value: object) -> object:
    number = units.convert(value, "")
    if number != int(number):
        raise units.UnitError(f"{value!r} is not a whole number")
    return int(number)


def _switch(value: object) -> object:
    # Additives are written as 0 and 1 (facts 1.2).
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{value!r} is neither true (1) nor false (0)")


Volts = Annotated[float, _in("V"), Unit("V")]
Amperes = Annotated[float, _in("A"), Unit("A")]
Seconds = Annotated[float, _in("s"), Unit("s")]
Millimetres = Annotated[float, _in("mm"), Unit("mm")]
Microlitres = Annotated[float, _in("µL"), Unit("µL")]
Millilitres = Annotated[float, _in("mL"), Unit("mL")]
Milliseconds = Annotated[float, _in("ms"), Unit("ms")]
Hertz = Annotated[float, _in("Hz"), Unit("Hz")]
MillimetresPerSecond = Annotated[float, _in("mm/s"), Unit("mm/s")]
VoltsPerSecond = Annotated[float, _in("V/s"), Unit("V/s")]
Celsius = Annotated[float, _in("°C"), Unit("°C")]
Number = Annotated[float, _in("")]
Count = Annotated[int, BeforeValidator(_whole)]
Switch = Annotated[bool, BeforeValidator(_switch)]
ErrorHandling = Literal["stop", "continue", "retry"]


class NodeParameters(BaseModel):
    """What every node takes (facts 1.1). Unknown names are refused; numbers may carry their unit as text."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, validate_by_name=True
    )

    uo_name: str = ""
    """Name of this operation, for people."""
    description: str = ""
    """What it is for."""
    wait_before: Seconds = Field(0, ge=0, le=3600)
    """s to wait before the first step."""
    wait_after: Seconds = Field(0, ge=0, le=3600)
    """s to wait after the last step."""
    error_handling: ErrorHandling = "stop"
    """What follows when the node fails. Absent means stop: going on with hardware in an unknown state is a choice."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe message to keep."""


class Category(StrEnum):
    """What kind of work a node is, by which recovery policies are chosen (facts 1.5)."""

    PIPETTING = "pipetting"
    ELECTRODE = "electrode"
    ELECTROCHEMICAL = "electrochemical"
    CLEANING = "cleaning"
    SYSTEM = "system"


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed node is tried again when its `error_handling` is retry; delays in s."""

    retries: int
    delay_s: float
    backoff: float = 1.0

    def delay_before(self, attempt: int) -> float:
        """s to wait before attempt 2, 3, ..."""
        return self.delay_s * float(self.backoff ** (attempt - 2))


StepsOf = Callable[[Any, Context], list[Step]]


@dataclass(frozen=True)
class NodeType:
    """One type of node. `steps` gives the steps of valid parameters, in order, and refuses through the context."""

    name: str
    summary: str
    parameters: type[NodeParameters]
    steps: StepsOf
    category: Category
    retry: RetryPolicy = RetryPolicy(1, 5)
    aliases: dict[str, str] = field(default_factory=dict)
    """Other names of parameters -> their own names."""


def data(operation: str, **parameters: Any) -> Step:
    """Something to write down."""
    return Step(Role.DATA, operation, parameters, physical=False)
