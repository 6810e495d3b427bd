"""The journal as a file: damage is told and kept, and a journal is the unit's only once that is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import Begun, CommandKey, JournalError

UNIT = "lab.hotel.bench-1"
PAGE = 4096


def opened(path: Path, unit: str = UNIT) -> Journal:
    return Journal(path, unit, lambda: datetime(2026, 11, 21, tzinfo=UTC))


def written(path: Path) -> Path:
    """A journal with some commands in it."""
    journal = opened(path)
    for number in range(100):
        begun = journal.begin(CommandKey(f"run-{number}"), "plate-resort.go_home", {}, idempotent=False)
        assert isinstance(begun, Begun)
        journal.end(begun.seq, "succeeded", result={"angle_deg": 0.0})
    journal.close()
    return path


def overwritten(content: bytes) -> bytes:
    return b"these are the voyages " * (len(content) // 22)


def head_lost(content: bytes) -> bytes:
    return b"\0" * PAGE + content[PAGE:]


def body_overwritten(content: bytes) -> bytes:
    """SQLite knows its files by their first page, which is sound."""
    return content[:PAGE] + b"\xa5" * (len(content) - PAGE)


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [overwritten, head_lost, body_overwritten, cut_short])
def test_damage_is_told_with_what_to_do_and_the_file_is_kept(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path / "journal.db")
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match=r"journal\.db cannot be read: .*Move it away.* the unit is then Held"):
        opened(path)
    assert path.read_bytes() == damaged


def test_a_journal_of_another_unit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.db")
    with pytest.raises(JournalError, match=r"belongs to unit 'lab\.hotel\.bench-1', not to 'lab\.hotel\.bench-2'"):
        opened(path, "lab.hotel.bench-2")


def test_a_new_journal_is_unproven_until_it_is_known_to_be_the_units(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for _ in range(2):
        journal = opened(path)
        assert not journal.proven, "opening it again proves nothing"
        journal.close()
    journal = opened(path)
    journal.prove()
    journal.prove()
    journal.close()
    journal = opened(path)
    assert journal.proven
    journal.close()


def test_an_empty_file_in_its_place_is_a_new_journal(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.db")
    path.write_bytes(b"")
    journal = opened(path)
    assert not journal.proven
    journal.close()
