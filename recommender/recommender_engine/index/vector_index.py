"""What the engine asks of a vector index."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

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


class Subset(Protocol):
    """Some vectors of an index as they stand now."""

    @property
    def count(self) -> int:
        """How many there are."""

    def nearest(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest of each query, shape (queries, dimension), of unit length, by cosine; exact."""


class ReadIndex(Protocol):
    """Unit vectors under integer labels, to be read. One thread calls it."""

    @property
    def kind(self) -> Literal["exact", "hnsw"]:
        """Whether ``search`` compares every vector or asks a graph."""

    def __len__(self) -> int:
        """Live vectors."""

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest live vectors of each query, shape (queries, dimension), by cosine."""

    def only(self, labels: Labels) -> Subset:
        """Some of the vectors, to be searched exactly; labels that are not in the index are ignored."""

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for."""


class VectorIndex(ReadIndex, Protocol):
    """Unit vectors under integer labels. It is derived data and can always be rebuilt."""

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension). A label is new and is never used again."""

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""
