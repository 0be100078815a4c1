"""A collection goes as a whole: nobody finds it from now on, and what is left of it is cleared away bit by bit."""

from __future__ import annotations

from recommender_engine.pipeline.batch import Batch
from recommender_engine.pipeline.collections import Collections
from recommender_engine.store import Collection, SqliteStore


class Retirement:
    """Takes collections out, whatever they go for.

    Args:
        store: where they are.
        collections: those that are here.
    """

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections

    def retire(self, collection: Collection, why: str, batch: Batch) -> None:
        """It is here no longer; its name may be used again, its number never is.

        Args:
            collection: which.
            why: names what it went for, so that no two copies of a collection have the same name.
        """
        self._collections.retire(collection)
        self._store.retire(collection.id, collection.name, why)
        batch.retired.append(collection)
        batch.changed.pop(collection.id, None)
        batch.overlays.pop(collection.id, None)
