"""Which journal each unit of this host should have, outside of the units' directories: how a loss is noticed.

Prefect knows the same of units that claim runs from it (`settling`); an agent without Prefect has only this.
"""

from __future__ import annotations

from dataclasses import dataclass

from labkeeper_devices.agent.host import UnitDirectory, read_json, write_durably
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import JournalError


@dataclass(frozen=True)
class Register:
    """The entry of one unit: a file of its own below the home, so that agents do not wait for each other."""

    directory: UnitDirectory

    def knows(self, journal: Journal) -> bool:
        """Whether the journal is the one that the unit should have. The first one ever is, and is remembered."""
        if self.misses(journal):
            return False
        if not self.directory.register.exists():
            self.remember(journal)
        journal.prove()
        return True

    def misses(self, journal: Journal) -> bool:
        """Whether the unit should have another journal than this one. Changes nothing."""
        try:
            entry = read_json(self.directory.register)
        except ValueError:
            return True  # there was an entry, and nobody can read which journal it names
        return entry is not None and entry.get("journal_id") != journal.journal_id

    def remember(self, journal: Journal) -> None:
        """From now on the unit should have this one. Raises `JournalError`."""
        path = self.directory.register
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(path, {"unit": self.directory.unit, "journal_id": journal.journal_id})
        except OSError as error:
            raise JournalError(
                f"which journal unit {self.directory.unit} has cannot be noted in {path}: {error}"
            ) from error
