"""Which nodes may begin, and how each of them ended: in exactly one of completed, failed, skipped, cancelled.

A state machine without clock and devices: a manager begins what is `startable`, says how it ended, and answers `turns`.
The same calls in the same order give the same states, so a run is resumed by repeating what its journal holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from labkeeper_flows.canvas.loops import Turn
from labkeeper_flows.canvas.planned import CanvasPlan, PlannedLoop, PlannedNode
from labkeeper_flows.canvas.steps import Role


class NodeState(StrEnum):
    """Where a node is. The last four are ends."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The run stopped before it was done, because another node failed."""
    CANCELLED = "cancelled"
    """A person or a time limit ended the run before it was done."""


ENDED = frozenset({NodeState.COMPLETED, NodeState.FAILED, NodeState.SKIPPED, NodeState.CANCELLED})


@dataclass(frozen=True)
class Work:
    """A node in one cycle of its loop, counted from 1; outside of loops there is only cycle 1."""

    node: str
    cycle: int = 1


@dataclass(frozen=True)
class NodeResult:
    """How a node ended, and after how many of its cycles."""

    node: str
    state: NodeState
    reason: str = ""
    cycles: int = 0


@dataclass(frozen=True)
class Counts:
    """How many nodes are in which state; they add up to `total`."""

    total: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    pending: int
    running: int


class NotAllowed(ValueError):
    """A manager said something that cannot be: it ended what never began, or began what may not begin."""


def _followers(plan: CanvasPlan) -> dict[str, list[str]]:
    """Node -> nodes that may be able to begin when it has ended."""
    found: dict[str, list[str]] = {node.id: [] for node in plan.nodes}
    for node in plan.nodes:
        for source in (*node.depends_on, *node.after):
            found[source].append(node.id)
    return found


@dataclass
class _Record:
    node: PlannedNode
    state: NodeState = NodeState.PENDING
    cycle: int = 1
    done: int = 0
    failed: str | None = None
    reason: str = ""


class Accounting:
    """The states of one run of a plan."""

    def __init__(self, plan: CanvasPlan) -> None:
        self._plan = plan
        self._records = {node.id: _Record(node) for node in plan.nodes}
        self._place = {node.id: at for at, node in enumerate(plan.nodes)}
        self._followers = _followers(plan)
        self._ready: set[str] = set()
        self._running: set[str] = set()
        self._going: dict[str, int] = {}
        """Head of a loop that goes round -> its cycle."""
        self._left: dict[str, int] = {}
        """Head of a loop that goes round -> how many members have not ended in this cycle."""
        self._over: tuple[NodeState, str] | None = None
        """What becomes of nodes that have not begun, once the run is stopped or cancelled."""
        self._look_at(self._records)

    @property
    def finished(self) -> bool:
        """Whether every node has ended."""
        if self._running or self._ready or self._going:
            return False
        return all(record.state in ENDED for record in self._records.values())

    def startable(self) -> tuple[Work, ...]:
        """What may begin now, in the order of the plan: whatever it needs is done, and its devices are free."""
        busy: set[Role] = set()
        for name in self._running:
            busy |= self._records[name].node.hardware
        found = []
        for name in sorted(self._ready, key=self._place.__getitem__):
            record = self._records[name]
            if not record.node.hardware & busy:
                busy |= record.node.hardware
                found.append(Work(name, record.cycle))
        return tuple(found)

    def begin(self, work: Work) -> None:
        """A node begins."""
        record = self._of(work, NodeState.PENDING)
        if work.node not in self._ready:
            raise NotAllowed(f"{work.node} may not begin now")
        self._ready.discard(work.node)
        self._running.add(work.node)
        record.state = NodeState.RUNNING

    def complete(self, work: Work) -> None:
        """A node has done all its steps. The head of a loop only opens it: it ends with the loop."""
        record = self._of(work, NodeState.RUNNING)
        if work.node in self._plan.by_head and self._over is None:
            self._running.discard(work.node)
            self._go_round(self._plan.by_head[work.node], 1)
        elif work.node in self._plan.by_head and self._over is not None:
            self._end(record, *self._over)
        else:
            record.done += 1
            self._settle(record)

    def fail(self, work: Work, reason: str) -> None:
        """A node has failed, after as many attempts as it has. Unless it says `continue`, the run stops."""
        record = self._of(work, NodeState.RUNNING)
        record.failed = record.failed if record.failed is not None else reason
        self._settle(record)
        self._stop_unless_continued(record)
        if work.node in self._plan.by_head:
            self._skip_what_cannot_be(work.node)

    def cancelled(self, work: Work, reason: str = "cancelled") -> None:
        """A running node was interrupted, and its hardware is at rest. That ends the run, if nothing else has."""
        self._end(self._of(work, NodeState.RUNNING), NodeState.CANCELLED, reason)
        self._stop(NodeState.CANCELLED, reason)

    def cancel(self, reason: str = "cancelled") -> None:
        """End the run: nothing begins any more. Nodes that run still have to say how they ended."""
        self._stop(NodeState.CANCELLED, reason)

    def stop(self, reason: str) -> None:
        """Nothing begins any more, as after a failure. Nodes that run still have to say how they ended."""
        self._stop(NodeState.SKIPPED, reason)

    def turns(self) -> tuple[tuple[PlannedLoop, int], ...]:
        """Loops whose cycle has just ended, and its number: `LoopRule.after` says what follows, `turn` is told."""
        return tuple((self._plan.by_head[head], cycle) for head, cycle in self._going.items() if not self._left[head])

    def turn(self, head: str, what: Turn, reason: str = "") -> None:
        """What follows the cycle of a loop that has just ended."""
        loop = self._plan.by_head[head]
        if all(head != other.head for other, _ in self.turns()):
            raise NotAllowed(f"no cycle of {head} has just ended")
        record = self._records[head]
        if what is Turn.AGAIN and self._going[head] < loop.most:
            self._go_round(loop, self._going[head] + 1)
            return
        record.done = self._going.pop(head)
        if what is not Turn.DONE:
            record.failed = reason or loop.limit or f"only {loop.most} cycles are planned"
        self._end(record, NodeState.COMPLETED, "")
        if record.failed is not None:
            self._stop_unless_continued(record)
        for name in loop.members:
            self._look_at(self._followers[name])

    def state(self, node: str) -> NodeState:
        """Where a node is."""
        return self._records[node].state

    def results(self) -> tuple[NodeResult, ...]:
        """How each node stands, in the order of the plan."""
        return tuple(NodeResult(name, it.state, it.reason, it.done) for name, it in self._records.items())

    def counts(self) -> Counts:
        """How many nodes are in which state."""
        found = Counter(record.state for record in self._records.values())
        return Counts(total=self._plan.total, **{state.value: found[state] for state in NodeState})

    def _of(self, work: Work, state: NodeState) -> _Record:
        record = self._records.get(work.node)
        opened = work.node in self._going
        if record is None or record.state is not state or record.cycle != work.cycle or opened:
            raise NotAllowed(f"{work.node} in cycle {work.cycle} is not {state}")
        return record

    def _may_begin(self, record: _Record) -> bool:
        node = record.node
        if node.loop is not None and node.loop not in self._going:
            return False
        return all(self._done_for(name, record, well=True) for name in node.depends_on) and all(
            self._done_for(name, record, well=False) for name in node.after
        )

    def _done_for(self, name: str, waiting: _Record, *, well: bool) -> bool:
        """Whether `waiting` need not wait for `name` any more; `well`: only if what follows a failure may go on."""
        other = self._records[name]
        if waiting.node.loop is not None:
            if name == waiting.node.loop:
                return True
            if other.node.loop == waiting.node.loop:
                return self._settled_in(name, waiting.cycle)
        elif other.node.loop is not None and other.node.loop in self._going:
            return False
        if other.state is NodeState.COMPLETED:
            return True
        return other.state in ENDED and (not well or other.node.error_handling == "continue")

    def _settled_in(self, name: str, cycle: int) -> bool:
        record = self._records[name]
        return record.state in ENDED and record.cycle == cycle

    def _look_at(self, names: Iterable[str]) -> None:
        """See which of these nodes may begin now."""
        if self._over is None:
            records = (self._records[name] for name in names)
            found = (it.node.id for it in records if it.state is NodeState.PENDING and self._may_begin(it))
            self._ready.update(found)

    def _go_round(self, loop: PlannedLoop, cycle: int) -> None:
        self._going[loop.head], self._left[loop.head] = cycle, len(loop.members)
        for name in loop.members:
            self._records[name].state, self._records[name].cycle = NodeState.PENDING, cycle
        self._look_at(loop.members)

    def _settle(self, record: _Record) -> None:
        """A node's work in this cycle is over. After a stop, a node whose loop would have gone on is not done."""
        if self._over is not None and record.node.loop is not None and not self._whole(record):
            self._end(record, *self._over)
        else:
            self._end(record, NodeState.COMPLETED, "")

    def _end(self, record: _Record, state: NodeState, reason: str) -> None:
        """A node ends so, unless it has failed, in whichever cycle: nothing covers that up."""
        failed, name = record.failed, record.node.id
        record.state, record.reason = (state, reason) if failed is None else (NodeState.FAILED, failed)
        if name in self._running and record.node.loop in self._left:
            self._left[record.node.loop] -= 1
        self._running.discard(name)
        self._ready.discard(name)
        self._look_at(self._followers[name])

    def _whole(self, record: _Record) -> bool:
        """Whether a member of a loop has done all cycles that the loop was ever to have."""
        count = self._plan.by_head[record.node.loop].rule.count if record.node.loop is not None else 1
        return count is not None and record.done >= count

    def _skip_what_cannot_be(self, head: str) -> None:
        """A loop that could not even begin: its members never run, and neither does what waits for one of them."""
        # The order of the plan puts each node after what it waits for, so one pass reaches all of them.
        for record in self._records.values():
            waits = any(self._records[name].state is NodeState.SKIPPED for name in record.node.depends_on)
            if record.state is NodeState.PENDING and (waits or record.node.loop == head):
                self._end(record, NodeState.SKIPPED, f"the loop of {head} did not begin")

    def _stop_unless_continued(self, record: _Record) -> None:
        if record.node.error_handling != "continue":
            self._stop(NodeState.SKIPPED, f"the run stopped when {record.node.id} failed")

    def _stop(self, state: NodeState, reason: str) -> None:
        if self._over is None:
            self._over = (state, reason)
        for name, record in self._records.items():
            waits = record.node.loop in self._going and record.state is NodeState.COMPLETED and not self._whole(record)
            if record.state is NodeState.PENDING or name in self._going or waits:
                record.done = self._going.get(name, record.done)
                self._end(record, *self._over)
        self._going.clear()
        self._ready.clear()
