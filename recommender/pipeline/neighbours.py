"""The step that finds neighbours: the index for what is committed, exact comparison for the batch itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from recommender.index import NO_LABEL, VectorIndex, cosines
from recommender.items import EntryId
from recommender.pipeline.embedding_step import Vector
from recommender.pipeline.overlay import CollectionOverlay, Found

# Similarities are rounded to what float32 vectors can tell; the ranking is made before, in the order of the indexes.
_DECIMALS = 6
_NOTHING: Found = np.empty(0, np.int64), np.empty(0, np.float32)

Neighbourhood = dict[int, float]
"""Cosine similarity by point, best first."""


def similarities(query: Vector, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines of unit vectors, shape (n,), in [-1, 1], as events carry them: the same in any batch."""
    return _rounded(cosines(query, vectors))


class Neighbours:
    """Neighbours of the items of one collection in one batch.

    The index is asked once for the whole batch, before any item is decided. What the batch adds or removes meanwhile is
    taken from the overlay, so every item sees exactly the state that the items before it left.

    Args:
        index: the committed points.
        queries: vector by place in the batch.
        k: how many neighbours each item gets.
        removals: how many committed points this batch can remove at most.
    """

    def __init__(self, index: VectorIndex, queries: Mapping[EntryId, Vector], k: int, removals: int) -> None:
        self._index = index
        self._queries = queries
        self._k = k
        self._committed: dict[EntryId, Found] = {}
        wanted = min(k + removals, len(index))
        if queries and wanted:
            found = index.search(np.stack(list(queries.values())), wanted)
            self._committed = dict(zip(queries, zip(*found, strict=True), strict=True))

    def of(self, place: EntryId, overlay: CollectionOverlay, also: Iterable[int] = ()) -> Neighbourhood:
        """The nearest points of the item at ``place``, and those named in ``also``, whatever their distance."""
        query = self._queries[place]
        labels, found = self._committed.get(place, _NOTHING)
        there = labels != NO_LABEL
        if overlay.removed:
            there &= ~np.isin(labels, list(overlay.removed))
        labels, found = labels[there], found[there]
        if len(overlay):
            # What is behind the last of enough committed points is not among the nearest.
            least = float(found[self._k - 1]) if len(found) >= self._k else -inf
            fresh, close = overlay.nearest(query, self._k, least)
            labels, found = np.concatenate([labels, fresh]), np.concatenate([found, close])
        also = frozenset(also)
        if unknown := also.difference(labels.tolist()):
            far = np.array(sorted(unknown), np.int64)
            labels, found = np.concatenate([labels, far]), np.concatenate([found, self._cosines(query, far, overlay)])
        order = np.lexsort((labels, -found))
        if len(order) > self._k:
            rest = order[self._k :]
            order = np.concatenate([order[: self._k], rest[np.isin(labels[rest], list(also))]])
        return dict(zip(labels[order].tolist(), _rounded(found[order]).tolist(), strict=True))

    def _cosines(self, query: Vector, points: NDArray[np.int64], overlay: CollectionOverlay) -> NDArray[np.float32]:
        """Cosines to points, of which the overlay has some."""
        found = np.empty(len(points), np.float32)
        fresh = np.array([point in overlay for point in points.tolist()], np.bool_)
        if fresh.any():
            found[fresh] = cosines(query, overlay.vectors(points[fresh]))
        if not fresh.all():
            found[~fresh] = cosines(query, self._index.vectors(points[~fresh]))
        return found


def _rounded(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.clip(similarities.astype(np.float64), -1.0, 1.0).round(_DECIMALS)
    return rounded
