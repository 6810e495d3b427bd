"""Order and cycles of dependencies."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import graph


def test_parallel_edges_count_once_and_unknown_ends_not_at_all() -> None:
    found = graph.dependencies(["a", "b"], [("a", "b"), ("a", "b"), ("x", "b"), ("a", "y")])
    assert found == {"a": (), "b": ("a",)}


def test_a_chain_is_the_array() -> None:
    assert graph.chain(["a", "b", "c"]) == {"a": (), "b": ("a",), "c": ("b",)}


def test_of_all_orders_the_one_of_the_document_is_taken() -> None:
    depends = graph.dependencies(["a", "b", "c", "d"], [("a", "d"), ("c", "b")])
    assert graph.topological_order(depends).nodes == ("a", "c", "b", "d")


def test_a_cycle_is_named_node_by_node_along_its_edges() -> None:
    depends = graph.dependencies(list("zabc"), [("z", "a"), ("a", "b"), ("b", "c"), ("c", "a")])
    order = graph.topological_order(depends)
    assert order.cycles == (("a", "b", "c", "a"),)
    assert order.nodes == ("z",)


def test_several_cycles_are_all_named_and_what_follows_is_ordered() -> None:
    edges = [("a", "a"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e")]
    order = graph.topological_order(graph.dependencies(list("abcde"), edges))
    assert order.cycles == (("a", "a"), ("b", "c", "b"))
    assert order.nodes == ("d", "e")


def test_reach_does_not_go_on_from_where_it_stops() -> None:
    onward = {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["a"]}
    assert graph.reach(["a"], onward, stop={"c"}) == {"a", "b", "c"}


def test_many_cycles_take_no_time() -> None:
    names = [str(number) for number in range(20_000)]
    edges = [(names[at], names[at + 1 - 2 * (at % 2)]) for at in range(20_000)]
    began = time.perf_counter()
    assert len(graph.topological_order(graph.dependencies(names, edges)).cycles) == 10_000
    assert time.perf_counter() - began < 5


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    count = draw(st.integers(1, 25))
    names = [f"n{number}" for number in range(count)]
    hidden = draw(st.permutations(names))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    chosen = draw(st.lists(pairs, max_size=60)) if count > 1 else []
    return names, [(hidden[first], hidden[second]) for first, second in chosen]


@given(acyclic())
def test_an_order_holds_each_node_once_and_respects_every_edge(drawn: tuple[list[str], list[tuple[str, str]]]) -> None:
    names, edges = drawn
    order = graph.topological_order(graph.dependencies(names, edges))
    assert not order.cycles
    assert sorted(order.nodes) == sorted(names)
    place = {name: at for at, name in enumerate(order.nodes)}
    assert all(place[source] < place[target] for source, target in edges)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30))
    )
)
def test_cycles_are_walks_along_edges(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = drawn
    edges = {(str(first), str(second)) for first, second in pairs}
    order = graph.topological_order(graph.dependencies([str(it) for it in range(count)], edges))
    for cycle in order.cycles:
        assert cycle[0] == cycle[-1]
        assert all(step in edges for step in itertools.pairwise(cycle))
    assert len(order.nodes) + sum(len(cycle) - 1 for cycle in order.cycles) == count
