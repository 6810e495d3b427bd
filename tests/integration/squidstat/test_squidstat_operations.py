"""Experiments as a canvas asks for them: what is measured, and how it is answered."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, InvalidInput
from labkeeper_api.operations.squidstat import AC_COLUMNS, DC_COLUMNS
from labkeeper_devices.drivers.squidstat import SquidstatDriver
from labkeeper_devices.simulators.squidstat import PotentiostatControl, find_potentiostat, start_potentiostat
from tests.integration.squidstat.conftest import DEPOSIT, DISSOLVE, FACTOR, OCV, PEIS, CellRig, begin, do, measure


def test_opening_asks_only(cells: CellRig) -> None:
    driver = cells.driver()
    identity = driver.open(energize=True)
    assert (identity.model, identity.simulated, identity.time_factor) == ("simulated potentiostat", True, FACTOR)
    assert driver.health().readings == {"channels_measuring": 0}
    assert cells.control.log() == []


def test_the_zinc_sequence(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    started = begin(potentiostat, DEPOSIT, OCV, PEIS, DISSOLVE, OCV, PEIS)
    assert started["simulated"] is True
    assert (started["time_factor"], started["expected_s"]) == (FACTOR, 1.0)
    result = do(potentiostat, "wait_until_idle", channel=0, poll_s=0.05, expected_s=250.0)
    assert (result["experiment_id"], result["simulated"], result["time_factor"]) == (
        *(started["experiment_id"], True),
        *(FACTOR,),
    )
    techniques = [element["technique"] for element in result["elements"]]
    assert techniques == ["CP", "OCV", "PEIS", "CP", "OCV", "PEIS"]
    deposit, rest, impedance, dissolve, *_ = result["elements"]
    assert tuple(deposit["dc"]) == DC_COLUMNS
    assert deposit["ac"] == {}
    assert deposit["dc"]["timestamp_s"] == pytest.approx([float(second) for second in range(1, 61)])
    assert (deposit["ended"], deposit["ended_early"], deposit["duration_s"]) == ("completed", False, 60.0)
    assert all(-0.9 < volts < -0.77 for volts in deposit["dc"]["we_voltage_V"])
    assert rest["dc"]["we_voltage_V"][-1] == pytest.approx(-0.771, abs=0.005)
    assert tuple(impedance["ac"]) == AC_COLUMNS
    assert (impedance["dc"], len(impedance["ac"]["frequency"])) == ({}, 21)
    assert (dissolve["ended"], dissolve["ended_early"]) == ("voltage-limit", True)
    assert dissolve["reason"] == "the voltage reached -0.5 V"
    assert 50 < dissolve["duration_s"] < dissolve["expected_s"] == 120.0
    assert dissolve["dc"]["we_voltage_V"][-1] == -0.5
    assert result["ended_early"] is True
    assert cells.control.channel()["deposited_c"] < 0.01
    disconnected = do(potentiostat, "disconnect", com_port="COM4", channel=0)
    assert (disconnected["connected"], disconnected["cell"]) == (False, "open")
    assert do(potentiostat, "get_status", com_port="COM4", channel=0)["state"] == "done"


def test_twelve_thousand_points(potentiostat: SquidstatDriver) -> None:
    sweep = {
        "technique": "CVA",
        "start_v": -0.5,
        "end_v": 0.5,
        "scan_rate_v_s": 0.05,
        "cycles": 3,
        "sample_interval_s": 0.01,
        "variant": "CVA",
    }
    (element,) = measure(potentiostat, sweep)
    times = element["dc"]["timestamp_s"]
    assert (element["points"], len(times), element["variant"]) == (12_000, 12_000, "CVA")
    assert all(later - earlier == pytest.approx(0.01) for earlier, later in itertools.pairwise(times))
    assert len(json.dumps(element)) > 500_000


def test_only_the_columns_that_were_registered(potentiostat: SquidstatDriver) -> None:
    do(potentiostat, "register_callbacks", channel=0, dc=["we_voltage_V"], ac=["frequency", "phaseAngle"])
    do(potentiostat, "build_experiment", channel=0, elements=[OCV, PEIS], name="two columns")
    do(potentiostat, "upload_experiment", channel=0)
    do(potentiostat, "start_experiment", channel=0)
    result = do(potentiostat, "wait_until_idle", channel=0)
    assert [list(element["dc"]) for element in result["elements"]] == [["we_voltage_V"], []]
    assert list(result["elements"][1]["ac"]) == ["frequency", "phaseAngle"]
    assert result["name"] == "two columns"


def test_settling_and_stability(potentiostat: SquidstatDriver) -> None:
    ocv = {**OCV, "settle_s": 5.0, "stability_threshold_v": 0.001}
    _, element = measure(potentiostat, DEPOSIT, ocv)
    assert element["dc"]["timestamp_s"][0] == pytest.approx(6.0)
    assert element["duration_s"] == pytest.approx(25.0)
    assert element["stable"] is True
    assert element["drift_v"] < 0.001


def test_without_a_reference_electrode_the_drop_is_larger(potentiostat: SquidstatDriver) -> None:
    deposit = {**DEPOSIT, "current_a": -0.01, "voltage_min_v": -2.0}
    (own,) = measure(potentiostat, deposit)
    counter = {"reference_electrode": {"type": "CE", "enabled": True}}
    (without,) = measure(potentiostat, deposit, channel=1, **counter)
    drop = own["dc"]["we_voltage_V"][30] - without["dc"]["we_voltage_V"][30]
    assert drop == pytest.approx(0.15, abs=0.01)


def test_the_same_seed_gives_the_same_data(tmp_path: Path, potentiostat: SquidstatDriver) -> None:
    (one,) = measure(potentiostat, DEPOSIT, channel=2)
    process = start_potentiostat(tmp_path, time_factor=FACTOR, seed=7)
    try:
        second = SquidstatDriver(potentiostat.config, str(process.port), potentiostat._simulation)
        second.open(energize=True)
        (other,) = measure(second, DEPOSIT, channel=2)
        second.close()
    finally:
        process.stop()
    assert other["dc"]["current_A"] == one["dc"]["current_A"]


def test_a_sweep_ends_at_the_current_that_the_instrument_can_drive(potentiostat: SquidstatDriver) -> None:
    sweep = {"technique": "LSV", "start_v": -0.5, "end_v": -2.0, "scan_rate_v_s": 0.1, "sample_interval_s": 0.05}
    (element,) = measure(potentiostat, sweep)
    assert (element["ended"], element["reason"]) == ("current-limit", "the current reached -0.1 A")
    assert element["dc"]["current_A"][-1] == -0.1
    assert element["duration_s"] < element["expected_s"] == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        ({**DEPOSIT, "current_a": -0.2}, "elements[0].current_a: -0.2 A is beyond this instrument's limits"),
        ({**DEPOSIT, "voltage_max_v": 5.0}, "elements[0].voltage_max_v: 5 V is beyond"),
        ({**PEIS, "start_hz": 1e6}, "elements[0].start_hz: 1e+06 Hz is out of this instrument's range"),
        ({**PEIS, "amplitude_v": 0.5}, "elements[0].amplitude_v: 0.5 V is beyond"),
        ({**OCV, "sample_interval_s": 1e-4}, "0.0001 s is shorter than this instrument's shortest interval"),
        ({**OCV, "duration_s": 604_000.0, "sample_interval_s": 0.1}, "would have about 6040000 points"),
    ],
)
def test_what_the_instrument_cannot_do_is_refused_before_it_starts(
    potentiostat: SquidstatDriver, cells: CellRig, element: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        do(potentiostat, "build_experiment", channel=0, elements=[element])
    assert sentence in str(caught.value)
    assert cells.control.log() == []


def test_a_channel_that_there_is_not(potentiostat: SquidstatDriver) -> None:
    with pytest.raises(InvalidInput, match="no channel 4"):
        do(potentiostat, "connect", com_port="COM4", channel=4)


def test_the_order_of_calls_matters(potentiostat: SquidstatDriver) -> None:
    with pytest.raises(DeviceError, match="nothing was built for channel 0"):
        do(potentiostat, "upload_experiment", channel=0)
    with pytest.raises(DeviceError, match="no experiment was uploaded"):
        do(potentiostat, "start_experiment", channel=0)
    with pytest.raises(DeviceError, match="none was started since its power came on"):
        do(potentiostat, "wait_until_idle", channel=0)
    measure(potentiostat, OCV)
    with pytest.raises(DeviceError, match="no experiment was uploaded"):
        do(potentiostat, "start_experiment", channel=0)


def test_one_host_at_a_time(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    second = cells.driver()
    with pytest.raises(DeviceUnreachable, match="another host is connected"):
        second.open(energize=False)
    potentiostat.close()
    second.open(energize=False)
    assert second.is_open


def test_a_configuration_that_asks_for_more_than_there_is(cells: CellRig) -> None:
    with pytest.raises(DeviceError, match=r"channels 8 \(the instrument: 4\), voltage_limit_v 10"):
        cells.driver(channels=8, voltage_limit_v=10.0).open(energize=True)


def test_the_simulator_outlives_and_is_found(tmp_path: Path) -> None:
    started = start_potentiostat(tmp_path, time_factor=5, channels=2)
    try:
        assert find_potentiostat(tmp_path) == started
        with PotentiostatControl(tmp_path) as control:
            assert control.describe()["channels"] == 2
    finally:
        started.stop()
    assert find_potentiostat(tmp_path) is None
