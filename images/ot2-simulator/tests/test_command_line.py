"""The command line: it teaches, refuses at once, and a signal ends it at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import FOLDER, Bench, Simulator, end


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ot2_simulator", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60
    )


def test_help_teaches_and_costs_nothing() -> None:
    began = time.monotonic()
    done = _run("--help")
    assert done.returncode == 0
    for word in ("--time-factor", "address", "/simulator/state", "SIGTERM"):
        assert word in done.stdout
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "a port is 0 to 65535"),
        (["--time-factor", "0"], "write a number from"),
        (["--pipette", "p1000_single_gen2"], "write left=NAME or right=NAME"),
        (["--pipette", "left=a", "--pipette", "left=b"], "already has"),
        (["--pipette", "left=p5000"], "p5000"),
        (["--liquids", "/nowhere.json"], "No such file"),
    ],
)
def test_bad_arguments(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = _run("--state-dir", str(tmp_path), *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["[]", "{", '{"2": 5}', '{"2": {"volumes": {"A1": -1}}}', '{"2": {"liquid": "air"}}'])
def test_bad_liquids(text: str, tmp_path: Path) -> None:
    (tmp_path / "liquids.json").write_text(text)
    done = _run("--state-dir", str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert f"--liquids {tmp_path / 'liquids.json'}: " in done.stderr
    assert "Traceback" not in done.stderr


def test_labware_comes_filled(state_dir: Path) -> None:
    state_dir.mkdir()
    text = '{"2": {"liquid": "water", "volumes": {"A1": 4000, "B2": 9000, "H9": 1}}, "1": {"volumes": {"A1": 1}}}'
    (state_dir / "liquids.json").write_text(text)
    with Simulator(state_dir, "--time-factor", "1000") as simulator:
        run = Bench(simulator)
        run.pick_up()
        run.done("aspirate", **run.at(run.rack, "A1", volume=500, flowRate=100))
        state = simulator.state()
        wells = {well: content["volume"] for well, content in state["deck"]["2"]["wells"].items()}
        assert wells == {"A1": 3500, "B2": 5000}
        assert [(item["kind"], item["well"], item["volume"]) for item in state["anomalies"]] == [
            ("overflow", "B2", 4000),
            ("no_such_well", "H9", 1),
        ]
        assert state["deck"]["1"]["wells"] == {}
        Bench(simulator)  # the same labware: nobody fills it again
        assert simulator.state()["deck"]["2"]["wells"]["A1"]["volume"] == 3500


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run("--state-dir", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr


def test_a_signal_ends_it_at_once_in_the_middle_of_a_motion(state_dir: Path) -> None:
    simulator = Simulator(state_dir, "--strict-tip-racks")
    run = Bench(simulator)
    run.command("moveToWell", wait=False, **run.at(run.rack, "A1", speed=1))
    simulator.client.close()
    assert end(simulator.process, 10) < 1
    assert simulator.process.returncode == 0
    assert not (state_dir / "address").exists()
    assert "Traceback" not in simulator.log.read_text()


def test_strict_tip_racks_refuse_as_newer_robots_do(state_dir: Path) -> None:
    from lab import tool_rack

    with Simulator(state_dir, "--strict-tip-racks", "--time-factor", "1000") as simulator:
        run = Bench(simulator)
        run.define(tool_rack())
        tools = run.labware(10, "sample_tools", "tests")
        error = run.failed("pickUpTip", **run.at(tools, "A2"))
        assert error["errorType"] == "InvalidStoredData"
        run.pick_up()
