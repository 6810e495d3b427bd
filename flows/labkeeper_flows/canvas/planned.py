"""The form of a plan: what a manager is handed. Made by `plan`; nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from labkeeper_api.errors import Problem
from labkeeper_flows.canvas.deck import Deck
from labkeeper_flows.canvas.document import Shape
from labkeeper_flows.canvas.loops import LoopRule
from labkeeper_flows.canvas.nodes.base import Category, RetryPolicy
from labkeeper_flows.canvas.resolve import Steps
from labkeeper_flows.canvas.steps import HARDWARE, Role


@dataclass(frozen=True)
class PlannedNode:
    """One node, ready to be carried out.

    `depends_on`: nodes that must have ended well (or failed with `continue`). `after`: nodes before it on one of its
    devices, which must have ended anyhow; so each device gets its commands in one order, whatever runs beside it.
    `holds`: devices that must not move while it runs although it has no step for them: the robot, while an electrode
    that it holds is measured. `cycles`: its steps in each cycle of its loop; one entry outside of loops.
    """

    id: str
    type: str
    label: str
    category: Category
    parameters: Mapping[str, Any]
    depends_on: tuple[str, ...]
    after: tuple[str, ...]
    roles: frozenset[Role]
    holds: frozenset[Role]
    error_handling: Literal["stop", "continue", "retry"]
    retry: RetryPolicy
    wait_before: float
    wait_after: float
    log_level: str
    loop: str | None
    cycles: tuple[Steps, ...]

    @property
    def attempts(self) -> int:
        """How often it is tried at most. Whether trying again is safe is for the journal to say."""
        return 1 + self.retry.retries if self.error_handling == "retry" else 1

    @property
    def hardware(self) -> frozenset[Role]:
        """Devices that it has to itself while it runs."""
        return (self.roles | self.holds) & HARDWARE

    def steps(self, cycle: int = 1) -> Steps:
        """Its steps in a cycle, counted from 1."""
        return self.cycles[cycle - 1]


@dataclass(frozen=True)
class PlannedLoop:
    """One loop. `members` in the order of a cycle, its CycleCounter last; `most` cycles are planned, no more because
    of `limit`."""

    head: str
    members: tuple[str, ...]
    counter: str | None
    rule: LoopRule
    most: int
    limit: str = ""


@dataclass(frozen=True)
class CanvasPlan:
    """All of a canvas. `nodes` in the order in which they are carried out one after another."""

    id: str
    name: str
    shape: Shape
    metadata: Mapping[str, Any]
    nodes: tuple[PlannedNode, ...]
    loops: tuple[PlannedLoop, ...]
    connections: Mapping[Role, Mapping[str, Any]]
    """How the canvas names its devices: `{ot2: {robot_ip: ...}, squidstat: {com_port: ...}}`."""
    deck: Deck
    """What stands on the robot's deck when the canvas begins."""
    tips_used: Mapping[str, tuple[str, ...]]
    """Rack -> tips that are gone when all planned cycles have run, those that were gone before among them."""
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def total(self) -> int:
        """Number of nodes, however often a loop repeats them."""
        return len(self.nodes)

    @property
    def roles(self) -> frozenset[Role]:
        """All roles that some step needs."""
        return frozenset().union(*(node.roles for node in self.nodes))

    @cached_property
    def by_id(self) -> Mapping[str, PlannedNode]:
        """Nodes by their ids."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def by_head(self) -> Mapping[str, PlannedLoop]:
        """Loops by the id of their SequenceControl."""
        return {loop.head: loop for loop in self.loops}
