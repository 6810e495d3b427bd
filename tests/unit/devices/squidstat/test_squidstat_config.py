"""From a LabDevice to the driver of a potentiostat, to its problems, and parameters that one instrument cannot take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.squidstat import BuildExperiment
from labkeeper_devices.drivers.base import Driver, Simulation
from labkeeper_devices.drivers.registry import DRIVERS
from labkeeper_devices.drivers.squidstat import (
    PotentiostatConfig,
    SquidstatDriver,
    build,
    parameter_problems,
    simulator_command,
    validate,
)
from labkeeper_devices.drivers.squidstat.checks import expected_s, points_of
from labkeeper_devices.simulators.squidstat.measuring import duration, frequencies
from labkeeper_devices.wire.frames import LONGEST, FrameError, FrameReader, encode

OCV = {"technique": "OCV", "duration_s": 60.0, "sample_interval_s": 1.0, "settle_s": 5.0}
CP = {"technique": "CP", "current_a": -0.004, "duration_s": 720.0, "sample_interval_s": 1.0}
CVA = {
    "technique": "CVA",
    "start_v": -0.5,
    "end_v": 0.5,
    "scan_rate_v_s": 0.05,
    "cycles": 3,
    "sample_interval_s": 0.01,
}
LSV = {key: value for key, value in {**CVA, "technique": "LSV"}.items() if key != "cycles"}
PEIS = {
    "technique": "PEIS",
    "start_hz": 1e4,
    "end_hz": 0.1,
    "points_per_decade": 5.0,
    "minimum_cycles": 1,
    "amplitude_v": 0.01,
}


def spec(**fields: Any) -> LabDeviceSpec:
    return LabDeviceSpec.model_validate({"driver": "squidstat", "pool": "battery", **fields})


SIMULATED = spec(simulate={"timeFactor": 100})


def test_is_a_driver() -> None:
    driver: Driver = SquidstatDriver(PotentiostatConfig(), "/nowhere/port", Simulation())
    assert set(driver.operations) == {key for key in OPERATIONS if key.startswith("squidstat.")}
    assert not driver.is_open
    assert "squidstat" in DRIVERS


def test_without_a_simulator_it_is_refused_and_why() -> None:
    (problem,) = DRIVERS["squidstat"].validate(spec(connection={"port": "COM4"}), Path(), False)
    assert str(problem) == (
        "spec.simulate: the driver squidstat cannot drive a real potentiostat: its maker publishes no SDK package "
        "(add `simulate: {}` to drive the simulator, whose results all say simulated: true)"
    )
    with pytest.raises(InvalidInput, match="publishes no SDK package"):
        build(spec(), Path())
    with pytest.raises(InvalidInput, match="publishes no SDK package"):
        simulator_command(spec(), Path(), Path())
    with pytest.raises(InvalidInput, match="no simulator's port was given"):
        build(SIMULATED, Path())


def test_the_configuration_reaches_driver_and_simulator(tmp_path: Path) -> None:
    text = "squidstat:\n  channels: 2\n  voltage_limit_v: 1.5\n"
    made = spec(simulate={"timeFactor": 5}, config={"inline": text})
    assert validate(made, tmp_path) == []
    config = build(made, tmp_path, str(tmp_path / "port")).config
    assert (config.channels, config.voltage_limit_v, config.current_limit_a, config.timeout) == (2, 1.5, 0.1, 10.0)
    command = simulator_command(made, tmp_path / "s", tmp_path)
    assert {"--channels=2", "--voltage-limit=1.5", "--current-limit=0.1", "--time-factor=5.0"} <= set(command)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("squidstat:\n  channels: 0\n", "spec.config.inline:2: squidstat.channels: 0: must be at least 1"),
        ("squidstat:\n  volts: 2\n", "spec.config.inline:2: squidstat.volts: is no setting"),
        ("squidstat:\n  lowest_hz: 1000000\n", "highest_hz 100000 must be above lowest_hz 1e+06"),
        ("channels: 4\n", "put it below `squidstat:`"),
    ],
)
def test_mistakes_name_their_line(text: str, sentence: str) -> None:
    found = [str(problem) for problem in validate(spec(simulate={}, config={"inline": text}), Path())]
    assert any(sentence in problem for problem in found), found


@pytest.mark.parametrize(
    ("element", "path"),
    [
        ({**CP, "current_a": 1.0}, "elements[0].current_a"),
        ({**CVA, "end_v": 3.0}, "elements[0].end_v"),
        ({**PEIS, "end_hz": 0.001}, "elements[0].end_hz"),
        ({**PEIS, "dc_bias_v": -2.5}, "elements[0].dc_bias_v"),
        ({**CVA, "sample_interval_s": 0.0001}, "elements[0].sample_interval_s"),
    ],
)
def test_what_exceeds_the_instrument(element: dict[str, Any], path: str) -> None:
    problems = parameter_problems(SIMULATED, Path(), "squidstat.build_experiment", {"elements": [element]})
    assert f"spec.parameters.{path}" in [problem.path for problem in problems]


@pytest.mark.parametrize("element", [OCV, CP, CVA, LSV, PEIS])
def test_canvas_elements_are_taken(element: dict[str, Any]) -> None:
    assert parameter_problems(SIMULATED, Path(), "squidstat.build_experiment", {"elements": [element]}) == []
    (typed,) = BuildExperiment.model_validate({"elements": [element]}).elements
    # The driver and the simulator work the duration out on their own.
    assert expected_s(typed) == pytest.approx(duration(element), rel=0.05)


def test_how_many_points() -> None:
    counted = [points_of(one) for one in BuildExperiment.model_validate({"elements": [OCV, CP, CVA, PEIS]}).elements]
    assert counted == [60, 720, 12_000, len(frequencies(PEIS))]


@pytest.mark.parametrize(
    "element",
    [
        {**CP, "technique": "DANCE"},
        {**CP, "duration_s": 0},
        {**CP, "voltage_min_v": 1.0, "voltage_max_v": -1.0},
        {**CVA, "end_v": -0.5},
        {**CVA, "cycles": 0},
        {**LSV, "cycles": 2},
        {**PEIS, "start_hz": 0},
        {**CP, "current_a": float("nan")},
    ],
)
def test_elements_that_nobody_can_carry_out(element: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BuildExperiment.model_validate({"elements": [element]})


def test_frames_come_back_however_they_are_cut() -> None:
    messages = [{"id": 1, "do": "hello"}, {"id": 2, "rows": [[0.5, -1e-9]] * 5000}]
    data = b"".join(map(encode, messages))
    reader = FrameReader()
    found = [message for start in range(0, len(data), 7) for message in reader.feed(data[start : start + 7])]
    assert found == messages


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ((LONGEST + 1).to_bytes(4, "big"), "is announced"),
        (b"\x00\x00\x00\x04oops", "no JSON"),
        (b"\x00\x00\x00\x02[]", "no JSON object"),
    ],
)
def test_what_is_no_frame(data: bytes, sentence: str) -> None:
    with pytest.raises(FrameError, match=sentence):
        FrameReader().feed(data)
