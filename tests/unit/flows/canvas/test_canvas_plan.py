"""From a canvas to a plan: order, devices, policies, and everything wrong at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_flows.canvas.nodes.base import Category, RetryPolicy
from labkeeper_flows.canvas.plan import plan_text
from tests.unit.flows.canvas.canvases import (
    EIGHT,
    EXPORT,
    MEASURE,
    SETUP,
    SOLUTION,
    as_text,
    edge,
    nested,
    node,
    planned,
    problems,
    told,
    top_level,
)


def test_both_shapes_give_the_same_plan() -> None:
    one, two = planned(nested(*EIGHT)), planned(top_level(*EIGHT))
    assert one.nodes == two.nodes
    assert (one.name, two.name) == ("test", "flat")


def test_planning_twice_gives_the_same_commands() -> None:
    text = as_text(nested(*EIGHT))
    logs = [[step.as_json() for it in plan_text(text).nodes for steps in it.cycles for step in steps] for _ in range(2)]
    assert logs[0] == logs[1]


def test_a_cycle_is_told_at_its_edge() -> None:
    data = nested(
        SETUP, MEASURE, EXPORT, edges=[edge("setup", "measure"), edge("measure", "export"), edge("export", "setup")]
    )
    (problem,) = problems(data)
    assert problem.path == "workflow.edges[2]"
    assert problem.message == "the edges run in a circle: setup → measure → export → setup"


def test_a_cycle_does_not_hide_a_wrong_parameter() -> None:
    data = nested(SETUP, node("m", "delay", seconds=-1), edges=[edge("setup", "m"), edge("m", "setup")])
    assert {it.path for it in problems(data)} == {"workflow.edges[1]", "workflow.nodes[1].params.seconds"}


def test_branches_run_beside_each_other_only_on_different_devices() -> None:
    rest = node("rest", "sdl1ElectrochemicalMeasurement", channel=1)
    pour = node("pour", "sdl1SolutionPreparation", target_well="B1")
    edges = [edge("setup", name) for name in ("solution", "measure", "rest", "pour")]
    plan = planned(nested(SETUP, SOLUTION, MEASURE, rest, pour, edges=edges))
    assert {it.id: it.after for it in plan.nodes} == {
        "setup": (),
        "solution": (),
        "measure": (),
        "rest": ("measure",),
        "pour": ("solution",),
    }


def test_policies_and_waits() -> None:
    tried = node("s", "sdl1SolutionPreparation", error_handling="retry", wait_before="1 min", wait_after=2)
    plan = planned(nested(SETUP, tried, node("c", "sdl1CycleCounter")))
    it = plan.by_id["s"]
    assert (it.error_handling, it.attempts, it.retry, it.wait_before, it.wait_after) == (
        "retry",
        2,
        RetryPolicy(1, 15),
        60,
        2,
    )
    assert (plan.by_id["setup"].error_handling, plan.by_id["setup"].attempts) == ("stop", 1)
    assert plan.by_id["c"].error_handling == "continue"
    own = {Category.PIPETTING: RetryPolicy(3, 2, 1.5)}
    again = planned(nested(tried), policies=own).by_id["s"]
    assert (again.attempts, again.retry.delay_before(2), again.retry.delay_before(4)) == (4, 2, 4.5)


def test_defaults_of_waits_are_those_of_the_type() -> None:
    plan = planned(nested(node("a", "sdl1SamplePreparation"), node("b", "sdl1HardwareWashing"), SETUP))
    assert [it.wait_after for it in plan.nodes] == [1, 2, 0]


def test_the_prefix_may_be_left_out() -> None:
    assert planned(nested(node("n", "ExperimentSetup"))).nodes[0].type == "sdl1ExperimentSetup"


def test_unknown_types_are_suggested() -> None:
    assert "did you mean 'sdl1DataExport'" in told(nested(node("n", "sdl1DataExprot")))


def test_two_thousand_nodes_are_planned_in_well_under_a_second() -> None:
    nodes = [
        node(f"n{at}", "sdl1ElectrochemicalMeasurement", measurement_type="OCV", ocv_duration=5) for at in range(2000)
    ]
    edges = [edge(f"n{at // 2}", f"n{at}", handle) for at in range(1, 2000) for handle in ("trigger", "data")]
    text = as_text(nested(*nodes, edges=edges))
    began = time.process_time()
    plan = plan_text(text)
    spent = time.process_time() - began
    assert plan.total == 2000
    assert spent < 1


def test_two_thousand_wrong_nodes_are_told_in_time() -> None:
    nodes = [node(f"n{at}", "sdl1SolutionPreparation", volume=-at) for at in range(2000)]
    began = time.process_time()
    with pytest.raises(InvalidInput) as error:
        plan_text(as_text(nested(*nodes)))
    assert len(error.value.problems) == 2000
    assert time.process_time() - began < 3


@pytest.mark.parametrize("broken", [{"nodes": 5}, {"nodes": [[]]}, {"nodes": [{}], "edges": 3}])
def test_a_broken_canvas_is_told_and_not_raised(broken: dict[str, Any]) -> None:
    assert problems(broken)
