"""Recovery policies and hardware and safety settings of facts 1.5, read from a YAML or JSON file. Nothing is done here.

What the words mean here. Recovery is only for nodes whose `error_handling` is `retry`; `stop` stops the run and
`continue` goes on, as the canvas says.

- `retry`: the failed step again, by the policy of its category, in `engine`. A physical step only if it is declared
  idempotent or was refused before anything moved.
- `restart_from_checkpoint`: the failed node once more from its first step, only if nothing physical was done or begun
  since the last checkpoint. Else the fallback.
- `safe_stop`: the run stops. Every command has ended, so the devices are at rest.
- `manual_intervention`: the run stops and waits for a person; it can be resumed within `manual_timeout_s`.
- `emergency_stop`: whatever is under way on any device is stopped, then the run.

Severity: pipetting and cleaning `minor`, electrodes and electrochemistry `moderate`, a device that cannot be reached
`severe`. `critical` is what makes the run itself impossible: its own record cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labkeeper_api import documents
from labkeeper_api.documents import NodePath
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas.nodes.base import Category, RetryPolicy
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role, Step

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Strategy(StrEnum):
    """What is done about a failure."""

    RETRY = "retry"
    RESTART = "restart_from_checkpoint"
    SAFE_STOP = "safe_stop"
    MANUAL = "manual_intervention"
    EMERGENCY_STOP = "emergency_stop"


class Severity(StrEnum):
    """How bad a failure is."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"
    CRITICAL = "critical"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Retry(_Section):
    """How often a failed step is tried again."""

    max_retries: Annotated[int, Field(ge=0, le=20)]
    """Times."""
    delay_s: Seconds
    """s before the first of them."""
    backoff: Annotated[float, Field(ge=1, le=10)] = 1.0
    """By what the delay grows each time."""


class Retries(_Section):
    """By category of node."""

    pipetting: Retry = Retry(max_retries=3, delay_s=2, backoff=1.5)
    electrode: Retry = Retry(max_retries=2, delay_s=5, backoff=2.0)
    electrochemical: Retry = Retry(max_retries=1, delay_s=10, backoff=1.0)
    cleaning: Retry = Retry(max_retries=2, delay_s=3, backoff=1.2)


class Rule(_Section):
    """What is done about failures of one severity."""

    primary: Strategy
    """First."""
    fallback: Strategy
    """When the first is not possible, or was tried often enough."""
    attempts: Annotated[int, Field(ge=0, le=20)]
    """How often the first is tried."""


class Strategies(_Section):
    """By severity."""

    minor: Rule = Rule(primary=Strategy.RETRY, fallback=Strategy.RESTART, attempts=3)
    moderate: Rule = Rule(primary=Strategy.RESTART, fallback=Strategy.SAFE_STOP, attempts=2)
    severe: Rule = Rule(primary=Strategy.SAFE_STOP, fallback=Strategy.MANUAL, attempts=1)
    critical: Rule = Rule(primary=Strategy.EMERGENCY_STOP, fallback=Strategy.EMERGENCY_STOP, attempts=0)


class Checkpoints(_Section):
    """Files that say how far a run has come."""

    enabled: bool = True
    """Whether they are written."""
    keep_hours: Annotated[float, Field(gt=0, le=24 * 365)] = 24
    """Hours after which one is deleted."""


class Opentrons(_Section):
    """The robot."""

    robot_ip: str = "169.254.69.185"
    robot_port: Annotated[int, Field(ge=1, le=65535)] = 80
    """As the guide has it; the robot answers on 31950 whatever this says (facts 1.6)."""
    connection_timeout: Seconds = 30
    api_version: str = "2.14"


class Squidstat(_Section):
    """The potentiostat."""

    com_port: str = "COM4"
    channel: Annotated[int, Field(ge=0, le=3)] = 0
    baudrate: Annotated[int, Field(gt=0)] = 115_200
    timeout: Seconds = 10


class Arduino(_Section):
    """Pumps and ultrasonic bath."""

    com_port: str = "COM3"
    baudrate: Annotated[int, Field(gt=0)] = 9600
    timeout: Seconds = 5


class Hardware(_Section):
    """The guide's section on connections: checked and kept with the run. LabDevices say how devices are reached."""

    opentrons: Opentrons = Opentrons()
    squidstat: Squidstat = Squidstat()
    arduino: Arduino = Arduino()


class Safety(_Section):
    """Limits of the lab, checked against the plan before a new run begins (`refuse_unsafe`)."""

    max_volume_per_transfer: Annotated[float, Field(gt=0)] = 1000
    """µL of one transfer."""
    max_pipette_speed: Annotated[float, Field(gt=0)] = 400
    """mm/s."""
    emergency_stop_enabled: bool = True
    """Must stay true: the latched emergency stop of the devices' agents cannot be switched off here."""
    hardware_validation_required: bool = True
    """Whether each device must answer before the first node begins. Reserving them all sees to it."""


class RecoveryConfig(_Section):
    """A recovery file as a whole; what it leaves out is as in facts 1.5."""

    retry: Retries = Retries()
    strategies: Strategies = Strategies()
    checkpoints: Checkpoints = Checkpoints()
    recovery_timeout_s: Seconds = 300
    """s after its first failure in which a node is tried again."""
    manual_timeout_s: Seconds = 1800
    """s in which a run that waits for a person can be resumed."""
    alert_after_failures: Annotated[int, Field(ge=1, le=1000)] = 3
    """Failed attempts in one run after which a person is alerted."""
    hardware: Hardware = Hardware()
    safety: Safety = Safety()

    def policies(self) -> dict[Category, RetryPolicy]:
        """For `plan`: retry policies by category, in place of those of the node types."""
        found = {Category(name): getattr(self.retry, name) for name in Retries.model_fields}
        return {name: RetryPolicy(it.max_retries, it.delay_s, it.backoff) for name, it in found.items()}

    def strategy(self, severity: Severity, restarts: int, *, restartable: bool) -> Strategy:
        """What is done now that trying again has not helped. Pure.

        `restarts`: how often the node was begun anew already; `restartable`: whether nothing physical forbids that.
        """
        rule: Rule = getattr(self.strategies, severity.value)
        for wanted in (rule.primary, rule.fallback):
            if wanted is Strategy.RETRY:
                continue
            if wanted is Strategy.RESTART and (not restartable or restarts >= rule.attempts):
                continue
            return wanted
        return Strategy.SAFE_STOP


def refuse_unsafe(safety: Safety, plan: CanvasPlan) -> None:
    """Raises `InvalidInput` with every step of a plan that is beyond the lab's limits."""
    found = {
        Problem(node.id, message, f"the lab's limit is {limit:g} {unit}")
        for node in plan.nodes
        for steps in node.cycles
        for step in steps
        for message, limit, unit in _beyond(safety, step)
    }
    if found:
        raise InvalidInput(sorted(found))


def _beyond(safety: Safety, step: Step) -> Iterator[tuple[str, float, str]]:
    volume, speed = step.parameters.get("volume"), step.parameters.get("speed")
    if step.role is Role.OT2 and volume is not None and volume > safety.max_volume_per_transfer:
        yield f"{step.operation} of {volume:g} µL at once", safety.max_volume_per_transfer, "µL"
    if step.role is Role.OT2 and speed is not None and speed > safety.max_pipette_speed:
        yield f"{step.operation} at {speed:g} mm/s", safety.max_pipette_speed, "mm/s"


def severity_of(category: Category, *, reachable: bool) -> Severity:
    """How bad a node's failure is (facts 1.5). Nodes without hardware fail mildly: nothing has moved."""
    if not reachable:
        return Severity.SEVERE
    moderate = (Category.ELECTRODE, Category.ELECTROCHEMICAL)
    return Severity.MODERATE if category in moderate else Severity.MINOR


def read_recovery(path: Path) -> RecoveryConfig:
    """Read a recovery file. Raises `InvalidInput` with everything that is wrong in it, and its lines."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InvalidInput([Problem("", f"cannot be read: {error.strerror}", source=str(path))]) from error
    return recovery_of(text, str(path))


def recovery_of(text: str | bytes, source: str = "") -> RecoveryConfig:
    """The same from its text."""
    read = documents.read(text, source)
    if read.problems:
        raise InvalidInput(read.problems)
    if len(read.documents) != 1:
        raise InvalidInput([Problem("", f"holds {len(read.documents)} documents, not one", source=source)])
    document = read.documents[0]
    try:
        config = RecoveryConfig.model_validate(document.data if document.data is not None else {})
    except ValidationError as error:
        found = [_problem(dict(wrong), document.lines, source) for wrong in error.errors(include_url=False)]
        raise InvalidInput(sorted(found)) from error
    if not config.safety.emergency_stop_enabled:
        at = document.lines.get(("safety", "emergency_stop_enabled"))
        hint = "leave it out: the emergency stop is latched in each device's agent and cannot be switched off"
        raise InvalidInput([Problem("safety.emergency_stop_enabled", "cannot be false", hint, at, source)])
    return config


def _problem(wrong: dict[str, object], lines: dict[NodePath, int], source: str) -> Problem:
    place = wrong["loc"]
    assert isinstance(place, tuple)  # noqa: S101 - pydantic's own form
    line = next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), None)
    hint = ""
    if wrong["type"] == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), _names_at(place[:-1]))
    return Problem(".".join(map(str, place)), str(wrong["msg"]), hint, line, source)


def _names_at(place: NodePath) -> list[str]:
    section: type[BaseModel] = RecoveryConfig
    for name in place:
        field = section.model_fields.get(str(name))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        section = field.annotation
    return list(section.model_fields)
