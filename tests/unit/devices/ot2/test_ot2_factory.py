"""From a LabDevice to the driver and its simulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_devices.drivers.base import Driver, Pausable
from labkeeper_devices.drivers.ot2 import OT2Driver, factory
from labkeeper_devices.drivers.registry import DRIVERS, kind_of

ROBOT = {"driver": "ot2", "pool": "robots", "connection": {"address": "169.254.69.185"}}


def spec(**more: Any) -> LabDeviceSpec:
    return LabDeviceSpec.model_validate({**ROBOT, **more})


def build(device: LabDeviceSpec, simulator: str | None) -> OT2Driver:
    driver = kind_of(device).build(device, Path(), simulator)
    assert isinstance(driver, OT2Driver)
    return driver


def test_the_registry_builds_the_driver() -> None:
    driver: Driver = build(spec(), None)
    assert isinstance(driver, Pausable)
    assert isinstance(driver, OT2Driver)
    assert driver.address == "169.254.69.185:31950"
    assert not driver.is_open
    driver.close()
    simulated = build(spec(simulate={"timeFactor": 20}), "127.0.0.1:4567")
    assert simulated.address == "127.0.0.1:4567"
    simulated.close()


def test_neither_passes_for_the_other() -> None:
    with pytest.raises(InvalidInput, match="the spec asks for none"):
        build(spec(), "127.0.0.1:4567")
    with pytest.raises(InvalidInput, match="none was given"):
        build(spec(simulate={}), None)


def test_what_is_wrong_with_a_labdevice_is_said() -> None:
    def wrong(**more: Any) -> list[str]:
        return [problem.path for problem in DRIVERS["ot2"].validate(spec(**more), Path(), True)]

    assert wrong() == []
    assert wrong(connection=None) == ["spec.connection.address"]
    assert wrong(connection=None, simulate={}) == []
    assert wrong(connection={"port": "/dev/ttyUSB0", "aliases": ["COM4"]}) == [
        "spec.connection.address",
        "spec.connection.port",
    ]
    assert wrong(config={"inline": "a: 1"}) == ["spec.config"]
    with pytest.raises(InvalidInput, match="reached over the network"):
        build(spec(connection=None), None)


def test_parameters_are_looked_at_for_this_device() -> None:
    given = {"labware": "reactor", "load_name": "nis", "slot": 9}
    look = DRIVERS["ot2"].parameter_problems
    assert [problem.path for problem in look(spec(), Path(), "ot2.load_custom_labware", given)] == [
        "spec.parameters.definition"
    ]
    assert look(spec(), Path(), "ot2.load_labware", given) == []
    assert look(spec(), Path(), "ot2.load_custom_labware", {"slot": "?"}) == []


def test_the_simulators_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(factory.SIMULATOR_VARIABLE, sys.executable)
    command = DRIVERS["ot2"].simulator(spec(simulate={"timeFactor": 50}), Path(), tmp_path)
    assert command == [
        *(sys.executable, "-m", "ot2_simulator", "--port=0"),
        f"--state-dir={tmp_path}",
        "--time-factor=50.0",
    ]
    with pytest.raises(InvalidInput, match="asks for no simulator"):
        DRIVERS["ot2"].simulator(spec(), Path(), tmp_path)


def test_a_simulator_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(factory.SIMULATOR_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(InvalidInput, match=r"LABKEEPER_OT2_SIMULATOR is .+: there is no such program"):
        factory.simulator_python()
    monkeypatch.delenv(factory.SIMULATOR_VARIABLE)
    monkeypatch.setattr(factory, "SIMULATOR_FOLDER", tmp_path)
    with pytest.raises(InvalidInput, match=r"the OT-2 simulator is not installed: .+ \(install images/ot2-simulator"):
        factory.simulator_python()
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(InvalidInput, match=r"\(`make setup` makes it\)"):
        factory.simulator_python()


def test_a_left_over_address_does_not_count(tmp_path: Path) -> None:
    find = DRIVERS["ot2"].simulator_address
    assert find(tmp_path) is None
    (tmp_path / "address").write_text("127.0.0.1:1\n")
    assert find(tmp_path) is None
    (tmp_path / "address").write_text("")
    assert find(tmp_path) is None
