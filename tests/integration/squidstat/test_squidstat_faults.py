"""What goes wrong with the potentiostat, stopping it, and an agent that is started anew."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.squidstat import SquidstatDriver
from tests.integration.squidstat.conftest import DEPOSIT, LONG, OCV, CellRig, begin, do, measure
from tests.support.beside import Beside
from tests.support.waiting import eventually


def closed(cells: CellRig) -> bool:
    return bool(cells.control.channel()["cell"] == "closed")


def test_an_agent_that_is_started_anew_gets_the_data(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    started = begin(potentiostat, DEPOSIT)
    potentiostat.close()
    later = cells.driver()
    later.open(energize=True)
    result = do(later, "wait_until_idle", channel=0)
    assert result["experiment_id"] == started["experiment_id"]
    assert result["elements"][0]["points"] == 60
    again = do(later, "wait_until_idle", channel=0)
    assert again["elements"] == result["elements"], "the instrument keeps them"


def test_building_anew_does_not_disturb_what_runs(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    started = begin(potentiostat, {**DEPOSIT, "duration_s": 200.0})
    do(potentiostat, "build_experiment", channel=0, elements=[OCV])
    do(potentiostat, "upload_experiment", channel=0)
    with pytest.raises(Interlocked, match="still running on channel 0"):
        do(potentiostat, "start_experiment", channel=0)
    with pytest.raises(DeviceError, match="wait for it or cancel it"):
        do(potentiostat, "disconnect", channel=0)
    result = do(potentiostat, "wait_until_idle", channel=0)
    assert (result["experiment_id"], result["elements"][0]["technique"]) == (started["experiment_id"], "CP")
    assert cells.control.channel()["started"] == [started["experiment_id"]]


def test_lost_power_loses_the_data_and_says_so(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    started = begin(potentiostat, LONG)
    cells.control.lose_power()
    with pytest.raises(
        DeviceError, match=f"lost its power: the data of experiment {started['experiment_id']} are lost"
    ):
        do(potentiostat, "wait_until_idle", channel=0)
    potentiostat.close()
    later = cells.driver()
    later.open(energize=True)
    with pytest.raises(DeviceError, match="keeps no experiment: none was started since its power came on"):
        do(later, "wait_until_idle", channel=0)


def test_power_that_goes_during_the_wait(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    begin(potentiostat, LONG)
    work = Beside(lambda: do(potentiostat, "wait_until_idle", channel=0, poll_s=0.05))
    eventually(lambda: closed(cells))
    cells.control.lose_power()
    assert "lost its power" in str(work.join().error)


def test_a_connection_that_drops_does_not_end_the_experiment(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    begin(potentiostat, {**DEPOSIT, "duration_s": 600.0})
    work = Beside(lambda: do(potentiostat, "wait_until_idle", channel=0, poll_s=0.05))
    eventually(lambda: closed(cells))
    cells.control.drop()
    assert work.join().error is None
    assert work.result["elements"][0]["points"] == 600


def test_a_connection_that_stays_away_is_unreachable(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    begin(potentiostat, LONG)
    work = Beside(lambda: do(potentiostat, "wait_until_idle", channel=0, poll_s=0.05))
    eventually(lambda: closed(cells))
    cells.control.unplug()
    error = work.join().error
    assert isinstance(error, DeviceUnreachable)
    assert "nobody knows what the experiment does" in str(error)
    cells.control.replug()
    potentiostat.open(energize=False)
    assert potentiostat.halt().confirmed


def test_a_lost_answer_to_the_start_is_looked_up(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    do(potentiostat, "build_experiment", channel=0, elements=[DEPOSIT])
    do(potentiostat, "upload_experiment", channel=0)
    real = potentiostat._link._send

    def silent(do: str, parameters: dict[str, Any]) -> int:
        if do == "start":
            cells.control.silence(1)
        return real(do, parameters)

    potentiostat._link._send = silent  # type: ignore[method-assign]
    started = do(potentiostat, "start_experiment", channel=0)
    assert cells.control.channel()["started"] == [started["experiment_id"]]
    assert [entry["do"] for entry in cells.control.log()].count("start") == 1


def test_a_start_that_was_never_heard_started_nothing(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    do(potentiostat, "build_experiment", channel=0, elements=[DEPOSIT])
    do(potentiostat, "upload_experiment", channel=0)
    real = potentiostat._link._send

    def deaf(do: str, parameters: dict[str, Any]) -> int:
        if do == "start":
            cells.control.deaf(1)
        return real(do, parameters)

    potentiostat._link._send = deaf  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="never started the experiment") as caught:
        do(potentiostat, "start_experiment", channel=0)
    assert not isinstance(caught.value, DeviceUnreachable), "the outcome is known"
    assert cells.control.channel()["started"] == []


def test_silence_is_unreachable(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.silence()
    with pytest.raises(DeviceUnreachable, match="does not answer status within 4 s"):
        potentiostat.health()


def test_garbage_ends_the_connection(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.garbage(1)
    with pytest.raises(DeviceUnreachable, match="holds no JSON"):
        potentiostat.health()
    assert not potentiostat.is_open
    potentiostat.open(energize=False)
    assert potentiostat.health().faults == ()


@pytest.mark.parametrize("cause", ["cancel", "timeout"])
def test_an_interrupted_wait_stops_the_experiment(potentiostat: SquidstatDriver, cells: CellRig, cause: str) -> None:
    begin(potentiostat, LONG)
    interrupt = Interrupt()
    work = Beside(lambda: do(potentiostat, "wait_until_idle", interrupt, channel=0, poll_s=0.05))
    eventually(lambda: closed(cells))
    interrupt.set(cause)
    error = work.join().error
    assert isinstance(error, Interrupted)
    assert error.cause == cause
    assert "the experiment was stopped and the cell is open" in str(error)
    assert not closed(cells)
    with pytest.raises(DeviceError, match=rf"was stopped \({cause}\) in element 1 of 1: its data are not complete"):
        do(potentiostat, "wait_until_idle", channel=0)


def test_the_emergency_stop_waits_for_nothing(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    begin(potentiostat, LONG)
    begin(potentiostat, LONG, channel=3)
    work = Beside(lambda: do(potentiostat, "wait_until_idle", channel=0, poll_s=5))
    eventually(lambda: closed(cells))
    potentiostat.emergency_stop()
    assert [channel["cell"] for channel in cells.control.state()["channels"]] == ["open"] * 4
    error = work.join().error
    assert isinstance(error, Interrupted)
    assert error.cause == "emergency-stop"
    do(potentiostat, "build_experiment", channel=0, elements=[OCV])
    do(potentiostat, "upload_experiment", channel=0)
    with pytest.raises(Interlocked, match="latched"):
        do(potentiostat, "start_experiment", channel=0)
    with pytest.raises(Interrupted, match="no cell may be closed"):
        potentiostat._potentiostat.start(0)
    potentiostat.release_stop()
    assert not closed(cells), "releasing starts nothing"
    assert measure(potentiostat, OCV)[0]["ended"] == "completed"


def test_the_emergency_stop_connects_for_it(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    begin(potentiostat, LONG)
    potentiostat.close()
    assert do(potentiostat, "emergency_stop")["cells"] == "open"
    assert not closed(cells)
    assert not potentiostat.is_open


def test_an_emergency_stop_that_nobody_confirms_says_so(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.silence()
    with pytest.raises(DeviceUnreachable, match=r"latched, but .*Switch the potentiostat off"):
        potentiostat.emergency_stop()


def test_the_driver_enforces_limits_that_the_instrument_ignores(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.behave(heeds_limits=False)
    limited = {**LONG, "current_a": -0.02, "voltage_min_v": -0.8}
    broken, rest = measure(potentiostat, limited, OCV)
    assert (broken["ended"], broken["ended_early"]) == ("host", True)
    assert "beyond -0.8 to 1 V, and ended it" in broken["reason"]
    assert broken["duration_s"] < 3600
    assert rest["ended"] == "completed", "the experiment goes on with its next element"


def test_an_experiment_that_never_ends_is_stopped(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.behave(hangs=True)
    begin(potentiostat, {**OCV, "duration_s": 1.0})
    with pytest.raises(DeviceError, match="should have taken 1 s and did not end; it was stopped"):
        do(potentiostat, "wait_until_idle", channel=0)
    assert not closed(cells)


def test_a_hardware_fault_is_an_interlock(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    cells.control.fail("the current range of channel 0 is stuck")
    assert potentiostat.health().faults == ("the current range of channel 0 is stuck",)
    do(potentiostat, "build_experiment", channel=0, elements=[OCV])
    do(potentiostat, "upload_experiment", channel=0)
    with pytest.raises(Interlocked, match="current range"):
        do(potentiostat, "start_experiment", channel=0)


def test_a_limit_of_one_element_is_not_held_against_the_next(potentiostat: SquidstatDriver) -> None:
    dissolve = {**DEPOSIT, "current_a": 0.004, "voltage_max_v": -0.5}
    _, first, second = measure(potentiostat, {**DEPOSIT, "duration_s": 10.0}, dissolve, DEPOSIT)
    assert (first["ended"], second["ended"]) == ("voltage-limit", "completed")
    assert second["points"] == 60


def test_a_stop_gets_in_while_much_is_worked_out(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    sweep = {"technique": "CVA", "start_v": -0.5, "end_v": 0.5, "scan_rate_v_s": 1.0, "cycles": 100}
    begin(potentiostat, {**sweep, "sample_interval_s": 0.002})
    potentiostat.emergency_stop()
    assert not closed(cells)
    report = potentiostat._potentiostat.report(0)
    assert report.records[0].duration_s < report.estimated_s
