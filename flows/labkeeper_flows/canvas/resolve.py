"""Blocks in order -> the steps of every node in every cycle, with tips and volumes accounted for. Pure.

Cycles are worked out beforehand, so that a dry run, a live run and a resumed one issue the same commands: the journal's
key is node, cycle and the step's place. Where nobody knows how often a loop will go round, its first cycle and what
follows the loop come first, and further cycles take what tips are left, as far as they go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from labkeeper_flows.canvas.context import Context, Cycle, Finding, Held
from labkeeper_flows.canvas.deck import Deck
from labkeeper_flows.canvas.labware import Kind
from labkeeper_flows.canvas.ledgers import LiquidLedger
from labkeeper_flows.canvas.loops import MAX_CYCLES, LoopRule
from labkeeper_flows.canvas.nodes.base import NodeParameters, NodeType
from labkeeper_flows.canvas.nodes.control import SequenceControl, rule_of
from labkeeper_flows.canvas.steps import HARDWARE, Role, Step
from labkeeper_flows.canvas.structure import Block

Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Resolved:
    """A node's type and checked parameters."""

    kind: NodeType
    parameters: NodeParameters


@dataclass
class Resolution:
    """What was worked out. `cycles`: node -> its steps in each cycle, one entry outside of loops."""

    cycles: dict[str, list[Steps]] = field(default_factory=dict)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    holds: dict[str, frozenset[Role]] = field(default_factory=dict)
    """Node -> devices that it needs at rest although it has no step for them."""
    rules: dict[str, LoopRule] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    """Head of a loop without a count -> why no more cycles than these are possible."""


@dataclass(frozen=True)
class _Lab:
    """What one cycle hands to the next; tips are not among it, since they are used up for all."""

    deck: Deck
    liquids: LiquidLedger
    first_tip: int
    held: Held | None

    @classmethod
    def of(cls, context: Context) -> _Lab:
        return cls(context.deck, context.liquids.copy(), context.first_tip, context.held)


def resolve(blocks: Sequence[Block], nodes: Mapping[str, Resolved], context: Context) -> Resolution:
    """Work out all steps, changing `context` on the way. Never raises; what is wrong is in `findings`.

    Nodes that are not in `nodes` (of unknown type, for example) are passed over.
    """
    made = _Resolver(nodes, context)
    for block in blocks:
        if block.loop is None:
            made.node(block.node)
        else:
            made.loop(block)
    made.further_cycles()
    return made.result


class _Resolver:
    def __init__(self, nodes: Mapping[str, Resolved], context: Context) -> None:
        self.result = Resolution()
        self._nodes = nodes
        self._context = context
        self._open: list[tuple[Block, _Lab]] = []

    def node(self, name: str, cycle: int | None = None) -> bool:
        """Work out one node; False if something is wrong."""
        node = self._nodes.get(name)
        if node is None:
            return False
        steps = tuple(node.kind.steps(node.parameters, self._context))
        findings = self._context.taken_findings()
        if findings and cycle is not None and cycle > 1:
            findings = [replace(finding, message=f"in cycle {cycle}: {finding.message}") for finding in findings]
        self.result.findings.extend((name, finding) for finding in findings)
        if not findings:
            self._note_hold(name, steps)
            self.result.cycles.setdefault(name, []).append(steps)
        return not findings

    def _note_hold(self, name: str, steps: Steps) -> None:
        """Whoever uses an instrument while the robot holds a tool needs the robot where it is."""
        held = self._context.held
        instruments = {step.role for step in steps} & (HARDWARE - {Role.OT2})
        if held is not None and held.kind is Kind.TOOLS and instruments:
            self.result.holds[name] = frozenset({Role.OT2})

    def loop(self, block: Block) -> None:
        """The head, then as many cycles as are known."""
        self.node(block.node)
        rule = self._rule(block)
        held = self._context.held
        cycles = rule.count if rule.count is not None else 1
        good = all(self._cycle(block, rule, number) for number in range(1, cycles + 1))
        if rule.count is None and good:
            self._open.append((block, _Lab.of(self._context)))
            self._same_hands(block, held)
        self._context.cycle = None
        self._context.last_loop = self._place(block, rule, cycles)

    def _same_hands(self, block: Block, before: Held | None) -> None:
        after = self._context.held
        if before != after:
            message = f"a cycle begins with {before or 'nothing'} on the pipette and ends with {after or 'nothing'}"
            hint = "what a cycle takes, it has to return"
            self.result.findings.append((block.node, Finding((), message, hint, state=True)))

    def further_cycles(self) -> None:
        """Cycles beyond the first of loops whose end nobody knows, until tips or liquids run out."""
        for block, lab in self._open:
            rule = self.result.rules[block.node]
            self._context.deck, self._context.liquids = lab.deck, lab.liquids
            self._context.first_tip, self._context.held = lab.first_tip, lab.held
            known = len(self.result.findings)
            limit = f"a loop goes round at most {MAX_CYCLES} times"
            for number in range(2, MAX_CYCLES + 1):
                if not self._cycle(block, rule, number):
                    limit = self.result.findings[known][1].message
                    self._forget(block, number)
                    break
            # Not being able to go round for ever is no mistake; that is told when it happens.
            del self.result.findings[known:]
            self.result.limits[block.node] = limit

    def _rule(self, block: Block) -> LoopRule:
        node = self._nodes.get(block.node)
        if node is None or not isinstance(node.parameters, SequenceControl):
            rule = LoopRule(count=1)
        else:
            rule = rule_of(node.parameters, self._context)
            self._context.taken_findings()
        self.result.rules[block.node] = rule
        return rule

    def _cycle(self, block: Block, rule: LoopRule, number: int) -> bool:
        """One cycle; False if something is wrong, so that the next one would only repeat it."""
        self._context.cycle = self._place(block, rule, number)
        done = [self.node(member, number) for member in block.members]
        return all(done)

    def _place(self, block: Block, rule: LoopRule, number: int) -> Cycle:
        total = rule.count
        kept = rule.window.kept(total) if total is not None else None
        return Cycle(block.node, number, total, rule.window.keeps(number, total), kept)

    def _forget(self, block: Block, number: int) -> None:
        """Take back what a cycle that cannot be completed had worked out."""
        for member in block.members:
            del self.result.cycles.get(member, [])[number - 1 :]
