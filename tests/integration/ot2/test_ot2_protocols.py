"""Whole protocols: analysed first, run to the end, paused, stopped; real ones of others where they are there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from labkeeper_api.errors import DeviceError, Interlocked, InvalidInput
from labkeeper_devices.drivers.base import Progress
from tests.integration.ot2.bench import Bench, Under, halted
from tests.integration.ot2.conftest import Robots
from tests.support.waiting import eventually

REAL = Path(__file__).parents[4] / "shared" / "data" / "opentrons_json"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared")

SHAKE = """
from opentrons import protocol_api
metadata = {"apiLevel": "2.13"}

def run(protocol: protocol_api.ProtocolContext) -> None:
    tips = protocol.load_labware("opentrons_96_tiprack_1000ul", 1)
    plate = protocol.load_labware("corning_96_wellplate_360ul_flat", 2)
    pipette = protocol.load_instrument("p1000_single_gen2", "right", tip_racks=[tips])
    pipette.pick_up_tip()
    for _ in range(TIMES):
        pipette.move_to(plate["A1"].top())
        pipette.move_to(plate["H12"].top())
    pipette.return_tip()
"""


def shake(times: int) -> dict[str, str]:
    """A protocol of our own that moves to and fro."""
    return {"name": "shake.py", "content": SHAKE.replace("TIMES", str(times))}


def real(name: str) -> dict[str, str]:
    """A protocol of others."""
    return {"name": name, "content": (REAL / name).read_text(encoding="utf-8")}


@needs_real
@pytest.mark.parametrize(
    "name",
    [
        "OT2_S_v3_P300SGen1_None_Gen1PipetteSimple.json",
        "OT2_S_v6_P1000S_None_SimpleTransfer.json",
        "OT2_S_v6_P300M_P20S_MixTransferManyLiquids.json",
    ],
)
def test_real_protocols_run_to_their_end(bench: Bench, name: str) -> None:
    done = bench.do("run_protocol", **real(name))
    assert done["run"] == "succeeded"
    assert done["commands"] > 5
    assert done["simulated"] is True
    assert bench.robot.log()[-1]["status"] == "succeeded"


@needs_real
def test_a_protocol_that_cannot_run_is_refused_with_the_robots_reason(bench: Bench) -> None:
    protocol = real("OT2_X_v6_P20S_None_SimpleTransfer.json")
    analysis = bench.do("analyze_protocol", **protocol)
    assert analysis["result"] == "not-ok"
    last = bench.robot.last()
    with pytest.raises(DeviceError, match="refused at its analysis, nothing moved") as refused:
        bench.do("run_protocol", **protocol)
    assert analysis["errors"][0] in str(refused.value)
    assert len(analysis["errors"][0]) > 20
    assert bench.robot.log(last) == []


def test_what_is_no_protocol_is_refused_in_the_robots_words(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match=r"the robot takes broken\.json for no protocol: .+"):
        bench.do("analyze_protocol", name="broken.json", content="{")
    with pytest.raises(InvalidInput, match=r"invalid syntax \(broken\.py, line 2\)"):
        bench.do("run_protocol", name="broken.py", content="metadata = {'apiLevel': '2.13'}\ndef run(: pass")


def test_a_python_protocol_ends_our_run_and_the_next_command_begins_another(bench: Bench) -> None:
    bench.set_up().with_tip()
    done = bench.do("run_protocol", **shake(2))
    assert done["run"] == "succeeded"
    assert bench.robot.state()["pipettes"]["right"]["tip"] is None
    bench.with_tip("A2")
    bench.do("move_to_well", **bench.at("vials", "A1"))


def test_a_protocol_that_would_throw_a_tool_away_is_refused(bench: Bench) -> None:
    bench.set_up(tools=True)
    bench.do("pickup_tip", **bench.at("tools", "A1"))
    with pytest.raises(Interlocked, match="drop_tip it home first"):
        bench.check("run_protocol", **shake(1))


def test_a_protocol_is_watched_paused_resumed_and_stopped(robots: Robots) -> None:
    bench = Bench(robots.take(20.0)).open()
    try:
        under = Under(lambda: bench.do("run_protocol", **shake(400)))
        seen = eventually(lambda: _moving(bench), 60.0)
        assert seen is not None
        assert seen.total is not None
        assert seen.total > 800
        bench.driver.pause()
        eventually(lambda: _paused(bench), 20.0)
        held = bench.robot.state()["gantry"]["axes"]
        time.sleep(0.3)
        assert bench.robot.state()["gantry"]["axes"] == held
        before = seen.done + 4
        bench.driver.resume()
        eventually(lambda: _further(bench, before), 20.0)
        bench.interrupt.set("cancel")
        rest = halted(bench, under)
        assert rest.confirmed, rest
        assert rest.detail["run"] == "stopped"
        assert bench.driver.progress() is None
    finally:
        bench.close()


def _moving(bench: Bench) -> Progress | None:
    progress = bench.driver.progress()
    return progress if progress is not None and progress.done > 6 else None


def _paused(bench: Bench) -> bool:
    progress = bench.driver.progress()
    return progress is not None and progress.paused


def _further(bench: Bench, done: int) -> bool:
    progress = bench.driver.progress()
    return progress is not None and not progress.paused and progress.done > done


def test_pausing_nothing_is_refused(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="nothing is under way"):
        bench.driver.pause()
    with pytest.raises(DeviceError, match="nothing is paused"):
        bench.driver.resume()
