"""The step that finds neighbours: the index for what is committed, exact comparison for the batch itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from recommender.index import NO_LABEL, VectorIndex, cosines
from recommender.items import EntryId
from recommender.pipeline.embedding_step import Vector
from recommender.pipeline.overlay import CollectionOverlay

# Similarities are rounded to what float32 vectors can tell; the ranking is made before, in the order of the indexes.
_DECIMALS = 6

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Labels and similarities of one query, as an index found them."""

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
        also = set(also)
        near = _similarities(self._committed.get(place))
        for point in overlay.removed:
            near.pop(point, None)
        if wanted := min(self._k, len(overlay.added)):
            found = overlay.added.search(query[np.newaxis], wanted)
            near.update(_similarities((found.labels[0], found.similarities[0])))
        unknown = also - near.keys()
        near.update(_scored(query, overlay.added, {point for point in unknown if point in overlay}))
        near.update(_scored(query, self._index, {point for point in unknown if point not in overlay}))
        scored = sorted(near.items(), key=lambda pair: (-pair[1], pair[0]))
        chosen = scored[: self._k] + [pair for pair in scored[self._k :] if pair[0] in also]
        rounded = _rounded(np.array([cosine for _, cosine in chosen], np.float32)).tolist()
        return dict(zip((point for point, _ in chosen), rounded, strict=True))


def _similarities(found: Found | None) -> dict[int, float]:
    if found is None:
        return {}
    labels, cosines_ = found
    there = labels != NO_LABEL
    return dict(zip(labels[there].tolist(), cosines_[there].tolist(), strict=True))


def _scored(query: Vector, index: VectorIndex, points: set[int]) -> dict[int, float]:
    if not points:
        return {}
    labels = np.array(sorted(points), np.int64)
    return dict(zip(labels.tolist(), cosines(query, index.vectors(labels)).tolist(), strict=True))


def _rounded(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.clip(similarities.astype(np.float64), -1.0, 1.0).round(_DECIMALS)
    return rounded
