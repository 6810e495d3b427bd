"""Who may have a unit, what that makes of its state, and what earlier ends of a command mean. Pure rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkeeper_api.errors import OutcomeUnknown
from labkeeper_api.kinds.labdevice import UnitState
from labkeeper_api.unit_calls import LEASE_SECONDS
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import AlreadyEnded, Begun, CommandKey, KeyReused, Replayed
from labkeeper_devices.agent.register import Register
from labkeeper_devices.agent.reservation import Reservation, against, current
from labkeeper_devices.agent.unit import Situation

HELD = Reservation("run-1", "canvas Zinc", 100.0)
WELL = Situation(connected=True)
KEY = CommandKey("run-1", "n", 1, 2)


@pytest.mark.parametrize(
    ("passed", "under_way", "holds"),
    [
        (0, False, True),
        (LEASE_SECONDS - 0.1, False, True),
        (LEASE_SECONDS, False, False),
        (100 * LEASE_SECONDS, True, True),
    ],
)
def test_a_reservation_outlives_the_holders_last_word_by_the_lease(passed: float, under_way: bool, holds: bool) -> None:
    assert (current(HELD, HELD.heard + passed, under_way=under_way) is HELD) is holds
    assert current(HELD.renewed(500.0), 500.0 + LEASE_SECONDS - 1, under_way=False) is not None
    assert current(None, 0.0, under_way=under_way) is None


@pytest.mark.parametrize(
    ("held", "doing", "claiming", "why"),
    [
        (None, None, False, None),
        (HELD, None, False, None),
        (Reservation("run-2", "a script", 0.0), None, False, "it is held for a script (run run-2)"),
        (None, "run lucky-owl", True, "it carries out run lucky-owl"),
        (None, None, True, "it is just taking a run from Prefect"),
    ],
)
def test_who_may_have_the_unit(held: Reservation | None, doing: str | None, claiming: bool, why: str | None) -> None:
    assert against(held, "run-1", doing=doing, claiming=claiming) == why


@pytest.mark.parametrize(
    ("situation", "state", "reason", "for_the_holder"),
    [
        (WELL.with_(held_for="canvas"), UnitState.BUSY, "held for canvas", None),
        (WELL.with_(held_for="canvas", command="ot2.aspirate"), UnitState.BUSY, "held for canvas", "held for a run"),
        (WELL.with_(held_for="canvas", fault="too hot"), UnitState.FAULTED, "too hot", "too hot"),
        (WELL.with_(held_for="canvas", connected=False), UnitState.FAULTED, "is not connected", "is not connected"),
        (
            WELL.with_(held_for="canvas", draining=True),
            UnitState.BUSY,
            "held for canvas",
            "the agent is being shut down",
        ),
    ],
)
def test_a_held_unit_claims_nothing_and_says_for_whom(
    situation: Situation, state: UnitState, reason: str, for_the_holder: str | None
) -> None:
    assert (situation.state, situation.reason) == (state, reason)
    assert not situation.may_claim
    assert not situation.may_mend
    assert situation.against(mending=False) == for_the_holder


def test_the_holder_may_mend_what_the_device_reports() -> None:
    sick = WELL.with_(held_for="canvas", fault="overload", fault_reported=True)
    assert sick.against(mending=True) is None
    assert sick.with_(fault_reported=False).against(mending=True) == "overload"
    assert "emergency stop" in str(sick.with_(stopped="ann: a hand").against(mending=True))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db", "lab.bench.host", lambda: datetime(2026, 11, 21, tzinfo=UTC))


def begun(journal: Journal) -> int:
    found = journal.begin(KEY, "ot2.aspirate", {"volume": 5}, idempotent=False)
    assert isinstance(found, Begun)
    return found.seq


def look(journal: Journal, volume: int = 5, *, idempotent: bool = False) -> Replayed | None:
    return journal.look(KEY, "ot2.aspirate", {"volume": volume}, idempotent=idempotent)


def test_looking_begins_nothing(journal: Journal) -> None:
    assert look(journal) is None
    assert journal.last_commands(9) == []
    seq = begun(journal)
    with pytest.raises(OutcomeUnknown):
        look(journal)
    journal.end(seq, "succeeded", result={"volume": 5})
    assert look(journal) == Replayed({"volume": 5})
    with pytest.raises(KeyReused, match="a key stands for one command"):
        look(journal, 6)
    journal.close()


def test_what_ended_badly_is_said_and_not_repeated(journal: Journal) -> None:
    journal.end(begun(journal), "failed", message="it jams")
    with pytest.raises(AlreadyEnded, match="already ended failed"):
        look(journal)
    assert look(journal, idempotent=True) is None
    journal.close()


def test_a_command_that_a_person_saw_done_is_done(journal: Journal) -> None:
    begun(journal)
    journal.acknowledge("ann", "the liquid is in the tip", completed=True)
    assert look(journal) == Replayed({"acknowledged": True, "message": "completed, says ann: the liquid is in the tip"})
    journal.close()


def test_a_command_that_a_person_saw_not_done_may_be_done(journal: Journal) -> None:
    first = begun(journal)
    journal.acknowledge("ann", "the tip is empty", completed=False)
    assert look(journal) is None
    assert begun(journal) != first
    with pytest.raises(OutcomeUnknown):
        look(journal)
    journal.close()


def test_the_host_notices_another_journal_in_the_units_place(journal: Journal, tmp_path: Path) -> None:
    register = Register(UnitDirectory.of(tmp_path / "home", "lab.bench.host"))
    assert not register.misses(journal), "the first one ever"
    assert register.knows(journal)
    assert journal.proven
    another = Journal(tmp_path / "other.db", "lab.bench.host", lambda: datetime(2026, 11, 21, tzinfo=UTC))
    assert register.misses(another)
    assert not register.knows(another)
    assert not another.proven
    register.remember(another)
    assert register.knows(another)
    register.directory.register.write_text("{", encoding="utf-8")
    assert not register.knows(another), "there was one, and nobody can say which"
    journal.close()
    another.close()
