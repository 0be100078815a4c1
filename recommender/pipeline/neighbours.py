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
        self._committed: dict[EntryId, NDArray[np.int64]] = {}
        wanted = min(k + removals, len(index))
        if queries and wanted:
            found = index.search(np.stack(list(queries.values())), wanted)
            self._committed = dict(zip(queries, found.labels, strict=True))

    def of(self, place: EntryId, overlay: CollectionOverlay, also: Iterable[int] = ()) -> Neighbourhood:
        """The nearest points of the item at ``place``, and those named in ``also``, whatever their distance."""
        query = self._queries[place]
        also = set(also)
        committed = _labels(self._committed.get(place)) - overlay.removed
        fresh: set[int] = set()
        if wanted := min(self._k, len(overlay.added)):
            fresh = _labels(overlay.added.search(query[np.newaxis], wanted).labels[0])
        for point in also:
            (fresh if point in overlay else committed).add(point)
        scored = [*_scored(query, self._index, committed), *_scored(query, overlay.added, fresh)]
        scored.sort(key=lambda pair: (-pair[1], pair[0]))
        chosen = scored[: self._k] + [pair for pair in scored[self._k :] if pair[0] in also]
        rounded = _rounded(np.array([cosine for _, cosine in chosen], np.float32)).tolist()
        return dict(zip((point for point, _ in chosen), rounded, strict=True))


def _labels(row: NDArray[np.int64] | None) -> set[int]:
    return set() if row is None else {label for label in row.tolist() if label != NO_LABEL}


def _scored(query: Vector, index: VectorIndex, points: set[int]) -> list[tuple[int, float]]:
    if not points:
        return []
    labels = np.array(sorted(points), np.int64)
    return list(zip(labels.tolist(), cosines(query, index.vectors(labels)).tolist(), strict=True))


def _rounded(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.clip(similarities.astype(np.float64), -1.0, 1.0).round(_DECIMALS)
    return rounded
