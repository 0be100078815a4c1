"""Exact search: one pass over all rows, block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index.rows import RowNumbers, Rows
from recommender_engine.index.vector_index import NO_LABEL, Labels, SearchResult, Vectors

Places = NDArray[np.int64]

_QUERIES_AT_ONCE = 256
_BLOCK_ROWS = 8_192  # with that many queries 8 MiB of similarities
_PAIRS_AT_ONCE = 4_096  # whose cosines are computed at once: 25 MiB of float64 at 384 dimensions


@dataclass(frozen=True)
class Searched:
    """Vectors of unit length as they stand at one moment; another thread may search them while more are added.

    Attributes:
        rows: where the vectors are.
        labels: int64, shape (n,), by row.
        live: bool, shape (n,), which of them count; ``None``: all.
    """

    rows: Rows
    labels: Labels
    live: NDArray[np.bool_] | None

    def nearest(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest of each query, shape (queries, dimension), of unit length.

        A matrix product selects the vectors that can be among them, given its rounding errors; of those the cosines are
        computed as ``cosines`` does. Equal similarities are ordered by label.
        """
        found = no_neighbours(len(queries), k)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            pairs = self._all(len(queries[part])) if k >= self.count else self._possible(queries[part], k)
            exact = pair_cosines(queries[part], pairs.queries, self.rows, pairs.rows)
            into = SearchResult(found.labels[part], found.similarities[part])
            rank_into(into, pairs.queries, self.labels[pairs.rows], exact)
        return found

    @property
    def count(self) -> int:
        """How many of them count."""
        return len(self.labels) if self.live is None else int(np.count_nonzero(self.live))

    def _all(self, queries: int) -> _Pairs:
        """Each query with every live row, as in a small collection."""
        rows = np.arange(len(self.labels)) if self.live is None else np.flatnonzero(self.live)
        places = np.repeat(np.arange(queries), len(rows))
        return _Pairs(places, np.tile(rows, queries), np.empty(0, np.float32))

    def _possible(self, queries: Vectors, k: int) -> _Pairs:
        """Pairs that certainly hold the ``k`` nearest of each query: few more than that."""
        margin = rounding_margin(queries.shape[1])
        best: Vectors = np.full((len(queries), k), -np.inf, np.float32)  # of each query so far, in no order
        found = [_Pairs.none()]
        for start, vectors in self._blocks():
            rough = queries @ vectors.T
            if self.live is not None:
                rough[:, ~self.live[start : start + len(vectors)]] = -np.inf
            if start == 0:
                best = _largest(best, rough)
            pairs = _Pairs.reaching(best.min(axis=1) - margin, rough)
            if start > 0:
                best = _largest(best, pairs.as_matrix(len(queries)))
            found.append(pairs._replace(rows=pairs.rows + start))
        pairs = _Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        thresholds = best.min(axis=1) - margin
        return pairs.only(pairs.rough >= thresholds[pairs.queries])

    def _blocks(self) -> Iterator[tuple[int, Vectors]]:
        for start in range(0, len(self.labels), _BLOCK_ROWS):
            yield start, self.rows.block(start, min(start + _BLOCK_ROWS, len(self.labels)))


class _Pairs(NamedTuple):
    """Pairs of a query and a row, ordered by query, with their similarities as a matrix product has them."""

    queries: Places
    rows: RowNumbers
    rough: Vectors

    @classmethod
    def none(cls) -> _Pairs:
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def reaching(cls, thresholds: NDArray[np.float32], rough: Vectors) -> _Pairs:
        """Pairs that are live and reach the threshold of their query."""
        queries, rows = np.nonzero((rough >= thresholds[:, np.newaxis]) & (rough > -np.inf))
        return cls(queries, rows, rough[queries, rows])

    def only(self, chosen: NDArray[np.bool_]) -> _Pairs:
        return _Pairs(self.queries[chosen], self.rows[chosen], self.rough[chosen])

    def as_matrix(self, queries: int) -> Vectors:
        """The similarities, one row for each query, filled up with ``-inf``."""
        places = np.arange(len(self.queries)) - np.searchsorted(self.queries, self.queries)
        matrix: Vectors = np.full((queries, int(places.max(initial=-1)) + 1), -np.inf, np.float32)
        matrix[self.queries, places] = self.rough
        return matrix


def rounding_margin(dimension: int) -> float:
    """Twice the largest rounding error of a float32 dot product of two vectors of unit length."""
    return dimension * float(np.finfo(np.float32).eps)


def no_neighbours(queries: int, k: int) -> SearchResult:
    """An answer in which nothing was found yet.

    Raises:
        ValueError: ``k`` is less than 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, not at least 1")
    return SearchResult(np.full((queries, k), NO_LABEL, np.int64), np.full((queries, k), -np.inf, np.float32))


def rank_into(found: SearchResult, queries: Places, labels: Labels, similarities: Vectors) -> None:
    """Write pairs into an answer, of each query the best first; what is behind its end is left out.

    Args:
        found: the answer, shape (queries, k).
        queries: of each pair the place in ``found``, shape (n,).
        labels: shape (n,).
        similarities: shape (n,).
    """
    order = np.lexsort((labels, -similarities, queries))
    queries = queries[order]
    places = np.arange(len(order)) - np.searchsorted(queries, queries)
    kept = places < found.labels.shape[1]
    at = queries[kept], places[kept]
    found.labels[at] = labels[order][kept]
    found.similarities[at] = similarities[order][kept]


def cosines(query: NDArray[np.float32], vectors: Vectors) -> NDArray[np.float32]:
    """Cosines of a unit vector, shape (dimension,), to others, shape (n, dimension), as every index ranks by them.

    Each is computed as if alone, so it is the same whatever else is in the batch.
    """
    return _summed(np.broadcast_to(query.astype(np.float64), vectors.shape), vectors)


def pair_cosines(queries: Vectors, places: Places, rows: Rows, numbers: RowNumbers) -> NDArray[np.float32]:
    """``cosines`` of pairs, shape (n,): of ``queries[places[i]]`` and the row ``numbers[i]``."""
    wide = queries.astype(np.float64)
    exact = np.empty(len(numbers), np.float32)
    for start in range(0, len(numbers), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        exact[part] = _summed(wide[places[part]], rows.take(numbers[part]))
    return exact


def _summed(wide: NDArray[np.float64], vectors: Vectors) -> NDArray[np.float32]:
    # einsum sums each row in the same order at any position; a matrix product does not promise that.
    exact = np.einsum("nd,nd->n", vectors.astype(np.float64), wide)
    rounded: NDArray[np.float32] = exact.astype(np.float32)
    return rounded


def _largest(best: Vectors, others: Vectors) -> Vectors:
    """Of each row of both the largest values, as many as ``best`` is wide."""
    width = best.shape[1]
    together = np.concatenate([best, others], axis=1)
    largest: Vectors = np.partition(together, together.shape[1] - width, axis=1)[:, together.shape[1] - width :]
    return largest
