"""`labkeeper demo`: the first thing that a newcomer sees."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import EXAMPLE, ROOT, Command

SIMULATOR = ROOT / "images" / "ot2-simulator" / ".venv"


@pytest.mark.timeout(600)
def test_a_tour_of_the_four_hotels_is_shown_with_verified_angles(labkeeper: Command) -> None:
    done = labkeeper("demo", EXAMPLE)
    assert done.returncode == 0, done.stderr
    for run in ("connect", "hotel-a", "hotel-b", "hotel-c", "hotel-d", "health"):
        assert run in done.stdout
    assert done.stdout.count("verified") == 4
    assert done.stdout.count("simulated, time factor 1") == 6
    assert "32 °C, 12 V" in done.stdout
    assert f"{labkeeper.home}/units/default.plate-resort." in done.stdout
    assert "Prefect UI: http://127.0.0.1:" in done.stdout
    history = labkeeper.json("device", "history", "--output", "json")
    moves = [c for c in history["commands"] if c["operation"] == "plate-resort.activate_hotel"]
    assert [c["arguments"]["hotel"] for c in reversed(moves)] == ["A", "B", "C", "D"]
    assert {c["outcome"] for c in moves} == {"succeeded"}


@pytest.mark.skipif(not SIMULATOR.exists(), reason="needs the OT-2 simulator: make setup")
@pytest.mark.timeout(600)
def test_all_examples_are_run_one_after_another(labkeeper: Command) -> None:
    summary = labkeeper.json("demo", "--output", "json")
    assert summary["ok"] is True, summary
    assert [run["workflow"] for run in summary["runs"]][-2:] == ["health", "zinc-two-cycles"]
    assert {run["state"] for run in summary["runs"]} == {"Completed"}
    assert {run["simulated"] for run in summary["runs"]} == {True}
    assert summary["runs"][-1]["message"].startswith("simulated: completed, 8 of 8 nodes completed")
    (kept,) = labkeeper.json("canvas", "runs", "--output", "json")
    assert kept["id"] == summary["runs"][-1]["flowRunId"]
    data = labkeeper.home / "runs" / kept["id"] / "data"
    assert (data / "zinc_demo_cycles1-2_dc.csv").exists()
    assert not (ROOT / "data").exists()
