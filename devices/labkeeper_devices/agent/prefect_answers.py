"""What Prefect says of runs, as the agent needs it, and how it may fail to say it. Plain data; `prefect_link` asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labkeeper_api.errors import LabkeeperError


class PrefectAway(LabkeeperError):
    """The Prefect server does not answer; what was asked may or may not have happened."""


class PrefectRefused(LabkeeperError):
    """The Prefect server answered and refused."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class DueRun:
    """A run that waits to be claimed."""

    id: str
    name: str
    deployment_id: str | None
    deployment_version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    queue: str | None = None


@dataclass(frozen=True)
class Work:
    """What a deployment asks of the agent."""

    operation: str
    version: str | None = None
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None


@dataclass(frozen=True)
class ClaimedRun:
    """A run that Prefect holds for claimed; `since` is when it entered its present state."""

    id: str
    name: str
    state_type: str
    since: datetime


@dataclass(frozen=True)
class RunState:
    """Present state of a run and the transition ids of all that it went through."""

    type: str
    transition_ids: frozenset[str]


@dataclass(frozen=True)
class Proposal:
    """Prefect's answer to a proposed state. `gone_on`: it was accepted, and the run has gone on from there since."""

    accepted: bool
    state_type: str
    reason: str
    lease_id: str | None = None
    gone_on: bool = False


@dataclass(frozen=True)
class Noticed:
    """Something that happened to the pool, its queues or its runs. Without ids when the stream was only connected."""

    event: str
    run_id: str = ""
    deployment_id: str = ""
