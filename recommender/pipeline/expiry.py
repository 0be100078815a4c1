"""Items whose time is up. Time is stream time only."""

from __future__ import annotations

from collections.abc import Iterator

from recommender.items import Entry
from recommender.pipeline.collections import Collections
from recommender.store import Collection, SqliteStore, StoredItem

# Before one command no more items than this expire in a collection, so that no command waits for long.
MOST_AT_ONCE = 25


class Expiry:
    """Finds items that are older than their collection lets them be."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections

    def due(self, entry: Entry) -> Iterator[tuple[Collection, list[StoredItem]]]:
        """Items to delete before ``entry`` is handled, by collection, the earliest first."""
        for collection, ttl_ms in self._limited():
            seqs = self._store.items.arrived_until(collection.id, entry.time_ms - ttl_ms, MOST_AT_ONCE)
            if seqs:
                rows = self._store.items.by_seq(seqs)
                yield collection, [rows[seq] for seq in seqs]

    def due_ms(self) -> int | None:
        """Stream time at which the next item expires, or ``None``."""
        times = [
            first + ttl_ms
            for collection, ttl_ms in self._limited()
            if (first := self._store.items.first_arrival_ms(collection.id)) is not None
        ]
        return min(times, default=None)

    def _limited(self) -> Iterator[tuple[Collection, int]]:
        for collection in self._collections.with_ttl():
            yield collection, (collection.settings.ttl_seconds or 0) * 1000
