"""Stored items looked at again, in the middle of a batch: what is around them now."""

from __future__ import annotations

from recommender_engine.items import EntryId
from recommender_engine.pipeline.arrival.arrivals import Arrivals, LexicalCandidates
from recommender_engine.pipeline.batch import Batch
from recommender_engine.pipeline.dedup.subject import Subject
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.nearby_items import NearbyItems
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.store import Collection

_QUERY = EntryId(0, 0)  # the place of a single query


class Requery:
    """Asks the index for one item, with what the batch has changed so far."""

    def __init__(self, arrivals: Arrivals, indexes: Indexes) -> None:
        self._arrivals = arrivals
        self._indexes = indexes

    def around(self, collection: Collection, subject: Subject, batch: Batch) -> tuple[LexicalCandidates, NearbyItems]:
        """What the item would find if it arrived now; only those that came before it count."""
        overlay = self.overlay(collection, batch)
        lexical = self._arrivals.lexical(collection, subject)
        neighbours = self._indexes.neighbours(
            collection,
            {_QUERY: subject.vector},
            dimension=len(subject.vector),
            k=collection.settings.candidates,
        )
        there = self._arrivals.there(collection)
        near = neighbours.of(_QUERY, overlay, lexical.points, lexical.having, there)
        return lexical, self._arrivals.nearby(collection, near)

    def overlay(self, collection: Collection, batch: Batch) -> CollectionOverlay:
        """What the batch has changed in the collection's index so far."""
        if collection.dimension is None:
            raise AssertionError("a collection with items has a dimension")
        return batch.overlay(collection, collection.dimension)
