"""What a batch has changed about the vector indexes before it is committed."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import cosines, rounding_margin
from recommender_engine.pipeline.vectors.embedding_step import Vector

_MIN_CAPACITY = 8

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Labels and cosines of some neighbours of one vector."""


class CollectionOverlay:
    """Points of one collection that came and went in this batch; the index itself changes after the commit.

    It is asked for every item, and holds no more than a batch: so it compares with all, and has little else to do.

    Attributes:
        removed: committed points without an item.
    """

    def __init__(self) -> None:
        self.removed: set[int] = set()
        self._rows: dict[int, int] = {}
        self._labels: NDArray[np.int64] = np.empty(0, np.int64)
        self._matrix: NDArray[np.float32] = np.empty((0, 0), np.float32)  # its width is that of the first vector
        self._used = 0

    def __contains__(self, point: int) -> bool:
        return point in self._rows

    def __len__(self) -> int:
        """New points."""
        return len(self._rows)

    def add(self, point: int, vector: Vector) -> None:
        """A new point."""
        if self._used == len(self._labels):
            more = max(_MIN_CAPACITY, self._used)
            self._labels = np.concatenate([self._labels, np.zeros(more, np.int64)])
            fresh = np.zeros((more, len(vector)), np.float32)
            self._matrix = np.concatenate([self._matrix, fresh]) if self._used else fresh
        self._labels[self._used], self._matrix[self._used] = point, vector
        self._rows[point] = self._used
        self._used += 1

    def remove(self, point: int) -> None:
        """A point has gone."""
        row = self._rows.pop(point, None)
        if row is None:
            self.removed.add(point)
        else:
            self._matrix[row] = np.nan

    def nearest(self, query: Vector, k: int, least: float = -inf) -> Found:
        """New points that hold those of the ``k`` nearest of a unit vector whose cosine is at least ``least``.

        Perhaps a few more, and in no order.
        """
        if not self._rows:
            return self._labels[:0], np.empty(0, np.float32)
        matrix, margin = self._matrix[: self._used], rounding_margin(len(query))
        rough = matrix @ query  # NaN where a point has gone: it reaches nothing
        rows = np.flatnonzero(rough >= least - margin)
        if 0 < k < len(rows):
            reaching = rough[rows]
            rows = rows[reaching >= np.partition(reaching, len(rows) - k)[len(rows) - k] - margin]
        return self._labels[rows], cosines(query, matrix[rows])

    def vectors(self, points: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of new points, shape (n, dimension)."""
        return self._matrix[[self._rows[point] for point in points.tolist()]]

    def labels(self) -> NDArray[np.int64]:
        """The new points, ascending."""
        return np.array(sorted(self._rows), np.int64)
