"""The points nearest to a vector: the index for what is committed, exact comparison for what the batch has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import NO_LABEL, ReadIndex, cosines
from recommender_engine.items import EntryId
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay, Found

_SPARE = 8  # points asked for beyond what is needed: the batch may have removed some of those found
_WIDER = 4  # times as many are asked for where too few of them can be used
_ENOUGH = 10  # points with an item that may be repeated are enough …
_WIDEST = 3200  # … and are searched among this many of the nearest
# Similarities are rounded to what float32 vectors can tell; the ranking is made before, in the order of the indexes.
_DECIMALS = 6
_NOTHING: Found = np.empty(0, np.int64), np.empty(0, np.float32)

Chooser = Callable[[Sequence[int]], list[int]]
"""Chooses some of the points or arrival numbers it is given, and keeps their order."""

Similarities = dict[int, float]
"""Cosine similarity by point, best first."""


def similarities(query: Vector, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines of unit vectors, shape (n,), in [-1, 1], as events carry them: the same in any batch."""
    return rounded(cosines(query, vectors))


def rounded(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarities as answers and events carry them: rounded to what float32 vectors can tell."""
    found: NDArray[np.float64] = np.clip(similarities.astype(np.float64), -1.0, 1.0).round(_DECIMALS)
    return found


def search(index: ReadIndex, queries: Mapping[EntryId, Vector], k: int) -> dict[EntryId, Found]:
    """Ask the index once for several vectors: for each about ``k`` points, to begin with (`NearestPoints`)."""
    return dict(zip(queries, search_all(index, list(queries.values()), k), strict=True)) if len(index) else {}


def search_all(index: ReadIndex, queries: Sequence[Vector], k: int) -> list[Found]:
    """The same for vectors without a name."""
    asked = _first_asked(index, k)
    if not queries or not asked:
        return [_NOTHING] * len(queries)
    return list(zip(*index.search(np.stack(queries), asked), strict=True))


class NearestPoints:
    """The points nearest to one vector, in the state that the batch has left until now.

    Where the batch has removed points that were found, or few of them can be used, the index is asked again for more.

    Args:
        index: the committed points.
        query: the vector.
        k: how many points are near.
        overlay: what has come and gone since.
        visible: chooses the points with a visible item; by default all are.
        found: what `search` has found for it; by default the index is asked now.
    """

    def __init__(
        self,
        index: ReadIndex,
        query: Vector,
        k: int,
        overlay: CollectionOverlay,
        visible: Chooser | None = None,
        found: Found | None = None,
    ) -> None:
        self._index = index
        self._query = query
        self._k = k
        self._overlay = overlay
        self._visible = visible
        self._committed = found
        self._asked = 0 if found is None else len(found[0])

    def near(self, also: Iterable[int] = (), usable: Chooser | None = None) -> Similarities:
        """The ``k`` nearest points, best first, with others that belong to them.

        Args:
            also: points that belong to them, whatever their distance.
            usable: chooses points with an item that may be repeated: the nearest of these belong to them, though many
                others may be nearer.
        """
        labels, found = self._nearest(self._k)
        also = frozenset(also)
        if usable is not None:
            more, near = self._nearest_usable(usable)
            new = ~np.isin(more, labels)
            labels, found = np.concatenate([labels, more[new]]), np.concatenate([found, near[new]])
        if unknown := also.difference(labels.tolist()):
            far = np.array(sorted(unknown), np.int64)
            labels, found = np.concatenate([labels, far]), np.concatenate([found, self._cosines(far)])
        order = np.lexsort((labels, -found))
        return dict(zip(labels[order].tolist(), rounded(found[order]).tolist(), strict=True))

    def nearest(self, count: int) -> Similarities:
        """The ``count`` nearest points, or all, best first."""
        labels, found = self._nearest(count)
        return dict(zip(labels.tolist(), rounded(found).tolist(), strict=True))

    def ranked(self, count: int) -> Found:
        """The same with their cosines as the index has them."""
        return self._nearest(count)

    def _nearest_usable(self, usable: Chooser) -> Found:
        """The nearest of the points that can be used, as far as they are among the nearest of all."""
        count, looked = self._k, 0
        chosen: list[int] = []
        while True:
            labels, found = self._nearest(count)
            chosen += usable(labels[looked:].tolist())
            looked = len(labels)
            if len(chosen) >= _ENOUGH or looked < count or count >= _WIDEST:
                mine = np.isin(labels, chosen[:_ENOUGH])
                return labels[mine], found[mine]
            count *= _WIDER

    def _nearest(self, count: int) -> Found:
        """The ``count`` nearest points there are now, best first."""
        labels, found = self._committed_nearest(count)
        if len(self._overlay):
            # What is behind the last of enough committed points is not among the nearest.
            least = float(found[count - 1]) if len(found) >= count else -inf
            fresh, close = self._shown(*self._overlay.nearest(self._query, 0 if self._visible else count, least))
            labels, found = np.concatenate([labels, fresh]), np.concatenate([found, close])
        order = np.lexsort((labels, -found))[:count]
        return labels[order], found[order]

    def _committed_nearest(self, count: int) -> Found:
        """At least the ``count`` nearest of the committed points that have not gone, if there are as many."""
        if self._committed is None:
            self._ask(_first_asked(self._index, self._k))
        labels, found = self._committed or _NOTHING
        asked = self._asked
        while True:
            present = labels != NO_LABEL
            if self._overlay.removed:
                present &= ~np.isin(labels, list(self._overlay.removed))
            left = self._shown(labels[present], found[present])
            if len(left[0]) >= count or asked >= len(self._index):
                return left
            asked = min(max(_WIDER * asked, count + _SPARE), len(self._index))
            labels, found = self._searched(asked)

    def _ask(self, count: int) -> None:
        self._committed, self._asked = self._searched(count) if count else _NOTHING, count

    def _searched(self, count: int) -> Found:
        found = self._index.search(self._query[None], count)
        return found.labels[0], found.similarities[0]

    def _shown(self, labels: NDArray[np.int64], found: NDArray[np.float32]) -> Found:
        """Those of the points that have a visible item."""
        if self._visible is None:
            return labels, found
        shown = np.isin(labels, self._visible(labels.tolist()))
        return labels[shown], found[shown]

    def _cosines(self, points: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines to points, of which the overlay has some."""
        found = np.empty(len(points), np.float32)
        fresh = np.array([point in self._overlay for point in points.tolist()], np.bool_)
        if fresh.any():
            found[fresh] = cosines(self._query, self._overlay.vectors(points[fresh]))
        if not fresh.all():
            found[~fresh] = cosines(self._query, self._index.vectors(points[~fresh]))
        return found


def _first_asked(index: ReadIndex, k: int) -> int:
    return min(k + _SPARE, len(index))
