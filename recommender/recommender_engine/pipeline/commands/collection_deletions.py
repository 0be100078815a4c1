"""``collection.deleted``: a collection is deleted with all its items."""

from __future__ import annotations

from recommender_engine.items import CollectionDeleted, DeleteCollection, EntryId
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.store import SqliteStore


class CollectionDeletions:
    """Deletes collections."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        summaries: Summaries,
        moves: MovedCollections,
        retirement: Retirement,
        incidents: Incidents,
    ) -> None:
        self._store = store
        self._collections = collections
        self._summaries = summaries
        self._moves = moves
        self._retirement = retirement
        self._incidents = incidents

    def delete(self, decision: Decision, command: DeleteCollection) -> EntryId:
        """Apply ``collection.deleted``, also in partitions that the collection was in before.

        Its cost does not depend on the size of the collection. If there is no such collection, nothing is deleted.
        """
        name, items = command.collection, 0
        collection = self._collections.find(name)
        if collection is not None:
            self._summaries.emit_now(decision.within(collection))
            self._incidents.end(decision.within(collection), "collection_deleted")
            items = self._store.items.count(collection.id)
            self._retirement.retire(decision.within(collection), f"deleted {decision.entry.id}")
        outcome = decision.emit(CollectionDeleted(command=decision.cause, collection=name, items=items))
        self._store.outbox.void_keys(name, decision.time_ms, outcome)
        self._moves.deleted(decision.entry, command)
        return outcome
