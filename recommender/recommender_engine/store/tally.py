"""Incremental row and byte counts of a table, since counting a large one would take too long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple


class Held(NamedTuple):
    """Contents of a table: rows, and bytes of their large columns."""

    rows: int
    bytes: int = 0


class Tally:
    """Counts the rows of a table, and stores the counts in a note.

    Args:
        connection: the database.
        note: the note's key.
        measure: counts the whole table, for a state without the note.
    """

    def __init__(self, connection: sqlite3.Connection, note: str, measure: Callable[[], Held]) -> None:
        self._db = connection
        self._note = note
        self._measure = measure
        self._held: Held | None = None
        self._changed = False

    @property
    def held(self) -> Held:
        """Current counts."""
        if self._held is None:
            row = self._db.execute("SELECT value FROM meta WHERE key=?", (self._note,)).fetchone()
            self._held = self._measure() if row is None else Held(*map(int, row[0].split()))
        return self._held

    def change(self, rows: int, bytes_: int = 0) -> None:
        """Add to the counts. Call it before the rows are written, so that a first ``measure`` does not include them."""
        held = self.held
        self._held = Held(held.rows + rows, held.bytes + bytes_)
        self._changed = True

    def flush(self) -> None:
        """Store the counts; part of the running transaction."""
        if self._changed:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (self._note, f"{self.held[0]} {self.held[1]}"))
            self._changed = False

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._held, self._changed = None, False


class CollectionCounts:
    """Rows of a table by collection, of those that have not left: read once, then kept up to date.

    Args:
        connection: the database.
        table: with a column ``collection``; a constant.
    """

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        self._db = connection
        self._table = table
        self._counts: dict[int, int] | None = None

    def of(self, collection: int) -> int:
        """Rows of a collection."""
        return self._read().get(collection, 0)

    def total(self) -> int:
        """Rows of all collections."""
        return sum(self._read().values())

    def change(self, collection: int, rows: int) -> None:
        """Add to the count of a collection; rows of one that has left are not counted down."""
        if self._counts is not None and (rows > 0 or collection in self._counts):
            self._counts[collection] = self._counts.get(collection, 0) + rows

    def retire(self, collection: int) -> None:
        """Remove a collection that has left."""
        self._read().pop(collection, None)

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._counts = None

    def _read(self) -> dict[int, int]:
        if self._counts is None:
            self._counts = dict(
                self._db.execute(
                    f"SELECT collection, count(*) FROM {self._table} WHERE collection IN"  # noqa: S608 (constant)
                    " (SELECT id FROM collections WHERE NOT instr(name, char(10))) GROUP BY collection"
                )
            )
        return self._counts


def size(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
