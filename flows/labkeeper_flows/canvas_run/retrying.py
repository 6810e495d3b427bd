"""Whether a failed step may be tried again, and from which step on. Pure: physical actions happen at most once."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from labkeeper_api.operations import OPERATIONS
from labkeeper_flows.canvas.steps import HARDWARE, Step

DECK = "@deck"
"""The node of the journal's keys under which the robot's run is opened and its deck laid out."""


@dataclass(frozen=True)
class Failure:
    """A step that did not succeed. `ordinal` is its place in the node, -1 before the first (the deck)."""

    ordinal: int
    step: Step
    outcome: str
    message: str
    reachable: bool = True
    halts: bool = False
    """The run stops, whatever the node's `error_handling` says."""


def is_physical(step: Step) -> bool:
    """What the plan says, or the operation's declaration."""
    spec = OPERATIONS.get(f"{step.role.value}.{step.operation}")
    return step.role in HARDWARE and (step.physical or (spec is not None and spec.physical))


def is_idempotent(step: Step) -> bool:
    """Whether doing it twice is the same as doing it once: only a declaration says so, and what moves nothing."""
    spec = OPERATIONS.get(f"{step.role.value}.{step.operation}")
    return not is_physical(step) or (spec is not None and spec.idempotent)


def why_not_again(failure: Failure) -> str:
    """Why the step must not be tried again; empty if it may."""
    if failure.halts:
        return "the device was stopped"
    if failure.outcome == "interlocked" or is_idempotent(failure.step):
        return ""
    return f"{failure.step.role.value}.{failure.step.operation} moves hardware and may have begun: it is done once only"


def first_again(steps: tuple[Step, ...], failed: int, done: Container[int]) -> int:
    """Where a further attempt begins: behind the last physical step that is done.

    What prepares a physical step (connect, build, upload) is done again with it; what has moved is not.
    """
    at = max(failed, 0)
    while at > 0 and not (is_physical(steps[at - 1]) and at - 1 in done):
        at -= 1
    return at


def attempt_node(node: str, attempt: int) -> str:
    """The node of the journal's key: further attempts have keys of their own."""
    return node if attempt == 1 else f"{node}#{attempt}"
