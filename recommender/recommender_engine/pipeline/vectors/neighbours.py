"""The step that finds neighbours: the index for what is committed, exact comparison for the batch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import NO_LABEL, VectorIndex, cosines
from recommender_engine.items import EntryId
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay, Found

_SPARE = 8  # points asked for beyond what is needed: the batch may have removed some of those found
_WIDER = 4  # times as many are asked for where too few of them can be used
_MATTER = 10  # points that an item may repeat are enough …
_WIDEST = 3200  # … and are looked for among so many of the nearest
# Similarities are rounded to what float32 vectors can tell; the ranking is made before, in the order of the indexes.
_DECIMALS = 6
_NOTHING: Found = np.empty(0, np.int64), np.empty(0, np.float32)

Having = Callable[[Sequence[int]], list[int]]
"""Chooses of some points those that matter, in their order."""

Neighbourhood = dict[int, float]
"""Cosine similarity by point, best first."""


def similarities(query: Vector, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines of unit vectors, shape (n,), in [-1, 1], as events carry them: the same in any batch."""
    return _rounded(cosines(query, vectors))


class Neighbours:
    """Neighbours of the items of one collection in one batch.

    The index is asked once for the whole batch, before any item is decided. What the batch adds or removes meanwhile is
    taken from the overlay, so every item sees exactly the state that the items before it left. Where too few of what
    was found count, the index is asked again for more.

    Args:
        index: the committed points.
        queries: vector by place in the batch.
        k: how many neighbours each item gets.
    """

    def __init__(self, index: VectorIndex, queries: Mapping[EntryId, Vector], k: int) -> None:
        self._index = index
        self._queries = queries
        self._k = k
        self._committed: dict[EntryId, Found] = {}
        self._asked = min(k + _SPARE, len(index))
        if queries and self._asked:
            found = index.search(np.stack(list(queries.values())), self._asked)
            self._committed = dict(zip(queries, zip(*found, strict=True), strict=True))

    def of(
        self,
        place: EntryId,
        overlay: CollectionOverlay,
        also: Iterable[int] = (),
        having: Having | None = None,
        there: Having | None = None,
    ) -> Neighbourhood:
        """The nearest points of the item at ``place``, best first.

        Args:
            place: of the item.
            overlay: what has come and gone since.
            also: points that belong to it, whatever their distance.
            having: tells of points which matter more than others: of these the nearest belong to it, though there may
                be many others that are nearer.
            there: chooses the points that are to be seen; by default all are.
        """
        query = self._queries[place]
        labels, found = self._nearest(place, overlay, self._k, there)
        also = frozenset(also)
        if having is not None:
            more, near = self._nearest_of(place, overlay, having, there)
            new = ~np.isin(more, labels)
            labels, found = np.concatenate([labels, more[new]]), np.concatenate([found, near[new]])
        if unknown := also.difference(labels.tolist()):
            far = np.array(sorted(unknown), np.int64)
            labels, found = np.concatenate([labels, far]), np.concatenate([found, self._cosines(query, far, overlay)])
        order = np.lexsort((labels, -found))
        return dict(zip(labels[order].tolist(), _rounded(found[order]).tolist(), strict=True))

    def nearest(
        self, place: EntryId, overlay: CollectionOverlay, count: int, there: Having | None = None
    ) -> Neighbourhood:
        """The ``count`` nearest points of the item at ``place``, or all, best first; see ``of``."""
        labels, found = self._nearest(place, overlay, count, there)
        return dict(zip(labels.tolist(), _rounded(found).tolist(), strict=True))

    def _nearest_of(self, place: EntryId, overlay: CollectionOverlay, having: Having, there: Having | None) -> Found:
        """Of the points that matter the nearest, as far as they are among the nearest of all."""
        count, looked = self._k, 0
        matter: list[int] = []
        while True:
            labels, found = self._nearest(place, overlay, count, there)
            matter += having(labels[looked:].tolist())
            looked = len(labels)
            if len(matter) >= _MATTER or looked < count or count >= _WIDEST:
                mine = np.isin(labels, matter[:_MATTER])
                return labels[mine], found[mine]
            count *= _WIDER

    def _nearest(self, place: EntryId, overlay: CollectionOverlay, count: int, there: Having | None) -> Found:
        """The ``count`` nearest points there are now, best first."""
        labels, found = self._committed_nearest(place, overlay, count, there)
        if len(overlay):
            # What is behind the last of enough committed points is not among the nearest.
            least = float(found[count - 1]) if len(found) >= count else -inf
            fresh, close = _chosen(*overlay.nearest(self._queries[place], 0 if there else count, least), there)
            labels, found = np.concatenate([labels, fresh]), np.concatenate([found, close])
        order = np.lexsort((labels, -found))[:count]
        return labels[order], found[order]

    def _committed_nearest(self, place: EntryId, overlay: CollectionOverlay, count: int, there: Having | None) -> Found:
        """At least the ``count`` nearest of the committed points that have not gone, if there are as many."""
        labels, found = self._committed.get(place, _NOTHING)
        asked = self._asked
        while True:
            present = labels != NO_LABEL
            if overlay.removed:
                present &= ~np.isin(labels, list(overlay.removed))
            left = _chosen(labels[present], found[present], there)
            if len(left[0]) >= count or asked >= len(self._index):
                return left
            asked = min(max(_WIDER * asked, count + _SPARE), len(self._index))
            more = self._index.search(self._queries[place][None], asked)
            labels, found = more.labels[0], more.similarities[0]

    def _cosines(self, query: Vector, points: NDArray[np.int64], overlay: CollectionOverlay) -> NDArray[np.float32]:
        """Cosines to points, of which the overlay has some."""
        found = np.empty(len(points), np.float32)
        fresh = np.array([point in overlay for point in points.tolist()], np.bool_)
        if fresh.any():
            found[fresh] = cosines(query, overlay.vectors(points[fresh]))
        if not fresh.all():
            found[~fresh] = cosines(query, self._index.vectors(points[~fresh]))
        return found


def _chosen(labels: NDArray[np.int64], found: NDArray[np.float32], there: Having | None) -> Found:
    if there is None:
        return labels, found
    seen = np.isin(labels, there(labels.tolist()))
    return labels[seen], found[seen]


def _rounded(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.clip(similarities.astype(np.float64), -1.0, 1.0).round(_DECIMALS)
    return rounded
