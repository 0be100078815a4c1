"""The items of a collection near vectors: all that are visible, or those that pass a filter."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence
from math import inf
from typing import Protocol

import numpy as np

from recommender_engine.pipeline.candidates.filtering import FilteredPoints, Numbers, Survivors
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.nearest_points import Similarities
from recommender_engine.store import Collection, Member, SqliteStore

_WIDEST = 25_600  # most points that are read for an answer, where a few groups have nearly all that are near


class Nearby(Protocol):
    """Items near vectors.

    Attributes:
        most: of the nearest points, so many are read at most.
    """

    most: float

    def nearest(self, vectors: Sequence[Vector], count: int) -> list[Similarities]:
        """For each vector the ``count`` nearest points, best first; fewer only where there are fewer."""

    def members(self, points: Some[int]) -> list[Member]:
        """The items on points, the earliest of each."""

    def among(self, numbers: Numbers) -> Numbers:
        """Those of some items that belong to these, by arrival number, in the order given."""


class AllItems:
    """All visible items of a collection."""

    most: float = _WIDEST

    def __init__(self, store: SqliteStore, search: CandidateSearch, collection: Collection) -> None:
        self._store = store
        self._search = search
        self._collection = collection

    def nearest(self, vectors: Sequence[Vector], count: int) -> list[Similarities]:
        """See ``Nearby``."""
        return [points.nearest(count) for points in self._search.points_of_each(self._collection, vectors, count)]

    def members(self, points: Some[int]) -> list[Member]:
        """See ``Nearby``."""
        return self._store.items.members(list(points), self._collection.hidden_ms)

    def among(self, numbers: Numbers) -> Numbers:
        """See ``Nearby``."""
        hidden_ms = self._collection.hidden_ms
        return (
            numbers if hidden_ms is None else np.array(self._store.items.visible(numbers.tolist(), hidden_ms), np.int64)
        )


class PassingItems:
    """The items of a collection that pass a filter: never fewer than there are."""

    most: float = inf

    def __init__(self, store: SqliteStore, points: FilteredPoints, survivors: Survivors) -> None:
        self._store = store
        self._points = points
        self._survivors = survivors

    def nearest(self, vectors: Sequence[Vector], count: int) -> list[Similarities]:
        """See ``Nearby``."""
        found = self._points.nearest(np.stack(vectors), count)
        return [dict(zip(points[:count].tolist(), cosines[:count].tolist(), strict=True)) for points, cosines in found]

    def members(self, points: Some[int]) -> list[Member]:
        """See ``Nearby``."""
        seqs, _ = self._points.items_on(np.array(sorted(points), np.int64))
        return self._store.items.by_number(seqs.tolist())

    def among(self, numbers: Numbers) -> Numbers:
        """See ``Nearby``."""
        return np.array(self._survivors.among(numbers.tolist()), np.int64)
