"""A canvas's nodes and edges -> the order in which its nodes are carried out, and its loops. No parameters here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from labkeeper_api.errors import Problem
from labkeeper_flows.canvas import graph, loops
from labkeeper_flows.canvas.document import Canvas
from labkeeper_flows.canvas.loops import LoopShape
from labkeeper_flows.canvas.nodes.control import CYCLE_COUNTER, SEQUENCE_CONTROL

SETUP, EXPORT = "sdl1ExperimentSetup", "sdl1DataExport"


@dataclass(frozen=True)
class Block:
    """One place in the order: a node, or a loop with its head first, its body in order and its counter last."""

    node: str
    loop: LoopShape | None = None
    members: tuple[str, ...] = ()
    """What the loop repeats, in order."""


@dataclass(frozen=True)
class Structure:
    """Blocks in order, and what each node depends on (ids of nodes, by drawn edges or by place in the array)."""

    blocks: tuple[Block, ...]
    depends: Mapping[str, tuple[str, ...]]


def structure(canvas: Canvas, types: Mapping[str, str]) -> tuple[Structure, list[Problem]]:
    """The order of a canvas and everything that is wrong with how it is drawn.

    `types`: node id -> name of its type in the registry. With problems the order is that of the document.
    """
    nodes = [node.id for node in canvas.nodes]
    heads = [node for node in nodes if types.get(node) == SEQUENCE_CONTROL]
    counters = [node for node in nodes if types.get(node) == CYCLE_COUNTER]
    found, depends, problems = (_drawn if canvas.edges else _in_array_order)(canvas, nodes, heads, counters, types)
    if not problems:
        blocks, problems = _blocks(canvas, nodes, depends, found)
        return Structure(blocks, _lifted(depends, found)), problems
    return Structure(tuple(map(Block, nodes)), depends), problems


Found = tuple[list[LoopShape], dict[str, tuple[str, ...]], list[Problem]]


def _in_array_order(
    canvas: Canvas, nodes: list[str], heads: list[str], counters: list[str], types: Mapping[str, str]
) -> Found:
    """Without edges the array is the order; `executionMetadata` has it reversed there (facts 1.1)."""
    if not heads:
        return [], graph.chain(nodes), []
    problems = [
        canvas.problem(
            _path(canvas, node), "a canvas without edges can hold one of these", "draw edges, or take it away"
        )
        for node in (*heads[1:], *counters[1:])
    ]
    named = {kind: {node for node in nodes if types.get(node) == kind} for kind in (SETUP, EXPORT)}
    order, loop = loops.unroll_chain(nodes, head=heads[0], counters=counters, first=named[SETUP], last=named[EXPORT])
    if not loop.body:
        hint = "it repeats what stands between ExperimentSetup and DataExport"
        problems.append(canvas.problem(_path(canvas, heads[0]), "the loop repeats nothing", hint))
    chain = graph.chain(order)
    return [loop], {node: chain[node] for node in nodes}, problems


def _drawn(canvas: Canvas, nodes: list[str], heads: list[str], counters: list[str], types: Mapping[str, str]) -> Found:
    del types
    edges = [edge for edge in canvas.edges if not loops.is_loop_back(edge, heads, counters)]
    depends = graph.dependencies(nodes, [(edge.source, edge.target) for edge in edges])
    cycles = graph.topological_order(depends).cycles
    if cycles:
        return [], depends, [_cycle_problem(canvas, cycle) for cycle in cycles]
    found, objections = loops.drawn_loops(nodes, edges, heads, counters)
    problems = [canvas.problem(_path(canvas, it.node), it.message, it.hint) for it in objections]
    return found, depends, problems


def _blocks(
    canvas: Canvas, nodes: Sequence[str], depends: Mapping[str, tuple[str, ...]], found: Sequence[LoopShape]
) -> tuple[tuple[Block, ...], list[Problem]]:
    """Order with each loop as one thing, so that what it repeats stands together."""
    owner = {node: loop.head for loop in found for node in loop.members}
    by_head = {loop.head: loop for loop in found}
    outer: dict[str, dict[str, None]] = {node: {} for node in nodes if node not in owner}
    for node in nodes:
        place = owner.get(node, node)
        outer[place].update(dict.fromkeys(owner.get(source, source) for source in depends[node]))
    for place, sources in outer.items():
        if place in by_head:
            sources.pop(place, None)
    order = graph.topological_order(outer)
    problems = [
        canvas.problem(
            _path(canvas, next(node for node in cycle if node in by_head)),
            f"the loop and what is outside of it wait for each other: {' → '.join(cycle)}",
            "a node that waits for the loop's body and is waited for by it belongs into the loop",
        )
        for cycle in order.cycles
    ]
    blocks = (Block(node, by_head.get(node), _members(by_head.get(node), depends)) for node in order.nodes)
    return tuple(blocks), problems


def _members(loop: LoopShape | None, depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if loop is None:
        return ()
    inside = {node: [source for source in depends[node] if source in loop.body] for node in loop.body}
    # The counter reports on the whole cycle, so it comes last whatever the edges say.
    return (*graph.topological_order(inside).nodes, *([loop.counter] if loop.counter else []))


def _lifted(depends: Mapping[str, tuple[str, ...]], found: Sequence[LoopShape]) -> dict[str, tuple[str, ...]]:
    """Members wait for their head and each other; what they need from outside, the head waits for."""
    lifted = dict(depends)
    for loop in found:
        inside = loop.members | {loop.head}
        outside: dict[str, None] = dict.fromkeys(depends[loop.head])
        for node in loop.members:
            outside.update(dict.fromkeys(source for source in depends[node] if source not in inside))
            kept = [source for source in depends[node] if source in inside]
            lifted[node] = tuple(dict.fromkeys(kept or [loop.head]))
        if loop.counter:
            followed = {source for node in loop.body for source in depends[node]}
            lifted[loop.counter] = tuple(node for node in loop.body if node not in followed)
        lifted[loop.head] = tuple(outside)
    return lifted


def _cycle_problem(canvas: Canvas, cycle: Collection[str]) -> Problem:
    names = list(cycle)
    edge = next(edge for edge in canvas.edges if (edge.source, edge.target) == (names[-2], names[-1]))
    message = f"the edges run in a circle: {' → '.join(names)}"
    return canvas.problem(edge.path, message, "take one of them away; a SequenceControl is how to repeat something")


def _path(canvas: Canvas, node: str) -> tuple[str | int, ...]:
    return next(entry.path for entry in canvas.nodes if entry.id == node)
