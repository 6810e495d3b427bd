"""The agent's pure rules: what a situation allows, and what a guard says against a command."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.kinds.labdevice import UnitState
from labkeeper_devices.agent.guard import refusals
from labkeeper_devices.agent.unit import Situation

WELL = Situation(connected=True)
SICK = WELL.with_(fault="hardware error: overload", fault_reported=True)


@pytest.mark.parametrize(
    ("situation", "state", "may_claim", "may_mend", "may_energize"),
    [
        (WELL, UnitState.IDLE, True, False, True),
        (Situation(), UnitState.FAULTED, False, False, True),
        (SICK, UnitState.FAULTED, False, True, True),
        (SICK.with_(fault_reported=False), UnitState.FAULTED, False, False, True),
        (SICK.with_(connected=False), UnitState.FAULTED, False, False, True),
        (SICK.with_(draining=True), UnitState.FAULTED, False, False, True),
        (SICK.with_(journal_unproven=True), UnitState.FAULTED, False, False, False),
        (SICK.with_(unknown=("go_home()",)), UnitState.HELD, False, False, False),
        (SICK.with_(stopped="ann: a hand"), UnitState.STOPPED, False, False, False),
        (SICK.with_(busy_with="a-run"), UnitState.BUSY, False, False, True),
        (WELL.with_(journal_unproven=True), UnitState.FAULTED, False, False, False),
        (WELL.with_(journal_lost=True), UnitState.HELD, False, False, False),
        (WELL.with_(unknown=("go_home()",), stopped="ann: a hand"), UnitState.STOPPED, False, False, False),
        (WELL.with_(draining=True), UnitState.IDLE, False, False, True),
    ],
)
def test_what_a_situation_allows(
    situation: Situation, state: UnitState, may_claim: bool, may_mend: bool, may_energize: bool
) -> None:
    allowed = (situation.may_claim, situation.may_mend, situation.may_energize)
    assert (situation.state, *allowed) == (state, may_claim, may_mend, may_energize)
    assert situation.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, []),
        ({"clock_skew": None}, []),
        ({"clock_skew": 4.9}, []),
        ({"clock_skew": 6.0}, ["this host's clock is 6 s behind the server's"]),
        ({"clock_skew": -6.0}, ["this host's clock is 6 s ahead of the server's"]),
        ({"free_bytes": 1024 * 1024}, ["the journal's disk has only 1024 KiB left"]),
        ({"held": "emergency stop", "free_bytes": 0}, ["emergency stop", "the journal's disk has only 0 KiB left"]),
    ],
)
def test_what_the_guard_says_against_a_command(given: dict[str, Any], said: list[str]) -> None:
    found = refusals(**{"free_bytes": 10**9, "clock_skew": 0.2, "held": None, **given})
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))
