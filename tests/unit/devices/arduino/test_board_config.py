"""From a LabDevice to the driver of a board, to its problems with their lines, and to its simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.arduino import (
    ArduinoDriver,
    BoardConfig,
    build,
    parameter_problems,
    simulator_command,
    validate,
)
from labkeeper_devices.drivers.base import Driver
from labkeeper_devices.drivers.registry import DRIVERS


def spec(**fields: Any) -> LabDeviceSpec:
    return LabDeviceSpec.model_validate({"driver": "arduino", "pool": "battery", **fields})


SIMULATED = spec(simulate={"timeFactor": 20})


def wrong(text: str) -> list[str]:
    found = validate(spec(simulate={}, config={"inline": text}), Path())
    return [str(problem) for problem in found]


def test_is_a_driver() -> None:
    driver: Driver = ArduinoDriver(BoardConfig())
    assert set(driver.operations) == {key for key in OPERATIONS if key.startswith("arduino.")}
    assert not driver.is_open
    assert "arduino" in DRIVERS


def test_defaults_are_those_of_the_facts(tmp_path: Path) -> None:
    config = build(spec(), tmp_path).config
    assert (config.baudrate, config.timeout, len(config.pumps_ml_per_s)) == (9600, 5.0, 3)


def test_connection_wins(tmp_path: Path) -> None:
    text = "arduino:\n  device: /dev/a\n  pumps_ml_per_s: [2, 0.5]\n"
    config = build(spec(config={"inline": text}, connection={"port": "/dev/b", "baudrate": 57600}), tmp_path).config
    assert (config.device, config.baudrate, config.pumps_ml_per_s) == ("/dev/b", 57600, (2.0, 0.5))
    assert config.pump_ms(1, 1.0) == 2000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pumps:\n  a: 1\n", "spec.config.inline:1: pumps: is no section"),
        ("arduino:\n  baths: 1\n  pump_ml: 4\n", "spec.config.inline:3: arduino.pump_ml: is no setting"),
        (
            "arduino:\n  pumps_ml_per_s:\n    - 1.0\n    - -2.0\n",
            "spec.config.inline:4: arduino.pumps_ml_per_s[1]: -2.0",
        ),
        ("arduino:\n  baudrate: 1234\n", "spec.config.inline:2: arduino.baudrate: 1234: must be one of 9600"),
        ("arduino:\n  highest_celsius: 10\n", "highest_celsius 10 must be above lowest_celsius 15"),
        ("arduino:\n  highest_celsius: 95\n", "overheat_celsius 90 must be above highest_celsius 95"),
        ("arduino:\n  baths: two\n", "spec.config.inline:2: arduino.baths: 'two': must be a valid integer"),
        ("arduino:\n  timeout: .nan\n", "spec.config.inline:2: arduino.timeout: nan"),
        ("- arduino\n", "must be a mapping"),
    ],
)
def test_each_kind_of_mistake_names_its_line(text: str, sentence: str) -> None:
    assert any(sentence in problem for problem in wrong(text)), wrong(text)


def test_all_mistakes_at_once() -> None:
    assert len(wrong("arduino:\n  baths: -1\n  bases: 99\n  nothing: 1\n")) == 3


def test_a_port_that_is_not_here() -> None:
    (problem,) = validate(spec(connection={"port": "/dev/ttyNONE9"}), Path())
    assert (problem.path, problem.message) == ("spec.connection.port", "there is no /dev/ttyNONE9 on this machine")
    assert validate(spec(connection={"port": "/dev/ttyNONE9"}), Path(), on_this_machine=False) == []
    assert validate(spec(connection={"port": "/dev/ttyNONE9"}, simulate={}), Path()) == []


def test_simulator_and_spec_must_agree(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the spec asks for none"):
        build(spec(), tmp_path, "port")
    with pytest.raises(InvalidInput, match="no simulator's port was given"):
        build(SIMULATED, tmp_path)
    with pytest.raises(InvalidInput, match="asks for no simulator"):
        simulator_command(spec(), tmp_path, tmp_path)


def test_the_simulator_gets_the_calibration(tmp_path: Path) -> None:
    text = "arduino:\n  pumps_ml_per_s: [2, 0.5]\n  baths: 2\n"
    command = simulator_command(spec(simulate={"timeFactor": 5}, config={"inline": text}), tmp_path / "s", tmp_path)
    assert {"--flows=2.0,0.5", "--baths=2", "--bases=1", "--time-factor=5.0", "--baudrate=9600"} <= set(command)


@pytest.mark.parametrize(
    ("operation", "parameters", "path"),
    [
        ("arduino.pump", {"pump": 7, "volume_ml": 1}, "spec.parameters.pump"),
        ("arduino.pump", {"pump": 0, "volume_ml": 21}, "spec.parameters.volume_ml"),
        ("arduino.set_temperature", {"base": 0, "celsius": 99}, "spec.parameters.celsius"),
    ],
)
def test_parameters_for_this_very_unit(operation: str, parameters: dict[str, Any], path: str) -> None:
    (problem,) = parameter_problems(SIMULATED, Path(), operation, parameters)
    assert problem.path == path


def test_what_the_schema_refuses_is_not_said_twice() -> None:
    assert parameter_problems(SIMULATED, Path(), "arduino.pump", {"pump": 0, "volume_ml": -1}) == []
    assert parameter_problems(SIMULATED, Path(), "arduino.pump", {"pump": 0, "volume_ml": 1}) == []
    assert parameter_problems(SIMULATED, Path(), "arduino.dance", {}) == []
