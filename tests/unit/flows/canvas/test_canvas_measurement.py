"""ElectrochemicalMeasurement: techniques, sequences, and the calls to the potentiostat."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_flows.canvas import techniques
from tests.unit.flows.canvas.canvases import calls, nested, node, planned, problems, steps_of, told

KIND = "sdl1ElectrochemicalMeasurement"


def elements(**params: Any) -> list[dict[str, Any]]:
    """The elements that are built."""
    built = next(step for step in steps_of(KIND, **params) if step.operation == "build_experiment")
    found: list[dict[str, Any]] = built.parameters["elements"]
    return found


def test_the_calls_come_in_the_order_of_the_facts() -> None:
    steps = steps_of(KIND, com_port="COM6", channel=2)
    assert calls(steps) == [
        "squidstat.connect",
        "squidstat.register_callbacks",
        "squidstat.build_experiment",
        "squidstat.upload_experiment",
        "squidstat.start_experiment",
        "squidstat.wait_until_idle",
        "squidstat.disconnect",
        "data.collect",
    ]
    assert [step.operation for step in steps if step.physical] == ["start_experiment"]
    assert steps[0].parameters == {"com_port": "COM6", "channel": 2}
    assert steps[5].parameters["poll_s"] == 0.1


@pytest.mark.parametrize(
    ("params", "element", "seconds"),
    [
        (
            {"measurement_type": "OCV", "ocv_duration": "2 min"},
            {
                "technique": "OCV",
                "duration_s": 120,
                "sample_interval_s": 1,
                "settle_s": 5,
                "stability_threshold_v": 0.001,
            },
            125,
        ),
        (
            {"measurement_type": "CP", "cp_current": "-5 mA", "cp_voltage_limit_min": -1},
            {
                "technique": "CP",
                "current_a": -0.005,
                "duration_s": 720,
                "sample_interval_s": 1,
                "voltage_min_v": -1,
                "voltage_max_v": 2,
            },
            720,
        ),
        (
            {"measurement_type": "CVA", "cva_scan_rate": "100 mV/s"},
            {
                "technique": "CVA",
                "start_v": -0.5,
                "end_v": 0.5,
                "scan_rate_v_s": 0.1,
                "cycles": 3,
                "sample_interval_s": 0.01,
            },
            60,
        ),
        (
            {"measurement_type": "LSV"},
            {"technique": "LSV", "start_v": -0.5, "end_v": 0.5, "scan_rate_v_s": 0.01, "sample_interval_s": 0.01},
            100,
        ),
        (
            {"measurement_type": "PEIS", "peis_start_frequency": "10 kHz"},
            {
                "technique": "PEIS",
                "start_hz": 10_000,
                "end_hz": 0.1,
                "points_per_decade": 5,
                "minimum_cycles": 1,
                "amplitude_v": 0.01,
                "dc_bias_v": 0,
                "bias_vs_ocp": True,
            },
            50,
        ),
    ],
)
def test_each_technique(params: dict[str, Any], element: dict[str, Any], seconds: float) -> None:
    assert elements(**params) == [element]
    assert techniques.duration_s(element) == pytest.approx(seconds)


def test_the_sequence_of_the_zinc_canvas() -> None:
    found = elements(sequence_enabled=True, sequence_cycles=2, ocv_post_dissolution_enabled=False)
    assert [it["technique"] for it in found] == ["CP", "OCV", "PEIS", "CP", "PEIS"] * 2
    assert (found[0]["current_a"], found[0]["voltage_min_v"], found[0]["voltage_max_v"]) == (-0.004, -1, 1)
    assert (found[3]["current_a"], found[3]["voltage_min_v"], found[3]["voltage_max_v"]) == (0.004, -1, -0.5)


def test_the_older_sequence() -> None:
    found = elements(deposition_duration=30, dissolution_current="3 mA")
    assert [(it["current_a"], it["duration_s"]) for it in found] == [(-0.004, 30), (0.003, 720)]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"cp_current": 0.2}, "-0.1 to 0.1 A"),
        ({"cp_voltage_limit_max": 3}, "0 to 2 V"),
        ({"cp_voltage_limit_min": 0, "cp_voltage_limit_max": 0}, "leave nothing"),
        ({"measurement_type": "CVA", "cva_start_voltage": 0.5}, "nothing to sweep"),
        ({"measurement_type": "EIS"}, "no choice"),
        ({"peis_start_frequency": 1e6}, "out of range"),
        ({"channel": 4}, "0 to 3"),
        ({"ocv_stability_threshold": "1 V"}, "out of range"),
        (
            {"sequence_enabled": True}
            | {
                f"{kind}_{phase}_enabled": False
                for phase in ("post_deposition", "post_dissolution")
                for kind in ("ocv", "peis")
            }
            | {"cp_deposition_enabled": False, "cp_dissolution_enabled": False},
            "switched off",
        ),
    ],
)
def test_limits_and_nonsense_are_refused(params: dict[str, Any], said: str) -> None:
    assert said in told(nested(node("m", KIND, **params)))


def test_both_wrong_things_are_told() -> None:
    found = problems(nested(node("m", KIND, cp_current=1, cva_cycles=0)))
    assert {it.path.rpartition(".")[2] for it in found} == {"cp_current", "cva_cycles"}


def test_nothing_is_collected_where_that_is_switched_off() -> None:
    for name in ("data_collection_enabled", "data_save_enabled"):
        assert "data.collect" not in calls(steps_of(KIND, **{name: False}))


def test_the_robot_stays_where_it_is_while_its_electrode_is_measured() -> None:
    plan = planned(nested(node("e", "sdl1ElectrodeSetup"), node("m", KIND)))
    assert plan.by_id["m"].roles == {"squidstat", "data"}
    assert plan.by_id["m"].hardware == {"squidstat", "ot2"}
    assert planned(nested(node("m", KIND))).by_id["m"].hardware == {"squidstat"}
