"""Full payloads of rejected messages until their dead letters are written; events have only the beginning."""

from __future__ import annotations

import sqlite3

from recommender_engine.items import EntryId

MOST_BYTES = 64 * 1024 * 1024
"""Of all of them together. The oldest go first: they stand in their letters for long, unless Redis has lost those."""


class PayloadTable:
    """Reads and writes payloads by the ids of their events; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def keep(self, event: EntryId, payload: bytes) -> None:
        """Store the payload of a rejected message."""
        self._db.execute("INSERT INTO payloads VALUES (?,?,?,?)", (*event, len(payload), payload))

    def get(self, event: EntryId) -> bytes | None:
        """The payload of a rejected message, if stored."""
        row = self._db.execute("SELECT payload FROM payloads WHERE ms=? AND n=?", event).fetchone()
        return None if row is None else bytes(row[0])

    def bytes(self) -> int:
        """Total bytes."""
        row = self._db.execute("SELECT COALESCE(sum(size), 0) FROM payloads").fetchone()
        return int(row[0])

    def forget_old(self, before_ms: int, limit: int, most_bytes: int = MOST_BYTES) -> int:
        """Delete those of events before ``before_ms``, and the oldest while they exceed ``most_bytes``.

        Returns:
            The number of deleted payloads, at most ``limit``.
        """
        surplus = self.bytes() - most_bytes
        gone: list[tuple[int, int]] = []
        for ms, n, size in self._db.execute("SELECT ms, n, size FROM payloads ORDER BY ms, n LIMIT ?", (limit,)):
            if ms >= before_ms and surplus <= 0:
                break
            gone.append((ms, n))
            surplus -= size
        self._db.executemany("DELETE FROM payloads WHERE ms=? AND n=?", gone)
        return len(gone)
