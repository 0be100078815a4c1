"""Exact search: every stored vector is compared with the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recommender.index.unit_vectors import unit_vectors, whole_labels
from recommender.index.vector_index import NO_LABEL, Labels, Neighbours, Vectors

Rows = NDArray[np.int64]

_MIN_CAPACITY = 256
_BLOCK_SIMILARITIES = 1 << 22  # float32 values held at once by a search: 16 MiB, or one query if that is more


@dataclass(frozen=True)
class FrozenVectors:
    """Vectors as they stood at one moment; another thread may read them while the index changes.

    Attributes:
        labels: int64, shape (n,).
    """

    labels: Labels
    _rows: Rows
    _matrix: Vectors

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self, size: int) -> Iterator[tuple[Labels, Vectors]]:
        """Labels and vectors, at most ``size`` at a time."""
        for start in range(0, len(self.labels), size):
            part = slice(start, start + size)
            yield self.labels[part], self._matrix[self._rows[part]]


class FlatIndex:
    """A ``VectorIndex`` that is exact, and repeatable to the last bit.

    Similarities are summed in float64 and then rounded, so a pair has the same number whatever else is in the batch
    and however many threads multiply the matrices. Equal similarities are ordered by label.

    A row is written once and never moved within its matrix: growing and compacting make a new one. That is what lets
    ``freeze`` hand vectors to another thread without a copy.
    """

    kind: Final[Literal["exact"]] = "exact"

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._used = 0
        self._matrix: Vectors = np.empty((0, dimension), np.float32)
        self._labels: Labels = np.empty(0, np.int64)
        self._live: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._rows: dict[int, int] = {}
        # Twice the largest rounding error of a float32 dot product of two vectors of unit length.
        self._margin = dimension * float(np.finfo(np.float32).eps)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    def labels(self) -> Labels:
        """Live labels in the order they were added, shape (n,)."""
        return self._labels[: self._used][self._live[: self._used]]

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension); all of them or, on an error, none.

        Raises:
            ValueError: a vector is not finite or not of unit length, a label is negative or already there.
        """
        labels, vectors = self.checked(labels, vectors)
        start, end = self._used, self._used + len(labels)
        if end > len(self._matrix):
            self._reallocate(np.arange(start), max(_MIN_CAPACITY, end, 2 * len(self._matrix)))
        self._matrix[start:end] = vectors
        self._labels[start:end] = labels
        self._live[start:end] = True
        self._rows.update(zip(labels.tolist(), range(start, end), strict=True))
        self._used = end

    def checked(self, labels: Labels, vectors: Vectors) -> tuple[Labels, Vectors]:
        """What ``add`` would store; raises as it does."""
        vectors = unit_vectors(vectors, self._dimension)
        labels = whole_labels(labels)
        if len(labels) != len(vectors):
            raise ValueError(f"{len(labels)} labels for {len(vectors)} vectors")
        if len(labels) and labels.min() < 0:
            raise ValueError(f"label {labels.min()} is negative")
        distinct = set(labels.tolist())
        if len(distinct) < len(labels):
            raise ValueError("a label appears twice")
        known = distinct & self._rows.keys()
        if known:
            raise ValueError(f"label {min(known)} is already in the index")
        return labels, vectors

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""
        self._live[[self._rows.pop(label) for label in self.live_among(labels).tolist()]] = False
        dead = self._used - len(self._rows)
        if dead > max(_MIN_CAPACITY, self._used // 4):
            self._reallocate(np.flatnonzero(self._live[: self._used]), len(self._rows))
            self._rows = dict(zip(self._labels.tolist(), range(self._used), strict=True))

    def live_among(self, labels: Labels) -> Labels:
        """Those of ``labels`` that are in the index, each once, ascending."""
        return np.array(sorted(self._rows.keys() & set(whole_labels(labels).tolist())), np.int64)

    def search(self, queries: Vectors, k: int) -> Neighbours:
        """The ``k`` nearest vectors of each query, shape (queries, dimension).

        Raises:
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        queries = unit_vectors(queries, self._dimension)
        found = _no_neighbours(len(queries), k)
        wanted = min(k, len(self))
        if wanted == 0:
            return found
        block = max(1, _BLOCK_SIMILARITIES // self._used)
        for start in range(0, len(queries), block):
            near = self._near(queries[start : start + block], wanted)
            for i, rows in enumerate(near, start):
                self._rank_into(found, i, queries[i], rows)
        return found

    def search_among(self, queries: Vectors, candidates: Labels, k: int) -> Neighbours:
        """The ``k`` nearest of each query's own candidates, shape (queries, candidates), all of them live labels.

        Raises:
            KeyError: a candidate is not in the index.
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        queries = unit_vectors(queries, self._dimension)
        found = _no_neighbours(len(queries), k)
        rows = self._rows_of(candidates.ravel()).reshape(candidates.shape)
        for i, query in enumerate(queries):
            self._rank_into(found, i, query, rows[i])
        return found

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for.

        Raises:
            KeyError: a label is not in the index.
        """
        return self._matrix[self._rows_of(whole_labels(labels))]

    def freeze(self, labels: Labels) -> FrozenVectors:
        """The vectors of live labels as they are now.

        Raises:
            KeyError: a label is not in the index.
        """
        return FrozenVectors(labels, self._rows_of(labels), self._matrix)

    def close(self) -> None:
        """Nothing to end; here because every index can be closed."""

    def _rows_of(self, labels: Labels) -> Rows:
        return np.fromiter((self._rows[label] for label in labels.tolist()), np.int64, len(labels))

    def _reallocate(self, rows: Rows, capacity: int) -> None:
        used = len(rows)
        matrix = np.empty((capacity, self._dimension), np.float32)
        np.take(self._matrix, rows, axis=0, out=matrix[:used], mode="clip")  # any other mode makes a second copy
        labels = np.empty(capacity, np.int64)
        labels[:used] = self._labels[rows]
        live = np.zeros(capacity, np.bool_)
        live[:used] = self._live[rows]
        self._matrix, self._labels, self._live, self._used = matrix, labels, live, used

    def _near(self, queries: Vectors, wanted: int) -> Iterator[Rows]:
        """For each query, rows that certainly hold its ``wanted`` nearest: few more than that."""
        similarities = queries @ self._matrix[: self._used].T
        if len(self) < self._used:
            similarities[:, ~self._live[: self._used]] = -np.inf
        last = self._used - wanted
        cuts = np.partition(similarities, last, axis=1)[:, last] - self._margin
        for row, cut in zip(similarities, cuts, strict=True):
            yield np.flatnonzero(row >= cut)

    def _rank_into(self, found: Neighbours, i: int, query: Vectors, rows: Rows) -> None:
        similarities, labels = cosines(query, self._matrix[rows]), self._labels[rows]
        best = np.lexsort((labels, -similarities))[: found.labels.shape[1]]
        found.labels[i, : len(best)] = labels[best]
        found.similarities[i, : len(best)] = similarities[best]


def cosines(query: NDArray[np.float32], vectors: Vectors) -> NDArray[np.float32]:
    """Cosines of a unit vector, shape (dimension,), to others, shape (n, dimension), as every index ranks by them.

    Each is computed as if alone, so it is the same whatever else is in the batch.
    """
    # einsum sums each row in the same order wherever it stands; a matrix product does not promise that.
    exact = np.einsum("nd,d->n", vectors.astype(np.float64), query.astype(np.float64))
    rounded: NDArray[np.float32] = exact.astype(np.float32)
    return rounded


def _no_neighbours(queries: int, k: int) -> Neighbours:
    """An answer in which nothing was found yet.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, not at least 1")
    return Neighbours(np.full((queries, k), NO_LABEL, np.int64), np.full((queries, k), -np.inf, np.float32))
