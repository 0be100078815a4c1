"""Exact search: every stored vector is compared with the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recommender_engine.event_log import event_log
from recommender_engine.index.nearest import Searched, no_neighbours, pair_cosines, rank_into
from recommender_engine.index.rows import FileRows, MemoryRows, RowNumbers, Rows
from recommender_engine.index.unit_vectors import unit_vectors, whole_labels
from recommender_engine.index.vector_index import Labels, SearchResult, Vectors

_LEAST = 16  # rows there is room for, and rows that may be dead: most collections may be small ones
_COPIED = 20_000  # rows that are copied to be searched alone: 30 MB at 384 dimensions …
_COPIED_SHARE = 6  # … if all are this many times more
_MOVED_AT_ONCE = 4_096  # rows that are copied at a time

_log = event_log(__name__)


@dataclass(frozen=True)
class FrozenVectors:
    """Vectors as they stood at one moment; another thread may read them while the index changes.

    Attributes:
        labels: int64, shape (n,).
    """

    labels: Labels
    _numbers: RowNumbers
    _rows: Rows

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self, size: int) -> Iterator[tuple[Labels, Vectors]]:
        """Labels and vectors, at most ``size`` at a time."""
        for start in range(0, len(self.labels), size):
            part = slice(start, start + size)
            yield self.labels[part], self._rows.take(self._numbers[part])


class FlatIndex:
    """A ``VectorIndex`` that is exact, and repeatable to the last bit.

    Similarities are summed in float64 and then rounded, so a pair has the same number whatever else is in the batch
    and however many threads multiply the matrices. Equal similarities are ordered by label.

    Beside its vector an item costs nine bytes, and eight more where vectors lie in a snapshot: rows are in the order of
    their labels, so a label is found by bisection.
    """

    kind: Final[Literal["exact"]] = "exact"

    def __init__(self, dimension: int, rows: Rows | None = None) -> None:
        """Start empty; ``rows`` is where the vectors are to lie (by default in memory); see ``over`` if it has some."""
        self._dimension = dimension
        self._rows: Rows = MemoryRows(dimension) if rows is None else rows
        self._labels: Labels = np.empty(0, np.int64)  # by row, ascending; longer than what is used
        self._live: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._used = 0
        self._dead = 0

    @classmethod
    def over(cls, dimension: int, labels: Labels, rows: Rows) -> FlatIndex:
        """An index of rows that are there already, of unit length, under ascending labels, shape (n,)."""
        index = cls(dimension, rows)
        index._labels, index._live, index._used = labels, np.ones(len(labels), np.bool_), len(labels)
        return index

    def __len__(self) -> int:
        return self._used - self._dead

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def on_disk(self) -> bool:
        """Whether the vectors lie in files."""
        return not isinstance(self._rows, MemoryRows)

    def labels(self) -> Labels:
        """Live labels, ascending, shape (n,)."""
        return self._labels[: self._used][self._live[: self._used]]

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension); all of them or, on an error, none.

        Cheap where the labels are ascending and behind all others; else everything is written anew in their order.

        Raises:
            ValueError: a vector is not finite or not of unit length, a label is negative or already there.
        """
        self.add_checked(*self.checked(labels, vectors))

    def add_checked(self, labels: Labels, vectors: Vectors) -> None:
        """``add`` for what ``checked`` has returned."""
        if not len(labels):
            return
        if (np.diff(labels) < 0).any():
            order = np.argsort(labels)
            labels, vectors = labels[order], vectors[order]
        if self._used and labels[0] <= self._labels[self._used - 1]:
            self._insert(labels, vectors)
            return
        self._append(vectors)
        start, self._used = self._used, self._used + len(labels)
        if self._used > len(self._labels):
            spare = max(_LEAST, self._used, self._used * 5 // 4) - start
            self._labels = np.concatenate([self._labels[:start], np.zeros(spare, np.int64)])
            self._live = np.concatenate([self._live[:start], np.zeros(spare, np.bool_)])
        self._labels[start : self._used] = labels
        self._live[start : self._used] = True

    def checked(self, labels: Labels, vectors: Vectors) -> tuple[Labels, Vectors]:
        """The rows that ``add`` would store; raises as it does."""
        vectors = unit_vectors(vectors, self._dimension)
        labels = whole_labels(labels)
        if len(labels) != len(vectors):
            raise ValueError(f"{len(labels)} labels for {len(vectors)} vectors")
        distinct = np.unique(labels)
        if len(distinct) and distinct[0] < 0:
            raise ValueError(f"label {distinct[0]} is negative")
        if len(distinct) < len(labels):
            raise ValueError("a label appears twice")
        _, known = self._find(distinct)
        if known.any():
            raise ValueError(f"label {distinct[known][0]} is already in the index")
        return labels, vectors

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""
        numbers, there = self._find(np.unique(whole_labels(labels)))
        numbers = numbers[there]
        self._live[numbers] = False
        self._dead += len(numbers)
        if self._dead > max(_LEAST, self._used // 4):
            self._compact()

    def live_among(self, labels: Labels) -> Labels:
        """Those of ``labels`` that are in the index, each once, ascending."""
        labels = np.unique(whole_labels(labels))
        return labels[self._find(labels)[1]]

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest vectors of each query, shape (queries, dimension).

        Raises:
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        queries = unit_vectors(queries, self._dimension)
        found = no_neighbours(len(queries), k)
        wanted = min(k, len(self))
        if wanted:
            near = self.frozen().nearest(queries, wanted)
            found.labels[:, :wanted], found.similarities[:, :wanted] = near
        return found

    def search_among(self, queries: Vectors, candidates: Labels, k: int) -> SearchResult:
        """The ``k`` nearest of each query's own candidates, shape (queries, candidates), all of them live labels.

        Raises:
            KeyError: a candidate is not in the index.
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        queries = unit_vectors(queries, self._dimension)
        found = no_neighbours(len(queries), k)
        numbers = self._numbers_of(candidates.ravel())
        places = np.repeat(np.arange(len(queries)), candidates.shape[1])
        rank_into(found, places, candidates.ravel(), pair_cosines(queries, places, self._rows, numbers))
        return found

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for.

        Raises:
            KeyError: a label is not in the index.
        """
        return self._rows.take(self._numbers_of(whole_labels(labels)))

    def freeze(self, labels: Labels) -> FrozenVectors:
        """The vectors of live labels as they are now.

        Raises:
            KeyError: a label is not in the index.
        """
        return FrozenVectors(labels, self._numbers_of(labels), self._rows)

    def frozen(self) -> Searched:
        """All live vectors as they are now, for another thread to search."""
        live = self._live[: self._used].copy() if self._dead else None
        return Searched(self._rows, self._labels[: self._used], live)

    def only(self, labels: Labels) -> Searched:
        """Some of the vectors as they are now, to be searched exactly; labels that are not in the index are ignored.

        A few are copied; of many, all vectors are read, which takes less time than a copy.
        """
        numbers, there = self._find(labels)
        numbers = numbers[there]
        if len(numbers) <= _COPIED and _COPIED_SHARE * len(numbers) <= self._used:
            return Searched(MemoryRows.of(self._rows.take(numbers)), labels[there], None)
        chosen = np.zeros(self._used, np.bool_)
        chosen[numbers] = True
        return Searched(self._rows, self._labels[: self._used], chosen)

    def move_to(self, rows: FileRows) -> None:
        """Move the vectors to ``rows``, which are empty.

        Raises:
            OSError: the disk is full or broken; they stay where they are.
        """
        self._copy_into(rows, np.arange(self._used))
        self._rows = rows

    def close(self) -> None:
        """Nothing to do; every index can be closed."""

    def _find(self, labels: Labels) -> tuple[RowNumbers, NDArray[np.bool_]]:
        """Of each label the row it has or would have, and whether it is there and live."""
        used = self._labels[: self._used]
        numbers = np.searchsorted(used, labels)
        inside = np.minimum(numbers, max(self._used - 1, 0))
        if not self._used:
            return numbers, np.zeros(len(labels), np.bool_)
        return numbers, (used[inside] == labels) & self._live[inside]

    def _numbers_of(self, labels: Labels) -> RowNumbers:
        numbers, there = self._find(labels)
        if not there.all():
            raise KeyError(int(labels[~there][0]))
        return numbers

    def _append(self, vectors: Vectors) -> None:
        try:
            self._rows.append(vectors)
        except OSError:
            self._rows = self._in_memory(np.arange(self._used))
            self._rows.append(vectors)

    def _insert(self, labels: Labels, vectors: Vectors) -> None:
        """Add labels that do not come behind all others."""
        every = np.concatenate([self.labels(), labels])
        order = np.argsort(every, kind="stable")
        together = np.concatenate([self.vectors(self.labels()), vectors])
        self._labels, self._live, self._used, self._dead = every[:0], np.empty(0, np.bool_), 0, 0
        self._rows = MemoryRows(self._dimension)
        self.add_checked(every[order], together[order])

    def _compact(self) -> None:
        numbers = np.flatnonzero(self._live[: self._used])
        try:
            rows = self._rows.empty()
            self._copy_into(rows, numbers)
        except OSError:
            rows = self._in_memory(numbers)
        self._labels, self._live = self._labels[numbers], np.ones(len(numbers), np.bool_)
        self._rows, self._used, self._dead = rows, len(numbers), 0

    def _in_memory(self, numbers: RowNumbers) -> MemoryRows:
        """Rows from a disk that takes no more."""
        _log.exception("index.disk_refused", extra={"vectors": len(numbers)})
        rows = MemoryRows(self._dimension)
        self._copy_into(rows, numbers)
        return rows

    def _copy_into(self, rows: Rows, numbers: RowNumbers) -> None:
        for start in range(0, len(numbers), _MOVED_AT_ONCE):
            rows.append(self._rows.take(numbers[start : start + _MOVED_AT_ONCE]))
