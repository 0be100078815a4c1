"""How far recent arrivals were from what was there before: a sample of each collection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


class NoveltyTable:
    """Reads and writes distances; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def of(self, collection: int) -> list[tuple[int, float]]:
        """Slots of the sample that are filled, with their distances."""
        return self._db.execute(
            "SELECT slot, distance FROM novelty WHERE collection=? ORDER BY slot", (collection,)
        ).fetchall()

    def put(self, rows: Iterable[tuple[int, int, float]]) -> None:
        """Fill slots: collection, slot, distance."""
        self._db.executemany("INSERT OR REPLACE INTO novelty VALUES (?,?,?)", rows)

    def clear(self, collection: int) -> None:
        """Empty the sample of a collection."""
        self._db.execute("DELETE FROM novelty WHERE collection=?", (collection,))
