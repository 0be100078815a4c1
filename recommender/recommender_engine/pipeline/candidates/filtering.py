"""Items that pass a filter, and those of them that are near a vector.

``parse`` of ``recommender_engine.recommend.filters`` gives an expression. ``Filters.survivors`` are all items that pass
(``among`` chooses of candidates of other sources); ``Filters.nearest`` gives what ``Recommendations.of`` takes for a
vector, and ``Filters.points`` finds the nearest points that have an item which passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import NO_LABEL, ReadIndex, Subset, Vectors
from recommender_engine.pipeline.candidates.attribute_columns import AttributeColumns
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.nearest_points import rounded
from recommender_engine.recommend.filters import Expression, attributes_of
from recommender_engine.recommend.filters.checks import check
from recommender_engine.recommend.filters.columns import Columns
from recommender_engine.recommend.filters.masks import mask
from recommender_engine.store import Collection, Member, SqliteStore

Numbers = NDArray[np.int64]
Nearest = tuple[Numbers, NDArray[np.float64]]
"""Points and their cosines, best first."""

# Exact search where so few points pass …
FEW = 10_000
# … else the graph is asked for so many points that twice as many as are needed should pass.
_SPARE, MOST_ASKED = 2, 10_000
_WIDER = 4
_ITEMS_PER_POINT = 1_000  # that are looked at: more items of one text are of a few groups
_ITEMS_AT_ONCE = 200
_FILTERS_KEPT = 8
_FILTERS_BYTES = 32 * 2**20  # beside the last filter
_AN_ID = 80  # bytes


class Survivors:
    """Items that pass a filter and are visible.

    Attributes:
        seqs: arrival numbers, ascending, int64, shape (n,).
        points: their labels in the vector index, int64, shape (n,).
    """

    def __init__(self, seqs: Numbers, points: Numbers) -> None:
        self.seqs = seqs
        self.points = points
        self._ids: list[str] | None = None

    def ids(self, store: SqliteStore) -> list[str]:
        """Ids of the items, in order of arrival; read once."""
        if self._ids is None:
            self._ids = [member.id for member in store.items.by_number(self.seqs.tolist())]
        return self._ids

    @property
    def kept_bytes(self) -> int:
        """Estimated bytes."""
        return int(self.seqs.nbytes + self.points.nbytes) + _AN_ID * len(self._ids or ())

    def __len__(self) -> int:
        return len(self.seqs)

    def __contains__(self, seq: int) -> bool:
        place = int(np.searchsorted(self.seqs, seq))
        return place < len(self.seqs) and bool(self.seqs[place] == seq)

    def among(self, seqs: Sequence[int]) -> list[int]:
        """Those of the items that pass, in the order given."""
        given = np.array(seqs, np.int64)
        passing: list[int] = given[_among(given, self.seqs)].tolist()
        return passing


class Filters:
    """Finds what passes a filter, from columns of attributes.

    Args:
        store: the items.
        indexes: their vectors.
    """

    def __init__(self, store: SqliteStore, indexes: Indexes) -> None:
        self._store = store
        self._indexes = indexes
        self._columns = AttributeColumns(store)
        store.on_retire(lambda collection: self._kept.clear())
        self._kept: list[tuple[Columns, tuple[Any, ...], Survivors]] = []  # the one asked for last at the end

    @property
    def kept_bytes(self) -> dict[str, int]:
        """Estimated bytes of the columns and of what passed the last filters."""
        passed = sum(survivors.kept_bytes for _, _, survivors in self._kept)
        return {"attributes": self._columns.kept_bytes, "filters": passed}

    def forget_erased(self) -> None:
        """Drop what has gone from the items: something of it was erased, now or after it had gone."""
        self._columns.forget_erased()
        self._kept = [one for one in self._kept if self._columns.current(one[0]) and one[0].version == one[1][2]]

    def survivors(self, collection: Collection, expression: Expression) -> Survivors:
        """All visible items of a collection that pass; the last answers are kept for the same questions.

        Raises:
            InvalidCommand: no item has an attribute of the expression (``unknown_attribute``), or its values are of
                other types (``wrong_type``). A collection without items has nothing to compare with.
        """
        columns = self._columns.of(collection.id, attributes_of(expression))
        asked = collection.id, collection.hidden_ms, columns.version, expression
        kept = next((one for one in self._kept if one[0] is columns and one[1] == asked), None)
        if kept is None:
            kept = columns, asked, self._survivors(collection, columns, expression)
            fresh = [one for one in self._kept if (one[0].version == one[1][2]) and one[1] != asked]
            self._kept = fresh[-(_FILTERS_KEPT - 1) :]
            while self._kept and self.kept_bytes["filters"] > _FILTERS_BYTES:
                del self._kept[0]
        else:
            self._kept.remove(kept)
        self._kept.append(kept)
        return kept[2]

    def _survivors(self, collection: Collection, columns: Columns, expression: Expression) -> Survivors:
        chosen = columns.live
        if chosen.any():
            check(expression, columns.named, self._columns.names(collection.id))
            chosen = chosen & mask(expression, columns.named, len(columns))
        if collection.hidden_ms is not None:
            chosen = chosen & (columns.arrived_ms > collection.hidden_ms)
        return Survivors(columns.seqs[chosen], columns.points[chosen])

    def nearest(self, collection: Collection, vectors: Vectors, survivors: Survivors, k: int) -> list[NearestSurvivors]:
        """For each vector the committed items that pass, the nearest first, without an end before the last one.

        Args:
            collection: whose.
            vectors: shape (n, dimension), of unit length.
            survivors: of this collection.
            k: how many points are ranked at first.
        """
        if not len(vectors):
            return []
        search = self.points(collection, vectors.shape[1], survivors)
        found = search.nearest(vectors, k)
        return [
            NearestSurvivors(self._store, search, vector, first, k)
            for vector, first in zip(vectors, found, strict=True)
        ]

    def points(self, collection: Collection, dimension: int, survivors: Survivors) -> FilteredPoints:
        """The points that have an item which passes.

        Args:
            collection: whose.
            dimension: of its vectors.
            survivors: of this collection.
        """
        return FilteredPoints(self._indexes.of(collection, dimension), survivors)


class FilteredPoints:
    """Finds the nearest points that have an item which passes: exactly where few do, else by the graph."""

    def __init__(self, index: ReadIndex, survivors: Survivors) -> None:
        self._index = index
        self._seqs, self._point_of_each = survivors.seqs, survivors.points
        if (np.diff(self._point_of_each) < 0).any():  # an item may stand on the point of an earlier one
            order = np.argsort(self._point_of_each, kind="stable")
            self._seqs, self._point_of_each = self._seqs[order], self._point_of_each[order]
        self._points = self._point_of_each[np.diff(self._point_of_each, prepend=-1) > 0]
        self._subset: Subset | None = None

    @property
    def _exact(self) -> bool:
        return len(self._points) <= FEW or self._index.kind == "exact" or self._subset is not None

    def nearest(self, vectors: Vectors, count: int) -> list[Nearest]:
        """At least the ``count`` nearest points of each vector, shape (n, dimension); fewer only where fewer pass."""
        found: list[Nearest | None] = [None] * len(vectors)
        if not self._exact:
            asked = ceil(_SPARE * count * len(self._index) / len(self._points))
            if asked <= MOST_ASKED:
                found = [one if len(one[0]) >= count else None for one in self._by_graph(vectors, asked)]
        rest = [place for place, one in enumerate(found) if one is None]
        if rest:
            exact = dict(zip(rest, self._compared(vectors[rest], count), strict=True))
            return [exact[place] if one is None else one for place, one in enumerate(found)]
        return [one for one in found if one is not None]

    def items_on(self, points: Numbers) -> tuple[Numbers, Numbers]:
        """Items that pass on each point, the earliest first: arrival numbers, and how many are on each point."""
        starts, ends = (np.searchsorted(self._point_of_each, points, side) for side in ("left", "right"))
        counts = np.minimum(ends - starts, _ITEMS_PER_POINT)
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._seqs[np.repeat(starts, counts) + within], counts

    def _by_graph(self, vectors: Vectors, asked: int) -> Iterator[Nearest]:
        for labels, cosines in zip(*self._index.search(vectors, asked), strict=True):
            passing = _among(labels, self._points)
            yield labels[passing], rounded(cosines[passing])

    def _compared(self, vectors: Vectors, count: int) -> Iterator[Nearest]:
        if self._subset is None:
            self._subset = self._index.only(self._points)
        for labels, cosines in zip(*self._subset.nearest(vectors, max(1, min(count, self._subset.count))), strict=True):
            there = labels != NO_LABEL
            yield labels[there], rounded(cosines[there])


class NearestSurvivors:
    """The items near one vector that pass a filter.

    Args:
        store: the items.
        search: finds their points.
        vector: shape (dimension,), of unit length.
        first: what was found at first.
        count: how many were asked for then.
    """

    def __init__(self, store: SqliteStore, search: FilteredPoints, vector: Vectors, first: Nearest, count: int) -> None:
        self._store = store
        self._search = search
        self._vector = vector
        self._first = first
        self._count = count

    def nearest(self) -> Iterator[tuple[Member, float]]:
        """Items with their cosine, the nearest first, those that are equally near in order of arrival."""
        count, (points, cosines) = self._count, self._first
        seen = points[:0]
        while True:
            complete = len(points) < count
            # Behind the last one there may be points that are as near.
            fresh = ~np.isin(points, seen) & (cosines > (-inf if complete else cosines[-1]))
            seen = np.concatenate([seen, points[fresh]])
            yield from self._items(points[fresh], cosines[fresh])
            if complete:
                return
            count *= _WIDER
            ((points, cosines),) = self._search.nearest(self._vector[None], count)

    def _items(self, points: Numbers, cosines: NDArray[np.float64]) -> Iterator[tuple[Member, float]]:
        seqs, counts = self._search.items_on(points)
        cosine = np.repeat(cosines, counts)
        order = np.lexsort((seqs, -cosine))
        for start in range(0, len(order), _ITEMS_AT_ONCE):
            part = order[start : start + _ITEMS_AT_ONCE]
            members = {member.seq: member for member in self._store.items.by_number(seqs[part].tolist())}
            for seq, near in zip(seqs[part].tolist(), cosine[part].tolist(), strict=True):
                yield members[seq], near


def _among(numbers: Numbers, ascending: Numbers) -> NDArray[np.bool_]:
    """Which of the numbers are among others, which are ascending."""
    if not len(ascending):
        return np.zeros(len(numbers), np.bool_)
    places = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[places] == numbers
    return found
