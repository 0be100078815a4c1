"""Rows of collections that were deleted or have moved to another partition."""

from __future__ import annotations

from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.store import SqliteStore, StoredItem

_ROWS_FOR_AN_ITEM = 10  # rows without words and vectors that count as one item


class CollectionCleanup:
    """Deletes these rows: a few at a time, and those of an erased item at once."""

    def __init__(self, store: SqliteStore, words: Words) -> None:
        self._store = store
        self._words = words

    def clear(self, limit: int) -> bool:
        """Delete at most ``limit`` items, in a transaction of its own; false if none were left."""
        retired = self._store.transfer.retired()
        if retired is None:
            return False
        with self._store.transaction():
            rows = self._store.items.after(retired, 0, limit)
            indexed = self._has_words(retired)
            for row in rows:
                self._drop(row, indexed=indexed)
            if not rows:
                self._store.transfer.clear(retired, _ROWS_FOR_AN_ITEM * limit)
                self._store.vectors.forget()  # their numbers may be used again
        return True

    def erase(self, name: str, item_id: str) -> None:
        """Delete every trace of an item from retired copies of a collection; part of the running transaction."""
        for collection in self._store.transfer.retired_as(name):
            row = self._store.items.get(collection, item_id)
            if row is not None:
                self._drop(row, indexed=self._has_words(collection))
            self._store.tombstones.remove(collection, item_id)
            self._store.answers.forget_item(collection, item_id)

    def _has_words(self, collection: int) -> bool:
        return self._store.transfer.rule_of(collection) != "cosine"

    def _drop(self, row: StoredItem, *, indexed: bool) -> None:
        if indexed:
            self._words.discard(row.collection, row.seq, row.compared)
        self._store.items.delete(row.seq)
        self._store.vectors.release(row.point, row.vector)
