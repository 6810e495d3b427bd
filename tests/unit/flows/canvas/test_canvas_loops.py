"""Loops: what they repeat, when they end, and which cycles' data are kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import expressions
from labkeeper_flows.canvas.loops import MAX_CYCLES, CollectionWindow, LoopRule, Turn
from labkeeper_flows.canvas.planned import CanvasPlan
from tests.unit.flows.canvas.canvases import (
    CONTROL,
    COUNTER,
    EIGHT,
    ELECTRODE,
    EXPORT,
    MEASURE,
    SETUP,
    SOLUTION,
    WASH,
    edge,
    nested,
    node,
    planned,
    spots,
    told,
)


def control(**params: Any) -> dict[str, Any]:
    """A head with these parameters."""
    return node("control", "sdl1SequenceControl", **params)


def kept(plan: CanvasPlan, name: str) -> list[object]:
    """What the data step of each cycle says of its data."""
    return [steps[-1].parameters["kept"] for steps in plan.by_id[name].cycles]


@pytest.mark.parametrize(
    ("window", "total", "cycles"),
    [
        (CollectionWindow("all_cycles"), 4, (1, 2, 3, 4)),
        (CollectionWindow("all_cycles", stabilization=2), 4, (3, 4)),
        (CollectionWindow("from_cycle_n", start=3), 5, (3, 4, 5)),
        (CollectionWindow("from_cycle_n", start=2, stabilization=3), 5, (4, 5)),
        (CollectionWindow("from_cycle_n", start=9), 5, ()),
        (CollectionWindow("last_n_cycles", last_n=2), 5, (4, 5)),
        (CollectionWindow("last_n_cycles", last_n=9, stabilization=1), 3, (2, 3)),
    ],
)
def test_windows(window: CollectionWindow, total: int, cycles: tuple[int, ...]) -> None:
    assert window.kept(total) == cycles


def test_the_last_cycles_are_known_only_at_the_end() -> None:
    window = CollectionWindow("last_n_cycles", last_n=2, stabilization=1)
    assert [window.keeps(cycle, None) for cycle in (1, 2)] == [False, None]


@given(
    st.sampled_from(["all_cycles", "from_cycle_n", "last_n_cycles"]),
    st.integers(1, 50),
    st.integers(1, 20),
    st.integers(0, 20),
    st.integers(1, 100),
)
def test_what_is_known_beforehand_is_what_comes_true(mode: Any, start: int, last: int, stable: int, total: int) -> None:
    window = CollectionWindow(mode, start, last, stable)
    for cycle in range(1, total + 1):
        early = window.keeps(cycle, None)
        assert early is None or early == (cycle in window.kept(total))


def test_a_count_ends_after_so_many_cycles_whatever_is_measured() -> None:
    rule = LoopRule(count=3)
    assert [rule.after(cycle, {}, 0) for cycle in (1, 2, 3)] == [Turn.AGAIN, Turn.AGAIN, Turn.DONE]


def test_a_duration_ends_after_so_many_seconds() -> None:
    rule = LoopRule(duration_s=60)
    assert (rule.after(1, {}, 59), rule.after(2, {}, 60)) == (Turn.AGAIN, Turn.DONE)


def test_a_condition_ends_when_it_holds_and_never_silently() -> None:
    rule = LoopRule(condition=expressions.parse("voltage < -1.5 or cycle >= 50 or time > 1 h"))
    assert rule.after(1, {"voltage": -1}, 0, most=9) is Turn.AGAIN
    assert rule.after(1, {"voltage": -2}, 0, most=9) is Turn.DONE
    assert rule.after(1, {"voltage": 0}, 3601, most=9) is Turn.DONE
    assert rule.after(50, {"voltage": 0}, 0) is Turn.DONE
    assert rule.after(9, {"voltage": 0}, 0, most=9) is Turn.EXHAUSTED
    with pytest.raises(expressions.ValueMissing):
        rule.after(1, {}, 0)


def test_in_array_order_the_body_stands_between_setup_and_export() -> None:
    plan = planned(nested(*EIGHT))
    names = ["setup", "control", "solution", "electrode", "measure", "wash", "counter", "export"]
    assert [it.id for it in plan.nodes] == names
    (loop,) = plan.loops
    assert (loop.head, loop.members, loop.counter, loop.most) == ("control", tuple(names[2:7]), "counter", 3)
    assert [len(it.cycles) for it in plan.nodes] == [1, 1, 3, 3, 3, 3, 3, 1]
    assert [it.loop for it in plan.nodes] == [None, None, *["control"] * 5, None]
    assert plan.total == 8


def test_each_cycle_takes_its_own_tips_and_returns_its_tools() -> None:
    plan = planned(nested(*EIGHT))
    tips = [spots(steps)[1] for steps in plan.by_id["solution"].cycles]
    assert tips == [f"pickup_tip tip_rack_1 A{number}" for number in (1, 2, 3)]
    assert len(set(map(str, plan.by_id["wash"].cycles))) == 1
    assert plan.tips_used == {"tip_rack_1": ("A1", "A2", "A3")}


def test_the_window_decides_what_is_kept() -> None:
    assert kept(planned(nested(*EIGHT)), "measure") == [False, True, True]
    free = node("measure", "sdl1ElectrochemicalMeasurement", cycle_dependent_collection=False)
    assert kept(planned(nested(SETUP, free, EXPORT, CONTROL)), "measure") == [True] * 3


def test_a_window_that_keeps_nothing_is_warned_of() -> None:
    plan = planned(nested(SETUP, MEASURE, EXPORT, control(loop_count=2)))
    assert [(it.path, "of 2 cycles the data of none" in it.message) for it in plan.warnings] == [
        ("workflow.nodes[3].params.data_collection_mode", True)
    ]


def test_what_cannot_be_done_again_is_told_with_its_cycle() -> None:
    fill = node("solution", "sdl1SolutionPreparation", volume=9000)
    assert "in cycle 3: " in told(nested(SETUP, fill, EXPORT, CONTROL))
    assert "in cycle 2: the pipette still holds" in told(nested(SETUP, ELECTRODE, EXPORT, CONTROL))


def test_a_loop_without_a_count_is_planned_as_far_as_its_tips_go() -> None:
    loop = control(loop_type="condition_based", data_collection_mode="last_n_cycles", stabilization_cycles=1)
    after = node("after", "sdl1SolutionPreparation", target_well="B1", source_well="A2", volume=100)
    small = node("solution", "sdl1SolutionPreparation", volume=100)
    plan = planned(nested(SETUP, small, MEASURE, EXPORT, after, loop))
    (planned_loop,) = plan.loops
    assert spots(plan.by_id["after"].steps())[1] == "pickup_tip tip_rack_1 A2"
    assert planned_loop.most == 95
    assert "the tip rack tip_rack_1 is empty" in planned_loop.limit
    assert {len(plan.by_id[name].cycles) for name in planned_loop.members} == {95}
    assert kept(plan, "measure")[:3] == [False, None, None]
    assert plan.by_id["export"].steps()[0].parameters["cycles"] == {"loop": "control", "total": None, "kept": None}


def test_a_loop_that_uses_nothing_up_still_has_an_end() -> None:
    plan = planned(nested(SETUP, MEASURE, EXPORT, control(loop_type="condition_based")))
    assert (plan.loops[0].most, plan.loops[0].limit) == (MAX_CYCLES, "a loop goes round at most 100 times")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"loop_count": 0}, "1 to 100"),
        ({"loop_type": "forever"}, "no choice"),
        ({"loop_type": "condition_based", "break_condition": "voltage = 1"}, "column 9"),
        ({"loop_type": "condition_based", "break_condition": ""}, "column 1"),
        ({"loop_type": "time_based"}, "needs a condition over time"),
        ({"loop_type": "time_based", "loop_duration": 0}, "more than 0"),
    ],
)
def test_rules_that_cannot_be_are_refused(params: dict[str, Any], said: str) -> None:
    assert said in told(nested(SETUP, MEASURE, EXPORT, control(**params)))


def test_rules_in_time() -> None:
    for params in ({"loop_duration": "2 h"}, {"break_condition": "time >= 7200"}):
        rule = planned(nested(SETUP, MEASURE, EXPORT, control(loop_type="time_based", **params))).loops[0].rule
        assert (rule.after(1, {}, 7199), rule.after(1, {}, 7200)) == (Turn.AGAIN, Turn.DONE)


def test_a_condition_that_a_counted_loop_does_not_use_is_not_looked_at() -> None:
    assert told(nested(SETUP, MEASURE, EXPORT, control(break_condition="?", loop_count=3))) == ""


def test_with_edges_the_body_is_what_the_loop_handle_reaches() -> None:
    edges = [
        edge("setup", "control"),
        edge("control", "measure", "loop-output"),
        edge("measure", "counter"),
        edge("control", "solution", "done-output"),
        edge("solution", "export"),
    ]
    plan = planned(nested(SOLUTION, MEASURE, SETUP, CONTROL, COUNTER, EXPORT, edges=edges))
    assert [it.id for it in plan.nodes] == ["setup", "control", "measure", "counter", "solution", "export"]
    assert plan.loops[0].members == ("measure", "counter")
    assert plan.by_id["solution"].depends_on == ("control",)


def test_without_a_loop_handle_the_body_lies_between_head_and_counter() -> None:
    edges = [
        edge("setup", "control"),
        edge("control", "measure"),
        edge("measure", "counter"),
        edge("counter", "export"),
    ]
    plan = planned(
        nested(SETUP, CONTROL, MEASURE, COUNTER, EXPORT, SOLUTION, edges=[*edges, edge("control", "solution")])
    )
    assert plan.loops[0].members == ("measure", "counter")
    assert plan.by_id["export"].depends_on == ("counter",)


def test_what_the_body_needs_from_outside_the_head_waits_for() -> None:
    edges = [
        edge("control", "measure", "loop"),
        edge("measure", "counter"),
        edge("solution", "measure"),
        edge("counter", "control", "loop-back"),
    ]
    plan = planned(nested(CONTROL, MEASURE, COUNTER, SOLUTION, edges=edges))
    assert [it.id for it in plan.nodes] == ["solution", "control", "measure", "counter"]
    assert plan.by_id["control"].depends_on == ("solution",)
    assert plan.by_id["measure"].depends_on == ("control",)


INNER = node("inner", "sdl1SequenceControl", loop_count=2)


@pytest.mark.parametrize(
    ("nodes", "edges", "said"),
    [
        ((SETUP, EXPORT, CONTROL), [], "the loop repeats nothing"),
        ((SETUP, MEASURE, EXPORT, CONTROL, INNER), [], "can hold one of these"),
        ((CONTROL, COUNTER), [edge("control", "counter")], "the loop repeats nothing"),
        ((CONTROL, MEASURE), [edge("control", "measure")], "nothing says what the loop repeats"),
        (
            (CONTROL, INNER, MEASURE, COUNTER),
            [edge("control", "inner", "loop"), edge("inner", "measure", "loop"), edge("measure", "counter")],
            "holds another loop, 'inner'",
        ),
        (
            (CONTROL, INNER, MEASURE),
            [edge("control", "measure", "loop"), edge("inner", "measure", "loop")],
            "which the loop of 'control' repeats too",
        ),
        (
            (CONTROL, MEASURE, COUNTER, node("c2", "sdl1CycleCounter")),
            [edge("control", "measure", "loop"), edge("measure", "counter"), edge("measure", "c2")],
            "several counters",
        ),
        (
            (CONTROL, MEASURE, WASH, COUNTER, SOLUTION),
            [
                edge("control", "measure", "loop"),
                edge("measure", "counter"),
                edge("counter", "solution"),
                edge("solution", "wash"),
                edge("wash", "control"),
            ],
            "run in a circle: control → measure → counter → solution → wash → control",
        ),
    ],
)
def test_loops_that_cannot_be_carried_out(nodes: tuple[Any, ...], edges: list[Any], said: str) -> None:
    assert said in told(nested(*nodes, edges=edges))


def test_a_node_that_waits_for_the_body_and_is_waited_for_by_it() -> None:
    other = node("other", "delay")
    edges = [
        edge("control", "measure", "loop"),
        edge("measure", "counter"),
        edge("counter", "other"),
        edge("other", "solution"),
        edge("solution", "export"),
    ]
    data = nested(CONTROL, MEASURE, COUNTER, SOLUTION, EXPORT, other, edges=[*edges, edge("solution", "wash")])
    data["workflow"]["nodes"].append(WASH)
    assert told(data) == ""
    crossing = nested(
        CONTROL,
        MEASURE,
        WASH,
        COUNTER,
        other,
        edges=[
            edge("control", "measure"),
            edge("measure", "counter"),
            edge("measure", "other"),
            edge("other", "wash"),
            edge("control", "wash", "loop"),
            edge("wash", "counter"),
        ],
    )
    crossing["workflow"]["edges"][0]["sourceHandle"] = "loop"
    # `other` is reached by the loop handle too, so it belongs to the body.
    assert planned(crossing).loops[0].members == ("measure", "other", "wash", "counter")
