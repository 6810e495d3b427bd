"""The command journal: what was begun and how it ended, on disk before and after every physical command.

A key (run, node path, iteration, ordinal) never moves the hardware twice. SQLite in WAL mode with `synchronous=FULL`:
each commit is on disk when the call returns. Not for telemetry: reads are not journaled.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from labkeeper_devices.agent.records import (
    COMPLETED,
    NOT_COMPLETED,
    ActionRecord,
    Begun,
    Command,
    CommandKey,
    Conclusion,
    JournaledRun,
    JournalError,
    Outcome,
    Replayed,
    replay,
)

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, name TEXT NOT NULL, transition_id TEXT NOT NULL,
    claimed_at TEXT NOT NULL, conclusion TEXT, concluded_at TEXT, reported_at TEXT
);
CREATE INDEX runs_open ON runs (reported_at) WHERE reported_at IS NULL;
CREATE TABLE commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL, node TEXT NOT NULL, iteration INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    operation TEXT NOT NULL, arguments TEXT NOT NULL, arguments_hash TEXT NOT NULL,
    begun_at TEXT NOT NULL, ended_at TEXT, outcome TEXT, result TEXT, message TEXT,
    UNIQUE (run_id, node, iteration, ordinal, attempt)
);
CREATE INDEX commands_open ON commands (ended_at) WHERE ended_at IS NULL;
CREATE TABLE actions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL, action TEXT NOT NULL, requester TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL
);
"""


class Journal:
    """The journal of one unit. Thread-safe."""

    def __init__(self, path: Path, unit: str, clock: Callable[[], datetime]) -> None:
        """Open the journal, or make one where there is none. Raises `JournalError`; what is damaged stays as it is."""
        self._clock = clock
        self._lock = threading.Lock()
        self.path = path
        with self._translated("opened"):
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5.0)
        try:
            self._check()
            with self._translated("opened"):
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
            self._prepare(unit)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @property
    def journal_id(self) -> str:
        """Identity of this very journal; another one in its place has another."""
        return self._meta("journal_id")

    @property
    def proven(self) -> bool:
        """Whether it was ever known to be the journal that the unit should have; a new one is not."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM meta WHERE key = 'proven'").fetchone() is not None

    def prove(self) -> None:
        """It is known to be the journal that the unit should have."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('proven', ?)", (self._now(),))

    # Runs.

    def claim(self, run_id: str, name: str, transition_id: str) -> None:
        """Note that this run is about to be claimed."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO runs (run_id, name, transition_id, claimed_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (run_id) DO UPDATE SET transition_id = excluded.transition_id,"
                " claimed_at = excluded.claimed_at, conclusion = NULL, concluded_at = NULL, reported_at = NULL",
                (run_id, name, transition_id, self._now()),
            )

    def unclaim(self, run_id: str) -> None:
        """The run was not ours to take after all, and nothing was done for it."""
        with self._writing() as db:
            db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    def conclude(self, run_id: str, conclusion: Conclusion) -> None:
        """Note how the run ended, before Prefect is told."""
        text = json.dumps(conclusion.__dict__)
        with self._writing() as db:
            db.execute("UPDATE runs SET conclusion = ?, concluded_at = ? WHERE run_id = ?", (text, self._now(), run_id))

    def reported(self, run_id: str) -> None:
        """Prefect knows how the run ended."""
        with self._writing() as db:
            db.execute("UPDATE runs SET reported_at = ? WHERE run_id = ?", (self._now(), run_id))

    def unreported(self) -> list[JournaledRun]:
        """Claimed runs of which Prefect was not told the end, oldest first."""
        return self._runs("WHERE reported_at IS NULL ORDER BY claimed_at", ())

    # Commands.

    def begin(
        self, key: CommandKey, operation: str, arguments: dict[str, Any], *, idempotent: bool
    ) -> Begun | Replayed:
        """Note that this command is about to be carried out.

        Raises `OutcomeUnknown` when it was begun before and not ended, `KeyReused` when the key was used with other
        arguments or when the command failed before and may not be repeated.
        """
        text, digest = _digested(operation, arguments)
        with self._writing() as db:
            old = self._command_at(key)
            if old is not None:
                done = replay(old, digest, self._hash_of(old.seq), idempotent=idempotent)
                if done is not None:
                    return done
            place = (key.run_id, key.node, key.iteration, key.ordinal)
            attempt = old.attempt + 1 if old is not None else 0
            cursor = db.execute(
                "INSERT INTO commands (run_id, node, iteration, ordinal, attempt, operation, arguments, arguments_hash,"
                " begun_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*place, attempt, operation, text, digest, self._now()),
            )
            return Begun(int(cursor.lastrowid or 0))

    def look(self, key: CommandKey, operation: str, arguments: dict[str, Any], *, idempotent: bool) -> Replayed | None:
        """What `begin` would answer, without beginning: None if the command may be carried out. Raises as `begin`."""
        _, digest = _digested(operation, arguments)
        with self._reading():
            old = self._command_at(key)
            return replay(old, digest, self._hash_of(old.seq), idempotent=idempotent) if old is not None else None

    def end(self, seq: int, outcome: Outcome, *, result: dict[str, Any] | None = None, message: str = "") -> None:
        """Note how the command ended."""
        with self._writing() as db:
            db.execute(
                "UPDATE commands SET ended_at = ?, outcome = ?, result = ?, message = ? WHERE seq = ?",
                (self._now(), outcome, json.dumps(result) if result is not None else None, message, seq),
            )

    def unknown(self, seq: int, message: str) -> None:
        """Nobody can say how the command ended; `message` says why."""
        with self._writing() as db:
            db.execute("UPDATE commands SET message = ? WHERE seq = ?", (message, seq))

    def open_commands(self) -> list[Command]:
        """Commands begun and not ended, oldest first."""
        return self._commands("WHERE ended_at IS NULL ORDER BY seq", ())

    def commands_of(self, run_id: str) -> list[Command]:
        """All commands of one run, oldest first."""
        return self._commands("WHERE run_id = ? ORDER BY seq", (run_id,))

    def last_commands(self, limit: int) -> list[Command]:
        """The latest commands, newest first."""
        return self._commands("ORDER BY seq DESC LIMIT ?", (limit,))

    # What people do.

    def acknowledge(self, requester: str, reason: str, *, completed: bool) -> list[Command]:
        """A person says how all open commands really ended; those commands."""
        word = COMPLETED if completed else NOT_COMPLETED
        with self._writing() as db:
            found = self._commands_unlocked("WHERE ended_at IS NULL ORDER BY seq", ())
            for command in found:
                db.execute(
                    "UPDATE commands SET ended_at = ?, outcome = 'acknowledged', message = ? WHERE seq = ?",
                    (self._now(), f"{word}, says {requester}: {reason}", command.seq),
                )
            detail = {"outcome": word, "commands": [command.seq for command in found]}
            self._record(db, "Acknowledge", requester, reason, detail)
            return found

    def record(self, action: str, requester: str, reason: str, detail: dict[str, Any]) -> None:
        """Note what a person did, or what was done for one."""
        with self._writing() as db:
            self._record(db, action, requester, reason, detail)

    def actions(self, limit: int) -> list[ActionRecord]:
        """What people did, newest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT seq, at, action, requester, reason, detail FROM actions ORDER BY seq DESC LIMIT ?", (limit,)
            ).fetchall()
        return [ActionRecord(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]

    # Inside.

    def _check(self) -> None:
        """Read all of it, so that damage shows before anything is believed. Writes nothing."""
        found: object
        try:
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = error
        if found != "ok":
            why = " ".join(str(found).split())
            raise JournalError(
                f"the journal {self.path} cannot be read: {why}. Move it away, for whoever may restore it, and start "
                "the agent again: the unit is then Held until a person has looked at the hardware"
            )

    def _prepare(self, unit: str) -> None:
        with self._reading() as db:
            there = db.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone()
        if not there:
            with self._writing() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                values = {"journal_id": str(uuid.uuid4()), "unit": unit, "schema_version": str(SCHEMA_VERSION)}
                db.executemany("INSERT INTO meta VALUES (?, ?)", list(values.items()))
        if self._meta("unit") != unit:
            raise JournalError(f"the journal {self.path} belongs to unit {self._meta('unit')!r}, not to {unit!r}")
        if int(self._meta("schema_version")) > SCHEMA_VERSION:
            raise JournalError(f"the journal {self.path} was written by a newer release; update this agent")

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self.path} cannot be {what}: {error}") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated("read"):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # When the disk is full, SQLite may have rolled back by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _record(self, db: sqlite3.Connection, action: str, requester: str, reason: str, detail: dict[str, Any]) -> None:
        db.execute(
            "INSERT INTO actions (at, action, requester, reason, detail) VALUES (?, ?, ?, ?, ?)",
            (self._now(), action, requester, reason, json.dumps(detail)),
        )

    def _now(self) -> str:
        return self._clock().isoformat()

    def _meta(self, key: str) -> str:
        with self._reading() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise JournalError(f"the journal {self.path} has no {key!r}: it is damaged")
        return str(row[0])

    def _hash_of(self, seq: int) -> str:
        return str(self._db.execute("SELECT arguments_hash FROM commands WHERE seq = ?", (seq,)).fetchone()[0])

    def _command_at(self, key: CommandKey) -> Command | None:
        where = "WHERE run_id = ? AND node = ? AND iteration = ? AND ordinal = ? ORDER BY attempt DESC LIMIT 1"
        found = self._commands_unlocked(where, (key.run_id, key.node, key.iteration, key.ordinal))
        return found[0] if found else None

    def _commands(self, where: str, values: tuple[Any, ...]) -> list[Command]:
        with self._reading():
            return self._commands_unlocked(where, values)

    def _commands_unlocked(self, where: str, values: tuple[Any, ...]) -> list[Command]:
        columns = (
            "seq, run_id, node, iteration, ordinal, attempt, operation, arguments, begun_at, ended_at, outcome, result,"
            " message"
        )
        rows = self._db.execute(f"SELECT {columns} FROM commands {where}", values).fetchall()  # noqa: S608 - no input
        return [
            Command(
                seq=row[0],
                key=CommandKey(*row[1:5]),
                attempt=row[5],
                operation=row[6],
                arguments=json.loads(row[7]),
                begun_at=row[8],
                ended_at=row[9],
                outcome=row[10],
                result=json.loads(row[11]) if row[11] is not None else None,
                message=row[12],
            )
            for row in rows
        ]

    def _runs(self, where: str, values: tuple[Any, ...]) -> list[JournaledRun]:
        columns = "run_id, name, transition_id, claimed_at, conclusion, reported_at"
        with self._reading() as db:
            rows = db.execute(f"SELECT {columns} FROM runs {where}", values).fetchall()  # noqa: S608 - no input
        return [
            JournaledRun(
                run_id=row[0],
                name=row[1],
                transition_id=row[2],
                claimed_at=row[3],
                conclusion=Conclusion(**json.loads(row[4])) if row[4] else None,
                reported=row[5] is not None,
            )
            for row in rows
        ]


def _digested(operation: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """The arguments as text, and the hash that tells this command from another of the same key."""
    text = json.dumps(arguments, sort_keys=True)
    return text, hashlib.sha256(f"{operation}\n{text}".encode()).hexdigest()
