"""Claims whose answer was lost, against a Prefect that answers late: never two, and none that stays behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from labkeeper_devices.agent import claiming
from labkeeper_devices.agent.claiming import LOST_CLAIM_SECONDS, Claimer, claim_is_lost
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.prefect_answers import ClaimedRun, DueRun, PrefectAway, Proposal, RunState, Work
from labkeeper_devices.agent.prefect_link import PrefectLink

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = DueRun("run-1", "lucky-owl", "deployment-1")
Answer = Callable[[str], Proposal]


def yes(_: str) -> Proposal:
    return Proposal(True, "PENDING", "accepted")


def no(_: str) -> Proposal:
    return Proposal(False, "PENDING", "another transition came first")


def away(_: str) -> Proposal:
    raise PrefectAway("ReadTimeout")


class LatePrefect:
    """Answers proposals of PENDING one after the other as told, and look-ups with what it holds then."""

    def __init__(self, *answers: Answer, states: list[tuple[str, bool]]) -> None:
        """`states`: for each look-up, the state and whether our transition is among those it went through."""
        self.answers = list(answers)
        self.states = list(states)
        self.proposed: list[str] = []

    async def propose_pending(self, run_id: str, transition: str, unit: str) -> Proposal:
        self.proposed.append(transition)
        return self.answers.pop(0)(transition)

    async def propose_running(self, run_id: str, transition: str, unit: str) -> Proposal:
        return Proposal(True, "RUNNING", "accepted")

    async def state_of(self, run_id: str) -> RunState | None:
        type_, arrived = self.states.pop(0)
        return RunState(type_, frozenset(self.proposed if arrived else ()))

    async def end_before(self, run_id: str, transition: str) -> dict[str, Any] | None:
        return None

    async def work(self, deployment_id: str) -> Work:
        return Work(operation="plate-resort.go_home")


async def claim(prefect: LatePrefect, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the run was claimed; what the journal holds agrees with it."""
    monkeypatch.setattr(claiming, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(claiming, "REFUSED_SECONDS", 0.0)
    journal = Journal(folder / "journal.sqlite", "lab.hotel.bench-1", lambda: NOW)
    try:
        found = await Claimer(cast("PrefectLink", prefect), journal, "lab.hotel.bench-1").claim(RUN, nothing)
        assert [run.run_id for run in journal.unreported()] == (["run-1"] if found else [])
    finally:
        journal.close()
    return found is not None


async def nothing(run: DueRun, work: Work) -> None:
    """There is nothing to prepare."""


@pytest.mark.parametrize(
    ("prefect", "claimed", "proposals"),
    [
        pytest.param(LatePrefect(yes, states=[]), True, 1, id="answered"),
        pytest.param(LatePrefect(no, states=[]), False, 1, id="another was first"),
        pytest.param(LatePrefect(away, states=[("PENDING", True)]), True, 1, id="arrived, only the answer was lost"),
        pytest.param(LatePrefect(away, yes, states=[("SCHEDULED", False)]), True, 2, id="never arrived"),
        pytest.param(
            LatePrefect(away, no, states=[("SCHEDULED", False), ("PENDING", True)]), True, 2, id="arrived after a look"
        ),
        pytest.param(
            LatePrefect(away, no, states=[("SCHEDULED", False), ("PENDING", False)]),
            False,
            2,
            id="another was faster",
        ),
        pytest.param(
            LatePrefect(away, no, states=[("SCHEDULED", False), ("SCHEDULED", False)]), False, 2, id="refused for good"
        ),
        pytest.param(LatePrefect(away, states=[("RUNNING", False)]), False, 1, id="another has it"),
        pytest.param(LatePrefect(away, states=[("CANCELLED", True)]), False, 1, id="cancelled meanwhile"),
    ],
)
async def test_a_proposal_without_an_answer_is_looked_up(
    prefect: LatePrefect, claimed: bool, proposals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await claim(prefect, tmp_path, monkeypatch) is claimed
    assert len(prefect.proposed) == proposals
    assert len(set(prefect.proposed)) == 1, "a repeated proposal is the same one"
    assert prefect.states == []


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, True),
        ({"state_type": "RUNNING"}, False),
        ({"since": NOW - timedelta(seconds=LOST_CLAIM_SECONDS - 1)}, False),
        ({"mine": {"run-1"}}, False),
        ({"journaled": True}, False),
    ],
)
def test_a_claim_is_lost_when_it_is_old_and_the_unit_knows_nothing_of_it(change: dict[str, Any], lost: bool) -> None:
    known = {"state_type": "PENDING", "since": NOW - timedelta(seconds=LOST_CLAIM_SECONDS + 1), **change}
    mine, journaled = known.pop("mine", set()), known.pop("journaled", False)
    run = ClaimedRun(id="run-1", name="lucky-owl", **known)
    assert claim_is_lost(run, mine=mine, journaled=journaled, now=NOW) is lost
