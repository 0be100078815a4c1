"""How much a table holds, counted as rows come and go: to look through a large one would take too long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple


class Held(NamedTuple):
    """What is in a table: rows, and bytes of what makes them large."""

    rows: int
    bytes: int = 0


class Tally:
    """Counts the rows of a table, and remembers in a note how many there are.

    Args:
        connection: the database.
        note: the note's key.
        measure: looks through the table, for a state in which nobody has counted yet.
    """

    def __init__(self, connection: sqlite3.Connection, note: str, measure: Callable[[], Held]) -> None:
        self._db = connection
        self._note = note
        self._measure = measure
        self._held: Held | None = None
        self._changed = False

    @property
    def held(self) -> Held:
        """What is there now."""
        if self._held is None:
            row = self._db.execute("SELECT value FROM meta WHERE key=?", (self._note,)).fetchone()
            self._held = self._measure() if row is None else Held(*map(int, row[0].split()))
        return self._held

    def change(self, rows: int, bytes_: int = 0) -> None:
        """So much has come, or gone. Called before rows are written that nobody has counted."""
        held = self.held
        self._held = Held(held.rows + rows, held.bytes + bytes_)
        self._changed = True

    def flush(self) -> None:
        """Write it down; part of the running transaction."""
        if self._changed:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (self._note, f"{self.held[0]} {self.held[1]}"))
            self._changed = False

    def forget(self) -> None:
        """Forget what is in memory: a transaction was rolled back."""
        self._held, self._changed = None, False


def size(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
