"""Time: real durations, and pausing and stopping at once in the middle of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from lab import Bench, Simulator, wait_until

from ot2_simulator.motion import fast_home_seconds, home_seconds, move_seconds

HOMED = {"X": 418.0, "Y": 353.0, "Z": 218.0, "A": 218.0, "B": 19.0, "C": 19.0}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulator in real time."""
    with Simulator(tmp_path_factory.mktemp("real"), "--pipette", "right=p1000_single_gen2") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def brisk_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulator ten times faster: what tests wait for takes seconds, homing does not take long."""
    with Simulator(tmp_path_factory.mktemp("brisk"), "--time-factor", "10") as simulator:
        yield simulator


@pytest.fixture
def brisk(brisk_process: Simulator) -> Simulator:
    """The brisk simulator, as if nothing had been."""
    brisk_process.reset()
    return brisk_process


def _ended(run: Bench, command: str) -> float:
    """Seconds until a command is over, from now."""
    began = time.monotonic()
    run.over(command)
    return time.monotonic() - began


def test_the_arithmetic_of_motion() -> None:
    assert move_seconds(HOMED, {"X": 418.0}) == 0
    # 300 mm along X at 400 mm/s (the board's default), 3000 mm/s²: 0.75 s, and 0.133 s for speeding up and slowing
    # down.
    assert move_seconds({"X": 0.0}, {"X": 300.0}) == pytest.approx(0.75 + 400 / 3000)
    assert move_seconds({"X": 0.0}, {"X": 300.0}, speed=100) == pytest.approx(3 + 100 / 3000)
    # Too short to reach any top speed.
    assert move_seconds({"X": 0.0}, {"X": 1.0}) == pytest.approx(2 * math.sqrt(1 / 3000))
    # The mount is slower than the gantry, and the whole path waits for it.
    assert move_seconds({"A": 0.0}, {"A": 125.0}) == pytest.approx(1 + 125 / 1500)
    assert move_seconds({"X": 0.0}, {"X": 300.0}, axis_speeds={"X": 50}) == pytest.approx(6 + 50 / 3000)
    assert home_seconds(HOMED, HOMED, "XYZABC") == 3
    assert home_seconds(HOMED | {"X": 258.0}, HOMED, "X") == 3
    assert fast_home_seconds(HOMED | {"A": 118.0}, HOMED, "A", 10) == pytest.approx(90 / 125 + 125 / 1500 + 10 / 50 + 1)


def test_real_time_is_real(real: Simulator) -> None:
    run = Bench(real)
    real.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 5000}})
    run.pick_up()
    above = {"origin": "top", "offset": {"x": 0, "y": 0, "z": 5}}
    run.done("moveToWell", **run.at(run.rack, "A1", wellLocation=above))
    began = time.monotonic()
    run.done("moveToWell", **run.at(run.rack, "A3", wellLocation=above, speed=20))
    assert 4.0 < time.monotonic() - began < 5.0  # 80 mm at 20 mm/s: 4 s
    run.done("aspirate", **run.at(run.rack, "A1", volume=10, flowRate=500))
    began = time.monotonic()
    run.done("aspirate", **run.at(run.rack, "A1", volume=500, flowRate=250))
    assert 1.9 < time.monotonic() - began < 2.8  # 500 µL at 250 µL/s: 2 s, and the plunger speeds up and slows down
    began = time.monotonic()
    run.done("waitForDuration", seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 1.0


def test_a_pause_holds_a_motion_and_play_goes_on(brisk: Simulator) -> None:
    run = Bench(brisk, play=True)
    run.pick_up()
    run.done("moveToWell", **run.at(run.rack, "A1"))
    command = run.command("moveToWell", wait=False, **run.at(run.rack, "A3", speed=4))  # 80 mm: 2 s
    time.sleep(0.5)
    run.act("pause")
    assert run.status == "paused"
    time.sleep(0.1)
    held = brisk.state()["gantry"]["axes"]
    time.sleep(2.5)
    assert brisk.state()["gantry"]["axes"] == held
    assert run.find(command["id"])["status"] == "running"
    run.act("play")
    assert 0.5 < _ended(run, command["id"]) < 3
    assert run.find(command["id"])["status"] == "succeeded"
    run.act("stop")
    wait_until(lambda: run.status == "stopped", 60)


def test_a_stop_ends_a_motion_at_once(brisk: Simulator) -> None:
    run = Bench(brisk, play=True)
    brisk.post("/simulator/liquids", {"slot": "2", "liquid": "water", "volumes": {"A1": 5000}})
    run.pick_up()
    command = run.command("aspirate", wait=False, **run.at(run.rack, "A1", volume=900, flowRate=1))  # 90 s
    wait_until(lambda: run.find(command["id"])["status"] == "running")
    time.sleep(1.5)
    run.act("stop")
    assert _ended(run, command["id"]) < 0.5
    assert run.find(command["id"])["error"]["detail"] == "Run was cancelled"
    assert run.status in ("stop-requested", "stopped")
    assert [item["kind"] for item in brisk.state()["anomalies"]] == ["interrupted"]
    wait_until(lambda: run.status == "stopped", 60)


def test_a_setup_command_is_not_interrupted_by_a_stop(brisk: Simulator) -> None:
    """As on the robot: the stop of a run that was never played waits for what is running."""
    run = Bench(brisk)
    run.done("moveToWell", **run.at(run.rack, "A1"))
    command = run.command("moveToWell", wait=False, **run.at(run.rack, "A3", speed=4))
    wait_until(lambda: run.find(command["id"])["status"] == "running")
    run.act("stop")
    assert _ended(run, command["id"]) > 1
    assert run.find(command["id"])["status"] == "succeeded"
    wait_until(lambda: run.status == "stopped")


def test_a_timeout_gives_the_command_back_as_it_is(real: Simulator) -> None:
    run = Bench(real)
    data = {"commandType": "waitForDuration", "params": {"seconds": 1.5}, "intent": "setup"}
    began = time.monotonic()
    command = real.post(f"/runs/{run.id}/commands", data, waitUntilComplete=True, timeout=300)
    assert 0.3 <= time.monotonic() - began < 1.0
    assert command["status"] == "running"
    assert run.over(command["id"])["status"] == "succeeded"


def test_a_mounted_pipette_is_not_another_one(real: Simulator) -> None:
    run = Bench(real)
    mounted = real.client.get("/pipettes").json()
    assert (mounted["right"]["name"], mounted["left"]["name"]) == ("p1000_single_gen2", None)
    error = run.failed("loadPipette", pipetteName="p20_single_gen2", mount="right")
    assert "p20_single_gen2" in error["detail"]
