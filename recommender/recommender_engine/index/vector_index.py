"""What the engine asks of a vector index."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Vectors = NDArray[np.float32]

NO_LABEL = -1


class SearchResult(NamedTuple):
    """Nearest neighbours of a batch of queries, best first.

    Attributes:
        labels: int64, shape (queries, k); ``NO_LABEL`` where there are fewer than k.
        similarities: float32, shape (queries, k); cosine, ``-inf`` where there is no label.
    """

    labels: Labels
    similarities: Vectors


class VectorIndex(Protocol):
    """Unit vectors under integer labels. One thread calls it; it is derived data and can always be rebuilt."""

    def __len__(self) -> int:
        """Live vectors."""

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension). A label is new and is never used again."""

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest live vectors of each query, shape (queries, dimension), by cosine."""

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for."""
