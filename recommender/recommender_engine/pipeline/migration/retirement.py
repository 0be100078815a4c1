"""A collection is retired: it cannot be found from now on, and its rows are deleted a few at a time."""

from __future__ import annotations

from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import SqliteStore


class Retirement:
    """Retires collections, because they were deleted or have moved.

    Args:
        store: holds their rows.
        collections: those that are here.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections

    def retire(self, decision: CollectionDecision, why: str) -> None:
        """Retire the collection of a decision; its name may be used again, its number never is.

        Args:
            decision: of the command that retires it.
            why: names the reason, so that no two copies of a collection have the same name.
        """
        collection, batch = decision.collection, decision.batch
        self._collections.retire(collection)
        self._store.retire(collection.id, collection.name, why)
        batch.retired.append(collection)
        batch.changed.pop(collection.id, None)
        batch.overlays.pop(collection.id, None)

    def retire_named(self, decision: Decision, name: str, why: str) -> None:
        """The same for the collection of a name, if it is here."""
        collection = self._collections.find(name)
        if collection is not None:
            self.retire(decision.within(collection), why)
