"""Recovery files, what follows from them, checkpoints and result files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.nodes.base import Category, RetryPolicy
from labkeeper_flows.canvas_run import results
from labkeeper_flows.canvas_run.outcome import RunStatus
from labkeeper_flows.canvas_run.recovery import (
    RecoveryConfig,
    Severity,
    Strategy,
    read_recovery,
    recovery_of,
    severity_of,
)
from tests.unit.flows.canvas.canvases import nested, node
from tests.unit.flows.canvas_run.lab import Lab, run


def test_what_a_file_leaves_out_is_as_in_the_guide() -> None:
    config = recovery_of("retry: {cleaning: {max_retries: 5, delay_s: 1}}")
    assert config.policies()[Category.PIPETTING] == RetryPolicy(3, 2, 1.5)
    assert config.policies()[Category.ELECTRODE] == RetryPolicy(2, 5, 2.0)
    assert config.policies()[Category.ELECTROCHEMICAL] == RetryPolicy(1, 10, 1.0)
    assert config.policies()[Category.CLEANING] == RetryPolicy(5, 1, 1.0)
    assert (config.recovery_timeout_s, config.manual_timeout_s, config.alert_after_failures) == (300, 1800, 3)
    assert config.checkpoints.keep_hours == 24
    assert config.hardware.opentrons.robot_ip == "169.254.69.185"
    assert config.safety.max_volume_per_transfer == 1000
    assert recovery_of("{}") == RecoveryConfig()


def test_everything_that_is_wrong_with_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "recovery.yaml"
    file.write_text(
        "retry:\n  pipeting: {max_retries: 1, delay_s: 1}\n  electrode: {max_retries: -1, delay_s: 1}\n"
        "strategies:\n  minor: {primary: pray, fallback: safe_stop, attempts: 1}\n"
    )
    with pytest.raises(InvalidInput) as wrong:
        read_recovery(file)
    told = str(wrong.value)
    assert "recovery.yaml:2: retry.pipeting" in told
    assert "pipetting" in told
    assert "recovery.yaml:3: retry.electrode.max_retries" in told
    assert "recovery.yaml:5: strategies.minor.primary" in told
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_recovery(tmp_path / "none.yaml")
    with pytest.raises(InvalidInput, match="cannot be false"):
        recovery_of('{"safety": {"emergency_stop_enabled": false}}')
    with pytest.raises(InvalidInput, match="not one"):
        recovery_of("a: 1\n---\nb: 2\n")


def test_strategies_by_severity() -> None:
    config = RecoveryConfig()
    assert config.strategy(Severity.MINOR, 0, restartable=True) is Strategy.RESTART
    assert config.strategy(Severity.MINOR, 0, restartable=False) is Strategy.SAFE_STOP
    assert config.strategy(Severity.MODERATE, 1, restartable=True) is Strategy.RESTART
    assert config.strategy(Severity.MODERATE, 2, restartable=True) is Strategy.SAFE_STOP
    assert config.strategy(Severity.SEVERE, 0, restartable=True) is Strategy.SAFE_STOP
    assert config.strategy(Severity.CRITICAL, 0, restartable=True) is Strategy.EMERGENCY_STOP
    assert severity_of(Category.CLEANING, reachable=True) is Severity.MINOR
    assert severity_of(Category.ELECTRODE, reachable=True) is Severity.MODERATE
    assert severity_of(Category.PIPETTING, reachable=False) is Severity.SEVERE


def failing(operation: str) -> Any:
    """A script: an operation that never succeeds."""
    return lambda role, key, name, parameters: Performed(outcome="failed", message="no") if name == operation else None


def test_a_restart_from_the_checkpoint_only_where_nothing_has_moved_since(tmp_path: Path) -> None:
    before = nested(node("m", "sdl1ElectrochemicalMeasurement", error_handling="retry"))
    outcome = run(before, Lab(failing("upload_experiment")), tmp_path / "a")
    # 2 attempts by the type's policy, then 2 restarts.
    assert outcome.runs[0].attempts == 4
    after = nested(node("pour", "sdl1SolutionPreparation"), *before["workflow"]["nodes"])
    outcome = run(after, Lab(failing("upload_experiment")), tmp_path / "b")
    assert outcome.runs[-1].attempts == 4, "the pouring is a checkpoint"
    moved = nested(node("home", "home_robot"), *before["workflow"]["nodes"])
    outcome = run(moved, Lab(failing("upload_experiment")), tmp_path / "c")
    assert outcome.runs[-1].attempts == 2


def test_what_is_beyond_the_labs_limits_is_refused_before_anything_moves(tmp_path: Path) -> None:
    config = recovery_of("safety: {max_volume_per_transfer: 400, max_pipette_speed: 60}")
    lab = Lab()
    with pytest.raises(InvalidInput) as wrong:
        run(nested(node("pour", "sdl1SolutionPreparation", volume=500)), lab, tmp_path, recovery=config)
    told = str(wrong.value)
    assert "pour: aspirate of 500 µL at once (the lab's limit is 400 µL)" in told
    assert "pour: move_to_well at 100 mm/s (the lab's limit is 60 mm/s)" in told
    assert lab.log == []
    assert not (tmp_path / "runs").exists()


def test_a_critical_rule_stops_everything_that_moves(tmp_path: Path) -> None:
    config = recovery_of("strategies: {minor: {primary: emergency_stop, fallback: emergency_stop, attempts: 0}}")
    lab = Lab(failing("aspirate"))
    canvas = nested(node("one", "sdl1SolutionPreparation", error_handling="retry"), node("two", "home_robot"))
    outcome = run(canvas, lab, tmp_path, recovery=config)
    assert outcome.status is RunStatus.FAILED
    assert lab.interrupts == 1


def test_checkpoints_say_how_far_a_run_has_come_and_are_kept_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r1" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "test_cleaning_complete_1000.json").write_text("{}")
    (folder / "notes.json").write_text("{}")
    canvas = nested(
        node("setup", "sdl1ExperimentSetup"),
        node("pour", "sdl1SolutionPreparation"),
        node("dip", "sdl1ElectrodeSetup"),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        node("wash", "sdl1WashCleaning"),
    )
    run(canvas, Lab(), tmp_path)
    found = [json.loads(path.read_text()) for path in folder.glob("test_*.json")]
    assert sorted(it["name"] for it in found) == [
        "cleaning_complete",
        "electrode_setup_complete",
        "experiment_setup_complete",
        "measurement_cycle_complete",
        "solution_preparation_complete",
    ]
    assert all(it.keys() == {"id", "name", "step_index", "state", "timestamp"} for it in found)
    assert len({it["id"] for it in found}) == 5
    assert (folder / "notes.json").exists()
    last = max(found, key=lambda it: it["step_index"])
    assert last["state"]["completed"] == ["setup", "pour", "dip", "measure", "wash"]


def test_results_have_the_fields_of_the_guide_and_are_saved_under_its_name(tmp_path: Path) -> None:
    canvas = nested(node("one", "home_robot"), name="My canvas/1")
    outcome = run(canvas, Lab(), tmp_path, dry_run=True)
    native, prefect = results.native_result(outcome), results.prefect_result(outcome)
    common = {
        "status", "total_nodes", "executed_nodes", "successful_nodes", "failed_nodes", "results", "execution_log",
        "sdl1_operation_log", "canvas_metadata", "workflow_name", "workflow_id",
    }  # fmt: skip
    assert common <= native.keys()
    assert (common | {"execution_timestamp"}) <= prefect.keys()
    assert native["results"][0].keys() == {"node_index", "node_id", "node_type", "result"}
    assert native["dry_run"] is native["simulated"] is True
    assert sum(native["counts"][name] for name in ("completed", "failed", "skipped", "cancelled")) == 1
    first = results.save_result(native, outcome, tmp_path / "execution_results")
    second = results.save_result(prefect, outcome, tmp_path / "execution_results")
    assert first.name == f"canvas_My_canvas_1_{outcome.ended:%Y%m%d_%H%M%S}.json"
    assert second.name != first.name
    assert json.loads(first.read_text()) == native
    assert not list(first.parent.glob(".*"))
