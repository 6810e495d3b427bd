"""What a process on the unit's host asks of its agent: hold the unit for a run, carry out single commands of that run.

One JSON line each way over the agent's control socket (`do` says what is asked). Only the form stands here; the agent
answers in `labkeeper_devices.agent.desk`, and who asks keeps to the rules below.

A holder has the unit to itself from `reserve` on: the agent claims no run from Prefect meanwhile. The reservation ends
by `unreserve`, or when nothing was heard of the holder for `LEASE_SECONDS` and nothing is under way. An agent that was
started anew knows of no reservation: `perform` of any holder takes it again if the unit is free.

The same (`run`, `node`, `iteration`, `ordinal`) never moves the hardware twice: what ended well before is answered from
the journal (`replayed`). A caller that lost its connection may therefore ask the same again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LEASE_SECONDS = 30.0
"""How long a reservation outlives the last word of its holder."""
RENEW_SECONDS = 10.0
"""How often a holder that only waits should say that it is still there."""

Text = Annotated[str, Field(min_length=1, max_length=512)]


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Reserve(_Call):
    """Hold the unit. Answered by `Reserved`; refused while it is busy, or held by another."""

    do: Literal["reserve"] = "reserve"
    holder: Text
    """Who holds it: the id of a run. The same holder may reserve again."""
    name: Text
    """For people: what the unit is held for."""


class Renew(_Call):
    """The holder is still there. Answered by `Reserved`; refused when the holder does not hold the unit."""

    do: Literal["renew"] = "renew"
    holder: Text


class Unreserve(_Call):
    """Let the unit go. Answered by an empty object, also when the holder did not hold it."""

    do: Literal["unreserve"] = "unreserve"
    holder: Text


class Interrupt(_Call):
    """Stop the holder's command that is under way, if there is one; its `perform` is answered `interrupted`."""

    do: Literal["interrupt"] = "interrupt"
    holder: Text


class Pause(_Call):
    """Pause, or let go on, the holder's operation that is under way. Answered by an empty object, or refused."""

    do: Literal["pause", "resume"]
    holder: Text


class Perform(_Call):
    """Carry out one operation; answered by `Performed` when it has ended."""

    do: Literal["perform"] = "perform"
    holder: Text
    run: Text
    """Run of the command's key."""
    node: Annotated[str, Field(max_length=512)] = ""
    """Node path of the command's key."""
    iteration: Annotated[int, Field(ge=0)] = 0
    """Cycle of the loop that the node is in."""
    ordinal: Annotated[int, Field(ge=0)] = 0
    """Number of the command within the node and cycle."""
    operation: Text
    """Operation of the driver, as `driver.operation`."""
    parameters: dict[str, Any] = {}
    """Its parameters."""
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop it after so many seconds."""


class Reserved(_Call):
    """The unit is held."""

    unit: str
    """Name of the unit."""
    driver: str
    """Its driver."""
    simulated: bool
    """Whether a simulator is driven."""
    time_factor: float | None = None
    """How many times faster than real time it goes; None for hardware."""


class Progress(_Call):
    """How far the operation under way has come; stands under `progress` in what `status` answers."""

    done: int
    total: int | None
    doing: str
    paused: bool = False


class Performed(_Call):
    """How the command ended.

    `succeeded`; `failed`: the device did not do it, or the parameters were refused; `interlocked`: refused before
    anything moved, because of the unit's state or an interlock; `interrupted`: ended early and confirmed to be at rest;
    `unknown`: nobody can say, and the unit is Held until a person acknowledges.
    """

    outcome: Literal["succeeded", "failed", "interlocked", "interrupted", "unknown"]
    result: dict[str, Any] | None = None
    """What the operation returned, when it succeeded."""
    message: str = ""
    """Why it did not, for a person."""
    cause: Literal["cancel", "timeout", "emergency-stop", "drain"] | None = None
    """What interrupted it."""
    replayed: bool = False
    """The command had succeeded before in this run; this is its result from the journal, nothing moved."""
