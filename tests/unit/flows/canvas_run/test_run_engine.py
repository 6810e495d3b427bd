"""Order, parallel branches, loops, failures and cancelling, as the engine decides them."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import LabkeeperError, Stalled
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.accounting import NodeState
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.ports import StepKey
from labkeeper_flows.canvas_run.results import native_result, prefect_result
from tests.unit.flows.canvas.canvases import MEASURE, REAL, edge, nested, node
from tests.unit.flows.canvas_run.lab import Lab, planned, run, settings, unreachable

Parameters = dict[str, Any]
WAIT_S = 60.0


def states(outcome: RunOutcome) -> dict[str, str]:
    """Node -> how it ended."""
    return {it.node: it.state.value for it in outcome.nodes}


def failing(operation: str, *, times: int = 1000, outcome: Any = "failed", **more: Any) -> Any:
    """A script: an operation that does not succeed the first times."""
    left = [times]

    def script(role: Role, key: StepKey, name: str, parameters: Parameters) -> Performed | None:
        if name != operation or not left[0]:
            return None
        left[0] -= 1
        return Performed(outcome=outcome, message=f"{operation} did not work", **more)

    return script


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared")
def test_the_battery_canvas_loops_five_times_and_keeps_the_last_three(tmp_path: Path) -> None:
    lab = Lab()
    outcome = run((REAL / "battery_test_workflow-1753364156528.json").read_bytes(), lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert outcome.counts.completed == outcome.counts.total == 8
    assert Counter(operation for _, _, operation, _ in lab.log)["start_experiment"] == 5
    deck = [command.split(" ")[0] for command in lab.commands(Role.OT2)[:6]]
    assert deck == ["initialize_robot", "load_labware", *["load_custom_labware"] * 3, "load_pipette"]
    assert all(key.node == "@deck" for _, key, _, _ in lab.log[:6])
    tables = [path for path in outcome.files if path.suffix == ".csv"]
    assert tables[0].read_text().splitlines()[0] == "timestamp_s,current_A,we_voltage_V"
    assert len(tables[0].read_text().splitlines()) == 1 + 3 * 8
    assert tables[1].read_text().splitlines() == [
        "timestamp,frequency,absoluteImpedance,realImpedance,imagImpedance,phaseAngle,numberOfCycles"
    ]
    assert "cycles3-5" in tables[0].name


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared")
def test_the_zinc_canvas_runs_nine_nodes_once_each_and_tells_the_optimiser(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "combinations_7C1_to_7C4.csv").write_text("A,B,objective\n1,0,\n0,1,\n")
    (work / "proposal_example.csv").write_text("actions,A,B\n1,0,1\n")
    lab = Lab()
    outcome = run((REAL / "battery_ZincDeposition_Complete_Workflow.json").read_bytes(), lab, tmp_path)
    assert states(outcome) == dict.fromkeys(states(outcome), "completed")
    assert [it.node for it in outcome.runs] == [it.id for it in outcome.plan.nodes]
    assert (work / "combinations_7C1_to_7C4.csv").read_text() == "A,B,objective\n1,0,\n0,1,7.0\n"
    assert len([path for path in outcome.files if path.suffix == ".png"]) == 6


OPTIMISED = node(
    "setup",
    "sdl1ExperimentSetup",
    experiment_id="Zn",
    validate_hardware_connection=False,
    nimo_enabled=True,
    nimo_input_file="candidates.csv",
    nimo_output_file="proposals.csv",
    verify_nimo_files=True,
)
TELLING = node("export", "sdl1DataExport", nimo_update_enabled=True, objective_value_column="we_voltage_V")


def test_without_the_optimisers_files_hardware_does_not_move_and_simulators_do(tmp_path: Path) -> None:
    canvas = nested(OPTIMISED, MEASURE, TELLING)
    hardware = Lab(simulated=False, time_factor=None)
    outcome = run(canvas, hardware, tmp_path / "hardware")
    assert states(outcome) == {"setup": "failed", "measure": "skipped", "export": "skipped"}
    assert hardware.physical_keys() == []
    outcome = run(canvas, Lab(), tmp_path / "simulated")
    assert outcome.status is RunStatus.COMPLETED
    assert any("with hardware it would fail" in line for line in outcome.log)


def test_a_dry_run_tells_the_optimiser_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "candidates.csv").write_text("A,objective\n1,\n")
    (work / "proposals.csv").write_text("actions,A\n0,1\n")
    outcome = run(nested(OPTIMISED, MEASURE, TELLING), Lab(), tmp_path, dry_run=True)
    assert outcome.status is RunStatus.COMPLETED
    assert (work / "candidates.csv").read_text() == "A,objective\n1,\n"


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared")
def test_the_catalyst_canvas_measures_at_each_node(tmp_path: Path) -> None:
    lab = Lab()
    outcome = run((REAL / "catalyst_electrochemical_workflow.json").read_bytes(), lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert Counter(operation for _, _, operation, _ in lab.log)["wait_until_idle"] == 5


def test_branches_on_different_devices_overlap_and_each_device_keeps_its_order(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=WAIT_S)

    def script(role: Role, key: StepKey, operation: str, parameters: Parameters) -> None:
        # The robot's first move and the measurement's first step wait for each other: they only end if both run.
        if (key.node, key.ordinal) in (("move", 0), ("measure", 0)):
            together.wait()

    canvas = nested(
        node("start", "delay", seconds=0),
        node("move", "sdl1SolutionPreparation"),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        node("again", "sdl1SolutionPreparation"),
        edges=[edge("start", "move"), edge("start", "measure"), edge("start", "again")],
    )
    lab = Lab(script)
    outcome = run(canvas, lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert frozenset({Role.OT2, Role.SQUIDSTAT}) in lab.overlapped
    robot = [(key.node, key.ordinal) for role, key, _, _ in lab.log if role == "ot2" and key.node != "@deck"]
    steps = {it.id: len(it.steps()) for it in outcome.plan.nodes}
    assert robot == [(name, at) for name in ("move", "again") for at in range(steps[name])]


def test_a_failure_stops_the_run_and_the_counts_add_up(tmp_path: Path) -> None:
    canvas = nested(
        node("one", "sdl1ElectrodeSetup"),
        node("two", "sdl1ElectrochemicalMeasurement"),
        node("three", "sdl1DataExport"),
    )
    outcome = run(canvas, Lab(failing("start_experiment")), tmp_path)
    assert states(outcome) == {"one": "completed", "two": "failed", "three": "skipped"}
    assert outcome.status is RunStatus.FAILED
    native, prefect = native_result(outcome), prefect_result(outcome)
    assert native["status"] == "failed"
    assert native["failed_nodes"] == [
        {
            "index": 1,
            "node_id": "two",
            "node_type": "sdl1ElectrochemicalMeasurement",
            "error": "start_experiment did not work",
        }
    ]
    assert (native["total_nodes"], native["executed_nodes"], native["successful_nodes"]) == (3, 2, 1)
    assert prefect["status"] == "partial_failure"
    assert prefect["failed_nodes"] == ["two"]
    assert native["simulated"] is True


def test_with_continue_the_rest_is_done_all_the_same(tmp_path: Path) -> None:
    canvas = nested(
        node("one", "sdl1ElectrochemicalMeasurement", error_handling="continue"),
        node("two", "home_robot"),
    )
    outcome = run(canvas, Lab(failing("start_experiment")), tmp_path)
    assert states(outcome) == {"one": "failed", "two": "completed"}
    assert outcome.status is RunStatus.COMPLETED_WITH_ERRORS
    assert prefect_result(outcome)["status"] == "partial_failure"


def test_what_was_refused_before_it_moved_is_tried_again_from_there(tmp_path: Path) -> None:
    lab = Lab(failing("dispense", times=1, outcome="interlocked"))
    canvas = nested(node("one", "sdl1SolutionPreparation", volume=500, error_handling="retry"))
    outcome = run(canvas, lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert [it.attempts for it in outcome.runs] == [2]
    done = [(operation, key.node) for _, key, operation, _ in lab.log if key.node != "@deck"]
    # What had moved is not done again; the keys of the further attempt are its own.
    assert done == [
        ("move_to_well", "one"),
        ("pickup_tip", "one"),
        ("aspirate", "one"),
        ("dispense", "one#2"),
        ("drop_tip", "one#2"),
    ]


def test_what_may_have_moved_is_not_tried_again(tmp_path: Path) -> None:
    lab = Lab(failing("dispense", times=1))
    canvas = nested(node("one", "sdl1SolutionPreparation", volume=500, error_handling="retry"))
    outcome = run(canvas, lab, tmp_path)
    assert states(outcome) == {"one": "failed"}
    assert "moves hardware and may have begun: it is done once only" in outcome.message
    assert "dispense" not in [operation for _, _, operation, _ in lab.log]


def test_a_step_without_motion_is_tried_again_with_what_prepares_it(tmp_path: Path) -> None:
    lab = Lab(failing("upload_experiment", times=1))
    canvas = nested(node("one", "sdl1ElectrochemicalMeasurement", error_handling="retry"))
    assert run(canvas, lab, tmp_path).status is RunStatus.COMPLETED
    done = [operation for _, _, operation, _ in lab.log]
    assert done.count("connect") == done.count("build_experiment") == 2
    assert done.count("start_experiment") == 1


def test_after_three_failures_a_person_is_alerted(tmp_path: Path) -> None:
    events: list[Any] = []
    canvas = nested(
        *(node(name, "sdl1ElectrochemicalMeasurement", error_handling="continue") for name in ("a", "b", "c", "d"))
    )
    outcome = run(canvas, Lab(failing("connect")), tmp_path, events)
    alerts = [event for event in events if event.kind == "alert"]
    assert len(alerts) == len(outcome.alerts) == 1
    assert "3 steps have failed" in alerts[0].message


def test_an_unknown_outcome_stops_the_run_and_says_what_to_do(tmp_path: Path) -> None:
    canvas = nested(
        node("one", "sdl1SolutionPreparation", error_handling="continue"),
        node("two", "home_robot"),
    )
    outcome = run(canvas, Lab(failing("aspirate", outcome="unknown")), tmp_path)
    assert outcome.status is RunStatus.SUSPENDED
    assert states(outcome) == {"one": "failed", "two": "skipped"}
    assert "labkeeper device acknowledge" in outcome.message
    assert "labkeeper run --resume r1" in outcome.message
    assert native_result(outcome)["status"] == "suspended"


def test_an_emergency_stop_ends_the_run_whatever_the_node_says(tmp_path: Path) -> None:
    canvas = nested(node("one", "home_robot", error_handling="continue"), node("two", "home_robot"))
    outcome = run(canvas, Lab(failing("home_robot", outcome="interrupted", cause="emergency-stop")), tmp_path)
    assert outcome.status is RunStatus.FAILED
    assert states(outcome) == {"one": "failed", "two": "skipped"}


def test_an_emergency_stop_on_one_device_ends_the_branches_on_others(tmp_path: Path) -> None:
    measuring, stopped = threading.Event(), threading.Event()

    def script(role: Role, key: StepKey, operation: str, parameters: Parameters) -> Performed | None:
        if operation == "home_robot":
            assert measuring.wait(WAIT_S)
            return Performed(outcome="interrupted", cause="emergency-stop", message="pressed")
        if operation == "build_experiment":
            measuring.set()
            assert stopped.wait(WAIT_S)
        return None

    def tell(event: Any) -> None:
        if event.node == "move" and event.state == "failed":
            stopped.set()

    canvas = nested(
        node("start", "delay", seconds=0),
        node("move", "home_robot"),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        edges=[edge("start", "move"), edge("start", "measure")],
    )
    lab = Lab(script)
    outcome = CanvasRun(planned(canvas), lab, settings(tmp_path), tell=tell).carry_out()
    assert states(outcome) == {"start": "completed", "move": "failed", "measure": "cancelled"}
    assert outcome.status is RunStatus.FAILED
    assert outcome.message == "pressed"
    assert "start_experiment" not in [operation for _, _, operation, _ in lab.log]


def test_a_cancelled_run_ends_when_the_hardware_is_at_rest(tmp_path: Path) -> None:
    moving = threading.Event()
    lab = Lab()

    def script(role: Role, key: StepKey, operation: str, parameters: Parameters) -> Performed | None:
        if operation != "home_robot":
            return None
        moving.set()
        assert lab.interrupted.wait(WAIT_S)
        return Performed(outcome="interrupted", cause="cancel", message="at rest")

    lab.script = script
    canvas = nested(node("one", "home_robot"), node("two", "home_robot"))
    found: list[RunOutcome] = []
    carried = CanvasRun(planned(canvas), lab, settings(tmp_path))
    thread = threading.Thread(target=lambda: found.append(carried.carry_out()))
    thread.start()
    assert moving.wait(WAIT_S)
    carried.cancel("somebody pressed the button")
    thread.join(WAIT_S)
    (outcome,) = found
    assert outcome.status is RunStatus.CANCELLED
    assert states(outcome) == {"one": "cancelled", "two": "cancelled"}
    assert outcome.message == "somebody pressed the button"
    assert prefect_result(outcome)["status"] == "cancelled"
    assert lab.held == 0
    with pytest.raises(Stalled, match="has ended as cancelled"):
        CanvasRun(planned(canvas), lab, settings(tmp_path)).carry_out()


def test_a_wait_is_cut_short_by_cancelling(tmp_path: Path) -> None:
    lab = Lab(simulated=False, time_factor=None)
    carried = CanvasRun(planned(nested(node("one", "delay", seconds=3600))), lab, settings(tmp_path))
    found: list[RunOutcome] = []
    begun = threading.Event()
    carried._tell = lambda event: begun.set() if event.kind == "step" else None
    thread = threading.Thread(target=lambda: found.append(carried.carry_out()))
    thread.start()
    assert begun.wait(WAIT_S)
    carried.cancel()
    thread.join(WAIT_S)
    assert [it.status for it in found] == [RunStatus.CANCELLED]


def test_waits_are_shortened_only_when_every_device_is_simulated(tmp_path: Path) -> None:
    canvas = nested(node("one", "delay", seconds=0.2))
    fast = run(canvas, Lab(), tmp_path / "fast")
    real = run(canvas, Lab(simulated=False, time_factor=None), tmp_path / "real")
    assert fast.time_factor == 1_000_000.0
    assert real.time_factor is None
    assert not real.simulated
    assert fast.runs[0].result["slept_s"] == 0.2 / 1_000_000
    assert real.runs[0].result["slept_s"] == 0.2


def test_a_loop_ends_when_what_was_measured_says_so(tmp_path: Path) -> None:
    canvas = nested(
        node("head", "sdl1SequenceControl", loop_type="condition_based", break_condition="voltage < -0.5"),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        node("count", "sdl1CycleCounter"),
    )
    outcome = run(canvas, Lab(), tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert {it.node: it.cycles for it in outcome.nodes} == {"head": 1, "measure": 1, "count": 1}


def test_a_loop_that_asks_for_what_nobody_measured_fails_with_the_reason(tmp_path: Path) -> None:
    canvas = nested(
        node("head", "sdl1SequenceControl", loop_type="condition_based", break_condition="temperature > 40"),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        node("count", "sdl1CycleCounter"),
    )
    outcome = run(canvas, Lab(), tmp_path)
    head = outcome.nodes[0]
    assert head.state is NodeState.FAILED
    assert "temperature" in head.reason


def test_a_device_that_is_away_suspends_the_run_only_where_something_may_have_moved(tmp_path: Path) -> None:
    def away(operation: str) -> Any:
        return lambda role, key, name, parameters: unreachable() if name == operation else None

    canvas = nested(node("one", "sdl1ElectrochemicalMeasurement"))
    moved = run(canvas, Lab(away("start_experiment")), tmp_path / "a")
    still = run(canvas, Lab(away("connect")), tmp_path / "b")
    assert moved.status is RunStatus.SUSPENDED
    assert "its journal knows what was done" in moved.message
    assert still.status is RunStatus.FAILED


def test_a_device_that_cannot_be_had_begins_nothing(tmp_path: Path) -> None:
    class Busy(Lab):
        def reserve(self) -> Any:
            raise Stalled("Busy", "unit ot2-1 is held by another run")

    with pytest.raises(LabkeeperError, match="held by another run"):
        run(nested(node("one", "home_robot")), Busy(), tmp_path)
    assert not (tmp_path / "runs" / "r1").exists()


def test_each_change_of_each_node_is_told_in_order(tmp_path: Path) -> None:
    events: list[Any] = []
    run(nested(node("one", "home_robot"), node("two", "delay")), Lab(), tmp_path, events)
    told = [(event.node, event.state) for event in events if event.kind in ("node", "run")]
    assert told == [
        ("", "running"),
        ("one", "running"),
        ("one", "completed"),
        ("two", "running"),
        ("two", "completed"),
        ("", "completed"),
    ]
    assert [event.step for event in events if event.kind == "step"] == ["ot2.home_robot", "clock.wait 1"]


def test_what_goes_wrong_in_the_watcher_ends_the_run_in_the_callers_thread(tmp_path: Path) -> None:
    def tell(event: Any) -> None:
        if event.kind == "step":
            raise ZeroDivisionError("a mistake in the table")

    lab = Lab()
    carried = CanvasRun(planned(nested(node("one", "home_robot"))), lab, settings(tmp_path), tell=tell)
    with pytest.raises(ZeroDivisionError):
        carried.carry_out()
    assert lab.held == 0
