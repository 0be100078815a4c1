"""What a collection leaves behind that has left: for another partition, or for good."""

from __future__ import annotations

from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.store import SqliteStore, StoredItem

_ROWS_FOR_AN_ITEM = 10  # that has no words and no vector


class CollectionCleanup:
    """Clears away copies that nobody reads: bit by bit, and at once what is erased."""

    def __init__(self, store: SqliteStore, words: Words) -> None:
        self._store = store
        self._words = words

    def clear(self, limit: int) -> bool:
        """Clear away at most ``limit`` items; false when there is nothing left. A transaction of its own."""
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
        """Drop every trace of an item from the copies of a collection; part of the running transaction."""
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
