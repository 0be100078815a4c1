"""Counts and sizes of the state."""

from __future__ import annotations

from collections import Counter
from typing import Any

from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.review_budget import share_in_review
from recommender_engine.pipeline.learning.promises import Promises
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.store import SqliteStore


class Statistics:
    """Counts of items, answers and points, and shares of recent verdicts."""

    def __init__(
        self, store: SqliteStore, collections: Collections, indexes: Indexes, answers: Answers, promises: Promises
    ) -> None:
        self._store = store
        self._collections = collections
        self._indexes = indexes
        self._answers = answers
        self._promises = promises

    def stats(self) -> dict[str, Any]:
        """Counts by collection, index kinds and sizes, where precisions are kept, position."""
        return {
            "position": str(self._store.position),
            "last_event": str(self._store.last_event),
            "items": self._store.items.count(),
            "collections": {
                collection.name: {
                    "items": self._store.items.count(collection.id),
                    "model": collection.model,
                    "answers": self._answers.count(collection.id),
                    "review_share": share_in_review(collection),
                    "target_precision": collection.settings.target_precision,
                    "not_measured": [
                        one.model_dump(mode="json", exclude={"measured", "begins_at"})
                        for one in self._promises.closed(collection.name)
                    ],
                    **self._indexes.stats(collection),
                }
                for collection in self._collections.all()
            },
        }

    def sizes(self) -> tuple[int, Counter[str]]:
        """How many items there are, and how many points by kind of index."""
        return self._store.items.count(), self._indexes.sizes()

    def review_share(self) -> float:
        """Share of ``review`` among the recent items of all collections, in [0, 1]."""
        return share_in_review(*self._collections.all())
