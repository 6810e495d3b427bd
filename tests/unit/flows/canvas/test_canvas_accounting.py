"""Every node ends in exactly one state, and the counts add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkeeper_flows.canvas.accounting import ENDED, Accounting, NodeState, NotAllowed, Work
from labkeeper_flows.canvas.loops import Turn
from labkeeper_flows.canvas.planned import CanvasPlan
from tests.unit.flows.canvas.canvases import (
    CONTROL,
    COUNTER,
    EIGHT,
    EXPORT,
    MEASURE,
    SETUP,
    SOLUTION,
    edge,
    nested,
    node,
    planned,
)


def run(plan: CanvasPlan, fails: dict[tuple[str, int], bool] | None = None) -> tuple[Accounting, list[tuple[str, int]]]:
    """Carry out one after another; `fails` holds the nodes and cycles that fail."""
    accounts = Accounting(plan)
    log: list[tuple[str, int]] = []
    while True:
        for loop, cycle in accounts.turns():
            accounts.turn(loop.head, loop.rule.after(cycle, {"voltage": -2.0}, 0, loop.most))
        work = next(iter(accounts.startable()), None)
        if work is None:
            return accounts, log
        log.append((work.node, work.cycle))
        accounts.begin(work)
        if (fails or {}).get((work.node, work.cycle)):
            accounts.fail(work, "it broke")
        else:
            accounts.complete(work)


def states(accounts: Accounting) -> dict[str, str]:
    """Node -> state."""
    return {it.node: it.state.value for it in accounts.results()}


def check(accounts: Accounting, plan: CanvasPlan) -> None:
    """The counts add up, and everything has ended."""
    counts = accounts.counts()
    assert accounts.finished
    assert counts.total == plan.total == counts.completed + counts.failed + counts.skipped + counts.cancelled
    assert counts.pending == counts.running == 0
    assert all(it.state in ENDED for it in accounts.results())


def test_a_loop_repeats_its_body_and_ends() -> None:
    plan = planned(nested(*EIGHT))
    accounts, log = run(plan)
    body = ["solution", "electrode", "measure", "wash", "counter"]
    assert log == [
        ("setup", 1),
        ("control", 1),
        *((name, cycle) for cycle in (1, 2, 3) for name in body),
        ("export", 1),
    ]
    check(accounts, plan)
    assert accounts.counts().completed == 8
    assert {it.node: it.cycles for it in accounts.results()}["control"] == 3
    assert {it.node: it.cycles for it in accounts.results()}["wash"] == 3


def test_stop_skips_the_rest() -> None:
    plan = planned(nested(*EIGHT))
    accounts, log = run(plan, {("measure", 2): True})
    check(accounts, plan)
    assert log[-1] == ("measure", 2)
    assert states(accounts) == {
        "setup": "completed",
        "control": "skipped",
        "solution": "skipped",
        "electrode": "skipped",
        "measure": "failed",
        "wash": "skipped",
        "counter": "skipped",
        "export": "skipped",
    }
    results = {it.node: it for it in accounts.results()}
    assert (results["solution"].cycles, results["wash"].cycles, results["measure"].reason) == (2, 1, "it broke")
    assert results["export"].reason == "the run stopped when measure failed"


def test_what_has_done_all_its_cycles_stays_completed() -> None:
    plan = planned(nested(*EIGHT))
    accounts, _ = run(plan, {("wash", 3): True})
    check(accounts, plan)
    assert [states(accounts)[name] for name in ("solution", "measure", "wash", "counter")] == [
        "completed",
        "completed",
        "failed",
        "skipped",
    ]


def test_continue_goes_on_and_a_failure_in_one_cycle_is_not_covered_up() -> None:
    gentle = MEASURE | {"params": MEASURE["params"] | {"error_handling": "continue"}}
    plan = planned(nested(SETUP, gentle, EXPORT, CONTROL, COUNTER))
    accounts, log = run(plan, {("measure", 1): True})
    check(accounts, plan)
    assert log.count(("measure", 3)) == 1
    assert states(accounts) == {
        "setup": "completed",
        "control": "completed",
        "measure": "failed",
        "counter": "completed",
        "export": "completed",
    }


def test_a_loop_that_never_reaches_its_end_has_failed() -> None:
    head = node(
        "control",
        "sdl1SequenceControl",
        loop_type="condition_based",
        error_handling="stop",
        break_condition="voltage > 9",
    )
    plan = planned(nested(SETUP, SOLUTION, EXPORT, head))
    accounts, _ = run(plan)
    check(accounts, plan)
    results = {it.node: it for it in accounts.results()}
    assert (results["control"].state, results["export"].state) == (NodeState.FAILED, NodeState.SKIPPED)
    assert "in cycle" in results["control"].reason
    gentle = head | {"params": head["params"] | {"error_handling": "continue"}}
    accounts, _ = run(planned(nested(SETUP, SOLUTION, EXPORT, gentle)))
    assert states(accounts)["export"] == "completed"


def test_a_loop_that_cannot_begin_skips_its_body_and_what_waits_for_it() -> None:
    free = node("free", "delay")
    edges = [edge("control", "measure", "loop"), edge("measure", "counter"), edge("counter", "export")]
    plan = planned(nested(CONTROL, MEASURE, COUNTER, EXPORT, free, edges=[*edges, edge("control", "free")]))
    accounts, _ = run(plan, {("control", 1): True})
    check(accounts, plan)
    assert states(accounts) == {
        "control": "failed",
        "measure": "skipped",
        "counter": "skipped",
        "export": "skipped",
        "free": "completed",
    }


def test_cancelling_leaves_what_runs_to_say_how_it_ended() -> None:
    plan = planned(nested(SETUP, SOLUTION, MEASURE, edges=[edge("setup", "solution"), edge("setup", "measure")]))
    accounts = Accounting(plan)
    accounts.begin(Work("setup"))
    accounts.complete(Work("setup"))
    assert accounts.startable() == (Work("solution"), Work("measure"))
    accounts.begin(Work("solution"))
    accounts.begin(Work("measure"))
    accounts.cancel("by hand")
    assert accounts.startable() == ()
    assert not accounts.finished
    accounts.cancelled(Work("solution"))
    accounts.complete(Work("measure"))
    check(accounts, plan)
    assert states(accounts) == {"setup": "completed", "solution": "cancelled", "measure": "completed"}


def test_branches_on_one_device_wait_for_each_other() -> None:
    pour = node("pour", "sdl1SolutionPreparation", target_well="B1")
    edges = [edge("setup", "solution"), edge("setup", "pour")]
    accounts = Accounting(planned(nested(SETUP, SOLUTION, pour, edges=edges)))
    accounts.begin(Work("setup"))
    accounts.complete(Work("setup"))
    assert accounts.startable() == (Work("solution"),)
    with pytest.raises(NotAllowed):
        accounts.begin(Work("pour"))
    accounts.begin(Work("solution"))
    assert accounts.startable() == ()
    accounts.complete(Work("solution"))
    assert accounts.startable() == (Work("pour"),)


@pytest.mark.parametrize("call", ["complete", "fail", "cancelled"])
def test_what_never_began_cannot_end(call: str) -> None:
    accounts = Accounting(planned(nested(SETUP)))
    with pytest.raises(NotAllowed):
        getattr(accounts, call)(Work("setup"), *(["x"] if call == "fail" else []))
    with pytest.raises(NotAllowed):
        accounts.begin(Work("nobody"))
    accounts.begin(Work("setup"))
    with pytest.raises(NotAllowed):
        accounts.begin(Work("setup"))


def test_a_turn_needs_a_cycle_that_has_ended() -> None:
    accounts = Accounting(planned(nested(*EIGHT)))
    with pytest.raises(NotAllowed):
        accounts.turn("control", Turn.DONE)


_HANDLING = st.sampled_from(["stop", "continue", "retry"])


@st.composite
def _canvases(draw: st.DrawFn) -> dict[str, Any]:
    """Random acyclic canvases of nodes on several devices, half of them with a loop."""
    kinds = ["delay", "sdl1ElectrochemicalMeasurement", "sdl1HardwareWashing", "home_robot"]
    count = draw(st.integers(1, 7))
    names = [f"n{number}" for number in range(count)]
    nodes = [node(name, draw(st.sampled_from(kinds)), error_handling=draw(_HANDLING)) for name in names]
    edges = [edge(first, second) for first in names for second in names if first < second and draw(st.booleans())]
    if draw(st.booleans()):
        inside = [node(name, draw(st.sampled_from(kinds)), error_handling=draw(_HANDLING)) for name in ("b1", "b2")]
        kind = draw(st.sampled_from(["fixed_count", "condition_based"]))
        head = node("head", "sdl1SequenceControl", loop_type=kind, loop_count=2, break_condition="cycle >= 3")
        nodes += [head, *inside, node("tail", "sdl1CycleCounter")]
        edges += [edge("head", "b1", "loop"), edge("head", "b2", "loop"), edge("b1", "tail"), edge("b2", "tail")]
        edges += [edge(draw(st.sampled_from(names)), draw(st.sampled_from(["head", "b1"]))), edge("tail", "last")]
        nodes.append(node("last", "delay"))
    return nested(*draw(st.permutations(nodes)), edges=edges or None)


@given(_canvases(), st.data())
@settings(max_examples=150)
def test_whatever_happens_the_counts_add_up(data: dict[str, Any], choice: st.DataObject) -> None:
    plan = planned(data)
    accounts = Accounting(plan)
    running: list[Work] = []
    done: set[str] = set()
    for _ in range(500):
        if accounts.finished:
            break
        for loop, cycle in accounts.turns():
            accounts.turn(loop.head, loop.rule.after(cycle, {}, 0, loop.most))
        ready = accounts.startable()
        assert running or ready or accounts.finished, "nothing runs and nothing may begin"
        busy = [plan.by_id[work.node].hardware for work in running]
        assert sum(map(len, busy)) == len(frozenset().union(*busy)), "two nodes on one device"
        if ready and (not running or choice.draw(st.booleans())):
            work = choice.draw(st.sampled_from(ready))
            for source in plan.by_id[work.node].depends_on:
                state = accounts.state(source)
                inside = plan.by_id[work.node].loop is not None
                assert inside or state is NodeState.COMPLETED or plan.by_id[source].error_handling == "continue"
            accounts.begin(work)
            running.append(work)
        elif running:
            work = running.pop(choice.draw(st.integers(0, len(running) - 1)))
            what = choice.draw(st.sampled_from(["complete"] * 8 + ["fail", "cancel"]))
            done.add(work.node)
            if what == "fail":
                accounts.fail(work, "broke")
            elif what == "cancel":
                accounts.cancel()
                accounts.cancelled(work)
            else:
                accounts.complete(work)
        counts = accounts.counts()
        assert counts.total == sum(vars(counts).values()) - counts.total
    check(accounts, plan)
    for it in accounts.results():
        assert it.state is not NodeState.COMPLETED or it.node in done
