"""Loops between SequenceControl and CycleCounter: what they repeat, how long, and which cycles' data are kept.

Not for carrying them out: `accounting` keeps track, and a manager asks `LoopRule.after` at the end of each cycle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from labkeeper_flows.canvas import graph
from labkeeper_flows.canvas.document import CanvasEdge
from labkeeper_flows.canvas.expressions import Expression

MAX_CYCLES = 100
"""Where neither a count nor the tips end a loop: the largest loop_count that the canvas allows (facts 1.2)."""


@dataclass(frozen=True)
class CollectionWindow:
    """Which cycles' data are kept (facts 1.2). Stabilization cycles never are, whatever the mode says."""

    mode: Literal["all_cycles", "from_cycle_n", "last_n_cycles"] = "all_cycles"
    start: int = 1
    last_n: int = 1
    stabilization: int = 0

    def keeps(self, cycle: int, total: int | None) -> bool | None:
        """Whether the data of a cycle (from 1) are kept. None: only `total`, which is not known yet, can tell."""
        if cycle <= self.stabilization:
            return False
        match self.mode:
            case "from_cycle_n":
                return cycle >= self.start
            case "last_n_cycles":
                return None if total is None else cycle > total - self.last_n
        return True

    def kept(self, total: int) -> tuple[int, ...]:
        """All cycles whose data are kept after `total` cycles."""
        return tuple(cycle for cycle in range(1, total + 1) if self.keeps(cycle, total))


class Turn(StrEnum):
    """What follows a cycle."""

    AGAIN = "again"
    """Another cycle."""
    DONE = "done"
    """The loop has done what it was for."""
    EXHAUSTED = "exhausted"
    """No further cycle is possible, and the loop has not reached its end: it failed."""


@dataclass(frozen=True)
class LoopRule:
    """When a loop ends: after `count` cycles, after `duration_s`, or when `condition` holds; exactly one of these."""

    window: CollectionWindow = field(default_factory=CollectionWindow)
    count: int | None = None
    duration_s: float | None = None
    condition: Expression | None = None

    def after(self, cycle: int, values: Mapping[str, float], elapsed_s: float, most: int = MAX_CYCLES) -> Turn:
        """What follows cycle number `cycle` (from 1), `elapsed_s` after the loop began; `most` cycles are possible.

        `values`: the last measured `voltage` (V), `current` (A), `temperature`. Raises `expressions.ValueMissing` when
        the condition asks for what is not among them.
        """
        if self.count is not None:
            return Turn.DONE if cycle >= self.count else Turn.AGAIN
        known = {**values, "time": elapsed_s, "elapsed": elapsed_s, "elapsed_time": elapsed_s, "cycle": float(cycle)}
        if self.duration_s is not None and elapsed_s >= self.duration_s:
            return Turn.DONE
        if self.condition is not None and self.condition.holds(known):
            return Turn.DONE
        return Turn.AGAIN if cycle < most else Turn.EXHAUSTED


@dataclass(frozen=True)
class LoopShape:
    """One loop as drawn. `body` without head and counter, in the order of the document."""

    head: str
    body: tuple[str, ...]
    counter: str | None

    @property
    def members(self) -> frozenset[str]:
        """Everything that is repeated, the counter included; not the head."""
        return frozenset(self.body) | ({self.counter} if self.counter else set())


@dataclass(frozen=True)
class LoopObjection:
    """Why a loop cannot be carried out."""

    node: str
    message: str
    hint: str = ""


def unroll_chain(
    nodes: Sequence[str], *, head: str, counters: Sequence[str], first: Collection[str], last: Collection[str]
) -> tuple[list[str], LoopShape]:
    """The loop of a canvas without edges: (order of all nodes, loop).

    The body is what stands between ExperimentSetup (`first`) and DataExport (`last`), without the loop's own nodes. The
    head comes before it and the counter after each cycle, wherever the array has them: in the guide's canvas both stand
    at the very end, where they could repeat nothing.
    """
    counter = counters[0] if counters else None
    plain = [node for node in nodes if node not in (head, counter)]
    begin = max((at + 1 for at, node in enumerate(plain) if node in first), default=0)
    end = next((at for at, node in enumerate(plain) if node in last and at >= begin), len(plain))
    body = plain[begin:end]
    order = [*plain[:begin], head, *body, *([counter] if counter else []), *plain[end:]]
    return order, LoopShape(head, tuple(body), counter)


def drawn_loops(
    nodes: Sequence[str], edges: Sequence[CanvasEdge], heads: Sequence[str], counters: Collection[str]
) -> tuple[list[LoopShape], list[LoopObjection]]:
    """The loops of a canvas with edges: what each head's loop handle reaches, up to a CycleCounter.

    A handle is the loop's if its name holds `loop`. Where a head has none, the body is what lies between it and a
    counter.
    """
    depends = graph.dependencies(nodes, [(edge.source, edge.target) for edge in edges])
    onward = graph.successors(depends)
    found: list[LoopShape] = []
    objections: list[LoopObjection] = []
    for head in heads:
        starts = [edge.target for edge in edges if edge.source == head and is_loop_handle(edge.source_handle)]
        reached = graph.reach(starts or onward[head], onward, stop={*counters, head}) - {head}
        own = [node for node in nodes if node in reached and node in counters]
        if not starts:
            # Without a handle of its own the loop shares its exits with what follows it.
            reached &= graph.reach(own, depends)
        body = tuple(node for node in nodes if node in reached and node not in counters)
        objections.extend(_objections(head, body, own, heads, has_handle=bool(starts)))
        found.append(LoopShape(head, body, own[0] if own else None))
    objections.extend(_shared(found))
    return found, objections


def is_loop_handle(handle: str) -> bool:
    """Whether an edge is the loop's own and not what follows it."""
    return "loop" in handle.lower()


def is_loop_back(edge: CanvasEdge, heads: Collection[str], counters: Collection[str]) -> bool:
    """An edge from a counter back to a head by a loop handle: it draws the return, which the loop does anyway."""
    handles = edge.source_handle, edge.target_handle
    return edge.source in counters and edge.target in heads and any(map(is_loop_handle, handles))


def _objections(
    head: str, body: tuple[str, ...], counters: list[str], heads: Sequence[str], *, has_handle: bool
) -> list[LoopObjection]:
    if inner := [node for node in body if node in heads]:
        return [LoopObjection(head, f"the loop holds another loop, {inner[0]!r}", "loops cannot stand in loops")]
    if len(counters) > 1:
        return [
            LoopObjection(head, f"the loop reaches several counters: {', '.join(counters)}", "one loop, one counter")
        ]
    if not body and (counters or has_handle):
        return [LoopObjection(head, "the loop repeats nothing", "draw its loop handle to what it should repeat")]
    if not counters and not has_handle:
        hint = "draw its loop handle to what it should repeat, up to a CycleCounter"
        return [LoopObjection(head, "nothing says what the loop repeats", hint)]
    return []


def _shared(found: Sequence[LoopShape]) -> list[LoopObjection]:
    owner: dict[str, str] = {}
    objections = []
    for loop in found:
        for node in sorted(loop.members):
            if node in owner:
                message = f"the loop repeats {node!r}, which the loop of {owner[node]!r} repeats too"
                objections.append(LoopObjection(loop.head, message, "a node belongs to one loop"))
            owner.setdefault(node, loop.head)
    return objections
