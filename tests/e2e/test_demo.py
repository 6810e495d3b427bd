"""`labkeeper demo`: the first thing that a newcomer sees."""

from __future__ import annotations

from tests.e2e.conftest import Command


def test_a_tour_of_the_four_hotels_is_shown_with_verified_angles(labkeeper: Command) -> None:
    done = labkeeper("demo")
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
