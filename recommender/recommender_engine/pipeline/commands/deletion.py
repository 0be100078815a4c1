"""A collection is deleted: all of it, wherever it has been."""

from __future__ import annotations

from recommender_engine.items import CollectionDeleted, DeleteCollection, Entry, EntryId
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.stream_time.summaries import Summaries
from recommender_engine.store import SqliteStore


class Deletion:
    """Carries out ``collection.deleted``; its cost does not depend on the size of the collection."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        summaries: Summaries,
        moves: MovedCollections,
        retirement: Retirement,
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement

    def apply(self, entry: Entry, command: DeleteCollection, batch: Batch) -> EntryId:
        """Delete a collection, with what other partitions know of it; where there is none nothing is deleted."""
        name, items = command.collection, 0
        collection = self._collections.find(name)
        if collection is not None:
            self._summaries.emit_now(entry, collection, batch)
            items = self._store.items.count(collection.id)
            self._retirement.retire(collection, f"deleted {entry.id}", batch)
        outcome = batch.emit(entry, CollectionDeleted(command=cause(entry), collection=name, items=items))
        self._store.outbox.void_keys(name, entry.time_ms, outcome)
        self._moves.deleted(entry, command)
        return outcome
