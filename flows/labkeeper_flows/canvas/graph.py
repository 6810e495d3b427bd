"""Dependencies between named things: a stable order, and cycles named node by node.

Knows nothing of canvases or loops. Linear in nodes and edges (times log n for the heap), so 2,000 nodes take
milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """All nodes so that each comes after what it depends on; `cycles` holds those for which that is impossible.

    Each cycle is a closed walk along the edges: `("a", "b", "a")`. With cycles, `nodes` is only what lies outside them.
    """

    nodes: tuple[str, ...]
    cycles: tuple[tuple[str, ...], ...] = ()


def dependencies(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """What each node depends on, in the order of `nodes`; parallel edges count once (facts 1.1, Zinc canvas).

    `edges` are (source, target) pairs; those that name an unknown node are left out, since they are a problem of the
    document and not of the graph.
    """
    sources: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        if source in sources and target in sources:
            sources[target].add(source)
    place = {node: at for at, node in enumerate(nodes)}
    return {node: tuple(sorted(found, key=place.__getitem__)) for node, found in sources.items()}


def chain(nodes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each node after the one before it: what a canvas without edges means (facts 1.1)."""
    return {node: tuple(nodes[at - 1 : at]) if at else () for at, node in enumerate(nodes)}


def successors(depends: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The same edges seen from their sources."""
    found: dict[str, list[str]] = {node: [] for node in depends}
    for node, sources in depends.items():
        for source in sources:
            found[source].append(node)
    return found


def topological_order(depends: Mapping[str, Collection[str]]) -> Order:
    """Of all orders that respect the dependencies, the one that stays nearest to the order of `depends`."""
    names = list(depends)
    place = {node: at for at, node in enumerate(names)}
    targets = successors(depends)
    missing = {node: len(set(sources)) for node, sources in depends.items()}
    ready = [place[node] for node in names if not missing[node]]
    left = dict.fromkeys(names)
    order: list[str] = []
    cycles: list[tuple[str, ...]] = []
    while left:
        if not ready:
            cycle = _cycle(next(iter(left)), depends, left, place)
            cycles.append(cycle)
            taken = list(dict.fromkeys(cycle))
        else:
            taken = [names[heapq.heappop(ready)]]
            order.extend(taken)
        for node in taken:
            del left[node]
        for node in taken:
            for target in targets[node]:
                missing[target] -= 1
                if not missing[target] and target in left:
                    heapq.heappush(ready, place[target])
    return Order(tuple(order), tuple(cycles))


def reach(start: Iterable[str], onward: Mapping[str, Collection[str]], stop: Collection[str] = ()) -> set[str]:
    """All nodes that can be reached from `start` (itself included) without going on from those in `stop`."""
    found = set(start)
    edge = list(found)
    while edge:
        node = edge.pop()
        if node in stop:
            continue
        for target in onward.get(node, ()):
            if target not in found:
                found.add(target)
                edge.append(target)
    return found


def _cycle(
    start: str, depends: Mapping[str, Collection[str]], left: Mapping[str, None], place: Mapping[str, int]
) -> tuple[str, ...]:
    """Walk against the edges among nodes that all wait for another of them, until a node comes again."""
    walk: dict[str, int] = {}
    node = start
    while node not in walk:
        walk[node] = len(walk)
        node = next(source for source in depends[node] if source in left)
    ring = list(walk)[walk[node] :]
    # The walk went against the edges; a person reads along them, from what the canvas names first.
    ring.reverse()
    first = min(range(len(ring)), key=lambda at: place[ring[at]])
    turned = ring[first:] + ring[:first]
    return (*turned, turned[0])
