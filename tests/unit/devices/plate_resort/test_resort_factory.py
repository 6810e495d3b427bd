"""From a LabDevice to a driver, its problems and its simulator; and parameters that one hotel cannot take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.base import Driver
from labkeeper_devices.drivers.plate_resort import (
    PlateResortDriver,
    ResortConfig,
    build,
    parameter_problems,
    simulator_command,
    validate,
)


def spec(**fields: Any) -> LabDeviceSpec:
    return LabDeviceSpec.model_validate({"driver": "plate-resort", "pool": "plate-resort-pool", **fields})


SIMULATED = spec(simulate={"timeFactor": 20})


def test_is_a_driver() -> None:
    driver: Driver = PlateResortDriver(ResortConfig())
    assert set(driver.operations) == {key for key in OPERATIONS if key.startswith("plate-resort.")}
    assert not driver.is_open


def test_defaults_of_the_guide(tmp_path: Path) -> None:
    driver = build(spec(), tmp_path)
    assert driver.resort.config == ResortConfig()
    assert driver.resort.session.address.port == "/dev/ttyUSB0"


def test_connection_wins_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("resort:\n  device: /dev/a\n  motor_id: 5\n  baudrate: 1000000\n")
    (tmp_path / "b.yaml").write_text("resort:\n  motor_id: 6\n")
    made = spec(config={"files": ["a.yaml", "b.yaml"]}, connection={"port": "/dev/b", "baudrate": 115200})
    config = build(made, tmp_path).resort.config
    assert (config.device, config.motor_id, config.baudrate) == ("/dev/b", 6, 115200)


def test_id_zero_is_an_id(tmp_path: Path) -> None:
    assert build(spec(connection={"id": 0}), tmp_path).resort.config.motor_id == 0


def test_simulator_and_spec_must_agree(tmp_path: Path) -> None:
    port = tmp_path / "port"
    with pytest.raises(InvalidInput, match="the spec asks for none"):
        build(spec(), tmp_path, str(port))
    with pytest.raises(InvalidInput, match="no simulator's port was given"):
        build(SIMULATED, tmp_path)
    driver = build(SIMULATED, base_dir=tmp_path, simulation_port=str(port))
    assert driver.resort.session.address.port == str(port)
    assert driver.resort.config.device == "/dev/ttyUSB0"


def test_problems_have_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("resort:\n  positon_tolerance: 1\n")
    (found,) = validate(spec(config={"files": ["a.yaml"]}), tmp_path)
    assert str(found) == (
        f"{tmp_path}/a.yaml:2: resort.positon_tolerance: is no setting (did you mean 'position_tolerance'?)"
    )
    (found,) = validate(spec(config={"inline": "resort:\n  motor_id: 300\n"}), tmp_path)
    assert str(found).startswith("spec.config.inline:2: resort.motor_id: 300: ")
    (found,) = validate(spec(connection={"baudrate": 57601}), tmp_path)
    assert (found.path, found.source, found.line) == ("spec.connection.baudrate", "", None)


def test_port_is_looked_for_unless_simulated(tmp_path: Path) -> None:
    connection = {"port": "/dev/ttyNONE9"}
    (found,) = validate(spec(connection=connection), tmp_path)
    assert (found.path, found.message) == ("spec.connection.port", "there is no /dev/ttyNONE9 on this machine")
    assert validate(spec(connection=connection, simulate={}), tmp_path) == []
    assert validate(spec(connection=connection), tmp_path, on_this_machine=False) == []


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("activate_hotel", {"hotel": "A"}, []),
        (
            "activate_hotel",
            {"hotel": "Z"},
            ["spec.parameters.hotel: there is no hotel 'Z' (the hotels are A, B, C, D)"],
        ),
        (
            "activate_hotel",
            {"hotel": "A", "overrides": {"pwm_max": 1000}},
            ["spec.parameters.overrides.pwm_max: 1000: must be at most 885 (Largest PWM of a pulse, 0 to 885 (100 %))"],
        ),
        (
            "move_to_angle",
            {"angle": 3, "overrides": {"speed": 2}},
            ["spec.parameters.overrides.speed: cannot be set here"],
        ),
        (
            "tour",
            {"hotels": ["A", "Y"]},
            ["spec.parameters.hotels[1]: there is no hotel 'Y' (the hotels are A, B, C, D)"],
        ),
        ("tour", {}, []),
        (
            "connect",
            {"device": "/dev/ttyUSB1", "motor_id": 1},
            ["spec.parameters.device: this unit drives device '/dev/ttyUSB0', not '/dev/ttyUSB1' ("],
        ),
        ("go_home", {}, []),
        ("activate_hotel", {}, []),
    ],
)
def test_parameters(tmp_path: Path, operation: str, parameters: dict[str, Any], expected: list[str]) -> None:
    found = [str(p) for p in parameter_problems(SIMULATED, tmp_path, f"plate-resort.{operation}", parameters)]
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


def test_parameters_of_what_is_not_ours(tmp_path: Path) -> None:
    assert parameter_problems(SIMULATED, tmp_path, "other.thing", {}) == []
    broken = spec(config={"inline": "resort: 1"}, simulate={})
    assert parameter_problems(broken, tmp_path, "plate-resort.activate_hotel", {"hotel": "Z"}) == []


def test_command_of_the_simulator(tmp_path: Path) -> None:
    command = simulator_command(spec(simulate={"timeFactor": 5}, connection={"id": 7, "baudrate": 115200}), tmp_path)
    assert command[1:] == [
        *("-m", "labkeeper_devices.simulators.servo", f"--state-dir={tmp_path}"),
        *("--id=7", "--baudrate=115200", "--time-factor=5.0"),
    ]
    with pytest.raises(InvalidInput):
        simulator_command(spec(), tmp_path)


def test_command_reads_files_where_it_can(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("resort:\n  motor_id: 5\n")
    made = spec(simulate={}, config={"files": ["a.yaml"]})
    assert "--id=5" in simulator_command(made, tmp_path / "state", tmp_path)
    assert "--id=1" in simulator_command(made, tmp_path / "state")
