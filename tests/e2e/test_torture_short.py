"""Short forms of the torture runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.battery import BatteryLab
from tests.support.hotel import Hotel
from tests.support.prefect_server import PrefectServer
from tests.torture import agent_kill, canvas_kill


def test_killing_the_agent_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with PrefectServer(tmp_path / "prefect") as server, Hotel(tmp_path, server, time_factor=3.0) as hotel:
        counts = agent_kill.torture(hotel, seed=20261121, kills=4)
    assert counts.good, counts.notes
    assert counts.tried >= 4


def test_killing_the_lab_during_canvases_doubles_no_step_and_loses_none(tmp_path: Path) -> None:
    with BatteryLab(tmp_path / "lab", time_factor=canvas_kill.FACTOR) as lab:
        counts = canvas_kill.torture(lab, seed=20261127, kills=4)
    assert counts.good, counts.notes
    assert counts.tried >= 40
