"""The most similar pairs of a whole set, exactly and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_BLOCK = 1024


class SimilarPair(NamedTuple):
    """A pair of rows.

    Attributes:
        one: index of the earlier row.
        other: index of the later row.
        similarity: cosine, -1 to 1.
    """

    one: int
    other: int
    similarity: float


def most_similar_pairs(
    vectors: Vectors,
    top: int,
    least: float = -1.0,
    distinct: NDArray[np.int64] | None = None,
    done: Callable[[int], None] = lambda comparisons: None,
) -> list[SimilarPair]:
    """Compare each with each: what Reimers & Gurevych (2019, section 1) name as the case for embedding sentences.

    Exact: one matrix product for each pair of blocks of 1,024 rows; no more of it is kept than ``top`` and one block.

    Args:
        vectors: float32, shape (n, dimension), rows of unit length.
        top: how many pairs, at least 1.
        least: smallest cosine of a pair.
        distinct: numbers, shape (n,); pairs with the same number are left out.
        done: called after each block with the number of pairs compared.

    Returns:
        The pairs, most similar first; among equals the earlier.

    Raises:
        ValueError: ``top`` is less than 1, or the vectors are no table.
    """
    if top < 1 or vectors.ndim != 2:
        raise ValueError(f"top must be at least 1 and vectors of shape (n, dimension), not {top} and {vectors.shape}")
    best = _Best(top, np.float32(least))
    for rows, columns in _blocks(len(vectors)):
        similarities = vectors[rows] @ vectors[columns].T
        if distinct is not None:
            similarities[distinct[rows, None] == distinct[None, columns]] = -np.inf
        if rows == columns:
            similarities[np.tril_indices(len(similarities))] = -np.inf
        best.add(similarities, rows.start, columns.start)
        done(similarities.size)
    return best.pairs()


def _blocks(count: int) -> Iterator[tuple[slice, slice]]:
    starts = range(0, count, _BLOCK)
    for start in starts:
        for other in starts[start // _BLOCK :]:
            yield slice(start, min(start + _BLOCK, count)), slice(other, min(other + _BLOCK, count))


class _Best:
    """The best pairs so far."""

    def __init__(self, top: int, least: np.float32) -> None:
        self._top = top
        self._least = least
        self._kept: list[NDArray[np.void]] = []
        self._count = 0

    def add(self, similarities: Vectors, first_row: int, first_column: int) -> None:
        rows, columns = np.nonzero(similarities >= self._least)
        if not len(rows):
            return
        found = np.empty(len(rows), _ROW)
        found["one"], found["other"] = rows + first_row, columns + first_column
        found["similarity"] = similarities[rows, columns]
        self._kept.append(found)
        self._count += len(found)
        if self._count >= 2 * self._top:
            self._thin_out()

    def pairs(self) -> list[SimilarPair]:
        self._thin_out()
        return [SimilarPair(*row) for rows in self._kept for row in rows.tolist()]

    def _thin_out(self) -> None:
        if not self._kept:
            return
        every = np.concatenate(self._kept)
        order = np.lexsort((every["other"], every["one"], -every["similarity"]))[: self._top]
        self._kept, self._count = [every[order]], min(len(order), self._top)
        if self._count == self._top:
            self._least = max(self._least, self._kept[0]["similarity"][-1])


_ROW = np.dtype([("one", np.int64), ("other", np.int64), ("similarity", np.float32)])
