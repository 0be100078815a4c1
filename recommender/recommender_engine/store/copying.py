"""Snapshots of the database, read while commits continue; and the facts of a copy.

With a write-ahead log, the database file changes only at a checkpoint. So a checkpoint is made and the next one is
postponed: until then the file is the state of that moment, and another thread can read it at any speed while commits go
to the log. There is no second connection, and no use of SQLite's backup API, which would wait for gaps between
transactions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recommender_engine.errors import StateDamaged, StateError, StateLocked, StateTooNew
from recommender_engine.items import START, EntryId
from recommender_engine.store.failures import RESTORE, explained
from recommender_engine.store.schema import APPLICATION_ID
from recommender_engine.store.tables import SCHEMA_VERSION

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StateFacts:
    """Facts of a state.

    Attributes:
        schema_version: of its tables.
        identity: shared only by this state and its copies; ``None`` before its first owner.
        position: of the last applied command.
        last_event: id of its last event.
        last_erasure: position of the last command that erased something, if any.
    """

    schema_version: int
    identity: str | None
    position: EntryId
    last_event: EntryId
    last_erasure: EntryId | None


class DatabaseCopy:
    """A database file that does not change; another thread than the engine's may read it.

    Args:
        path: of the database.
        descriptor: of the same file. It stays open as long as the connection: closing any descriptor of a file releases
            the locks of the process on it.
        facts: of the state.
    """

    def __init__(self, path: Path, descriptor: int, facts: StateFacts) -> None:
        self._path = path
        self._descriptor = descriptor
        self.facts = facts
        self.size_bytes = os.fstat(descriptor).st_size

    def chunks(self) -> Iterator[bytes]:
        """The content of the file.

        Raises:
            OSError: it cannot be read.
        """
        for offset in range(0, self.size_bytes, _CHUNK_BYTES):
            yield os.pread(self._descriptor, min(_CHUNK_BYTES, self.size_bytes - offset), offset)

    def log_bytes(self) -> int:
        """Size of the write-ahead log, which grows until the copy is done."""
        with suppress(FileNotFoundError):
            return self._path.with_name(f"{self._path.name}-wal").stat().st_size
        return 0


def facts_of(connection: sqlite3.Connection) -> StateFacts:
    """The facts of the state of a connection."""
    notes = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    erasure = notes.get("last_erasure")
    return StateFacts(
        version,
        notes.get("identity"),
        EntryId.parse(notes.get("position", str(START))),
        EntryId.parse(notes.get("last_event", str(START))),
        None if erasure is None else EntryId.parse(erasure),
    )


def examine_copy(path: Path) -> StateFacts:
    """Check every page of a database that is not in use; no file is written.

    Raises:
        StateDamaged: it failed the check, or is no state.
        StateTooNew: a newer release wrote it.
    """
    return _bisect(path, f"{path.resolve().as_uri()}?mode=ro&immutable=1")


def examine_state(path: Path) -> StateFacts:
    """Check every page of the database of a stopped owner, after a checkpoint, as at any start.

    Raises:
        StateDamaged, StateTooNew: as for a copy.
        StateLocked: a process has it open.
    """
    return _bisect(path, f"{path.resolve().as_uri()}?mode=rw")


@contextmanager
def stopped_copy(path: Path) -> Iterator[DatabaseCopy]:
    """The database of a stopped owner, without an upgrade of its tables.

    Raises:
        StateDamaged, StateTooNew, StateLocked: as for ``examine_state``.
    """
    facts = examine_state(path)  # closing the only connection makes a checkpoint
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        copy = DatabaseCopy(path, descriptor, facts)
        if copy.log_bytes():
            raise StateError("the write-ahead log could not be moved into the database")
        yield copy
    finally:
        os.close(descriptor)


def _bisect(path: Path, uri: str) -> StateFacts:
    try:
        with explained(), closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            return _checked(connection, path)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StateLocked(f"another process has {path} open") from error
        raise StateDamaged(f"{path}: {error}; {RESTORE}") from error
    except StateDamaged as error:
        raise StateDamaged(f"{path}: {error}") from error


def _checked(connection: sqlite3.Connection, path: Path) -> StateFacts:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StateDamaged("not a state of this program")
    if version > SCHEMA_VERSION:
        raise StateTooNew(f"{path} has schema {version}, this release knows {SCHEMA_VERSION}: upgrade it")
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StateDamaged(f"integrity check failed ({' '.join(verdict.split())}); {RESTORE}")
    return facts_of(connection)
