"""The graph of items that are among each other's nearest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import AUTO_HNSW_FROM, NO_LABEL, FlatIndex, HnswIndex, Vectors
from recommender_engine.themes.communities import Links

NEAREST = 10
_DECIMALS = 6  # that float32 vectors can tell
_AT_ONCE = 1_024


class Neighbours:
    """The nearest of each vector.

    Attributes:
        numbers: int64, shape (n, `NEAREST`), the nearest first; -1 where there are fewer.
        cosines: float64, the same shape.
    """

    def __init__(self, vectors: Vectors) -> None:
        """Search them.

        Args:
            vectors: distinct, float32, shape (n, dimension), of unit length.
        """
        count = len(vectors)
        labels = np.arange(count, dtype=np.int64)
        # A graph with one thread is the same for the same vectors.
        index = (FlatIndex if count < AUTO_HNSW_FROM else HnswIndex.empty)(vectors.shape[1])
        for start in range(0, count, _AT_ONCE):
            index.add(labels[start : start + _AT_ONCE], vectors[start : start + _AT_ONCE])
        self.numbers = np.full((count, NEAREST), NO_LABEL, np.int64)
        self.cosines = np.zeros((count, NEAREST))
        asked = min(NEAREST + 1, count)
        for start in range(0, count, _AT_ONCE):
            found = index.search(vectors[start : start + _AT_ONCE], asked)
            self._take(start, found.labels, found.similarities.astype(np.float64).round(_DECIMALS))

    def _take(self, start: int, labels: NDArray[np.int64], cosines: NDArray[np.float64]) -> None:
        """The neighbours of some vectors, without the vectors themselves."""
        rows = np.arange(start, start + len(labels))
        others = labels != rows[:, np.newaxis]
        others[others.all(axis=1), -1] = False  # its own vector was not found: leave out the farthest
        width = labels.shape[1] - 1
        self.numbers[rows, :width] = labels[others].reshape(len(labels), width)
        self.cosines[rows, :width] = cosines[others].reshape(len(labels), width)

    def mutual(self) -> list[Links]:
        """For each vector those that it is among the nearest of, and that are among its nearest, with their cosines."""
        numbers = self.numbers.tolist()
        sets = [set(one) for one in numbers]
        return [
            {
                other: cosine
                for other, cosine in zip(near, cosines, strict=True)
                if other != NO_LABEL and cosine > 0 and one in sets[other]
            }
            for one, (near, cosines) in enumerate(zip(numbers, self.cosines.tolist(), strict=True))
        ]
