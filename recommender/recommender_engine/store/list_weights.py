"""How well blends of text and behaviour predicted the interactions of each collection; rows are cached."""

from __future__ import annotations

import sqlite3

from recommender_engine.recent import Recent
from recommender_engine.recommend.weights import Record

_KEPT = 1000  # collections, with 2 kB each


class ListWeightTable:
    """Reads and writes records; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._kept: Recent[int, Record] = Recent(_KEPT)
        self._changed: dict[int, Record] = {}

    def of(self, collection: int) -> Record | None:
        """The record of a collection, to read; ``None`` before its first interaction."""
        found = self._changed.get(collection) or self._kept.get(collection)
        if found is None:
            row = self._db.execute(
                "SELECT judged, at_ms, recent, sums FROM list_weights WHERE collection=?", (collection,)
            ).fetchone()
            if row is not None:
                found = Record.decoded(*row)
                self._kept.put(collection, found)
        return found

    def change(self, collection: int) -> Record:
        """The record of a collection; what is changed in it is written with the batch."""
        record = self._changed[collection] = self.of(collection) or Record()
        return record

    def flush(self) -> None:
        """Write the records that were given out to be changed."""
        self._db.executemany(
            "INSERT OR REPLACE INTO list_weights VALUES (?,?,?,?,?)",
            [(id_, one.judged, one.at_ms, *one.encoded()) for id_, one in sorted(self._changed.items())],
        )
        for id_, one in self._changed.items():
            self._kept.put(id_, one)
        self._changed.clear()

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._kept.clear()
        self._changed.clear()

    def retire(self, collection: int) -> None:
        """Forget a collection that leaves."""
        self._kept.drop(collection)
        self._changed.pop(collection, None)
