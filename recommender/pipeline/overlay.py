"""What a batch has changed about the vector indexes before it is committed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.index import FlatIndex
from recommender.pipeline.embedding_step import Vector


class CollectionOverlay:
    """Points of one collection that came and went in this batch; the index itself changes after the commit.

    Attributes:
        added: the new points, searched exactly.
        removed: committed points that nothing hangs on any more.
    """

    def __init__(self, dimension: int) -> None:
        self.added = FlatIndex(dimension)
        self.removed: set[int] = set()
        self._labels: set[int] = set()

    def __contains__(self, point: int) -> bool:
        return point in self._labels

    def add(self, point: int, vector: Vector) -> None:
        """A new point."""
        self.added.add(np.array([point], np.int64), vector[np.newaxis])
        self._labels.add(point)

    def remove(self, point: int) -> None:
        """A point has gone."""
        if point in self._labels:
            self._labels.discard(point)
            self.added.remove(np.array([point], np.int64))
        else:
            self.removed.add(point)

    def labels(self) -> NDArray[np.int64]:
        """The new points, ascending."""
        return np.array(sorted(self._labels), np.int64)
