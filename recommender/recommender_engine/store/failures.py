"""SQLite errors as errors of the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from recommender_engine.errors import StateDamaged, StateError, StateFull

RESTORE = "see `recommender verify`, and `recommender restore` to put a backup in its place"


_UNUSABLE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
)


@contextmanager
def explained() -> Iterator[None]:
    """Translate disk errors; errors of a statement stay those of SQLite.

    Raises:
        StateFull: the disk is full; the transaction is rolled back.
        StateDamaged: the file is no valid database.
        StateError: an I/O error. What is on disk is known only after a restart.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            raise StateFull("the disk of the state directory is full") from error
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StateDamaged(f"the state is damaged ({error}): {RESTORE}") from error
        if primary in _UNUSABLE:
            raise StateError(f"the state cannot be written ({error}); look at the disk, then start again") from error
        raise
