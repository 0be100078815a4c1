"""Versions of deleted items, kept for a time, so that a late command with an older version is still ignored."""

from __future__ import annotations

import sqlite3

from recommender_engine.store.tally import CollectionCounts

TOMBSTONE_WINDOW_MS = 7 * 24 * 3600 * 1000
"""For how long of stream time the version of a deleted item is kept."""

MOST_TOMBSTONES = 1_000_000
"""How many are kept in a partition; the oldest go first."""


class TombstoneTable:
    """Reads and writes versions; every call runs in the caller's transaction.

    Which versions are deleted above the limit depends only on the commands. Versions of collections that have left, or
    past their window, are never read, so the time of their deletion has no effect.

    Args:
        connection: the database.
        most: limit of their number.
    """

    def __init__(self, connection: sqlite3.Connection, most: int = MOST_TOMBSTONES) -> None:
        self._db = connection
        self._most = most
        self.counts = CollectionCounts(connection, "tombstones")

    def bury(self, collection: int, item_id: str, version: int, now_ms: int) -> None:
        """Store the version under which an item was deleted; deletes older ones above the limit."""
        known = self._db.execute("SELECT 1 FROM tombstones WHERE collection=? AND id=?", (collection, item_id))
        if known.fetchone() is None:
            self.counts.change(collection, 1)
        self._db.execute(
            "INSERT OR REPLACE INTO tombstones (collection, id, version, at_ms) VALUES (?,?,?,?)",
            (collection, item_id, version, now_ms),
        )
        while self.counts.total() > self._most:
            self._drop_oldest()

    def version(self, collection: int, item_id: str, now_ms: int) -> int | None:
        """The version under which an item was deleted, if within the window before ``now_ms``."""
        row = self._db.execute(
            "SELECT version FROM tombstones WHERE collection=? AND id=? AND at_ms > ?",
            (collection, item_id, now_ms - TOMBSTONE_WINDOW_MS),
        ).fetchone()
        return None if row is None else int(row[0])

    def remove(self, collection: int, item_id: str) -> None:
        """Delete the version of an item that exists again or is erased."""
        gone = self._db.execute("DELETE FROM tombstones WHERE collection=? AND id=?", (collection, item_id)).rowcount
        self.counts.change(collection, -gone)

    def forget_old(self, now_ms: int, limit: int) -> int:
        """Delete at most ``limit`` versions past their window; returns their number."""
        gone = self._db.execute(
            "DELETE FROM tombstones WHERE (collection, id) IN"
            " (SELECT collection, id FROM tombstones WHERE at_ms <= ? ORDER BY at_ms LIMIT ?) RETURNING collection",
            (now_ms - TOMBSTONE_WINDOW_MS, limit),
        ).fetchall()
        for (collection,) in gone:
            self.counts.change(collection, -1)
        return len(gone)

    def _drop_oldest(self) -> None:
        (collection,) = self._db.execute(
            "DELETE FROM tombstones WHERE (collection, id) IN"
            " (SELECT collection, id FROM tombstones ORDER BY at_ms, collection, id LIMIT 1) RETURNING collection"
        ).fetchone()
        self.counts.change(collection, -1)
