"""A vector index as a batch has left it until now: what is committed, without what has gone, with what has come."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import (
    FlatIndex,
    Labels,
    ReadIndex,
    SearchResult,
    Subset,
    Vectors,
    no_neighbours,
    rank_into,
)
from recommender_engine.pipeline.vectors.nearest_points import NearestPoints
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay


class OverlaidIndex:
    """A ``ReadIndex`` over the committed points and the changes of a batch.

    Args:
        committed: the index, which changes after the commit.
        overlay: what has come and gone since.
        dimension: of the vectors.
    """

    def __init__(self, committed: ReadIndex, overlay: CollectionOverlay, dimension: int) -> None:
        self._committed = committed
        self._overlay = overlay
        self._dimension = dimension

    @property
    def kind(self) -> Literal["exact", "hnsw"]:
        """That of the committed index; new points are compared exactly."""
        return self._committed.kind

    def __len__(self) -> int:
        return len(self._committed) - len(self._overlay.removed) + len(self._overlay)

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """See ``ReadIndex``."""
        found = no_neighbours(len(queries), k)
        for row, query in enumerate(queries):
            labels, near = NearestPoints(self._committed, query, k, self._overlay).ranked(k)
            found.labels[row, : len(labels)], found.similarities[row, : len(labels)] = labels, near
        return found

    def only(self, labels: Labels) -> Subset:
        """See ``ReadIndex``; points that have gone have no item, and nobody asks for them."""
        fresh = self._fresh(labels)
        committed = self._committed.only(labels[~fresh])
        if not fresh.any():
            return committed
        come = FlatIndex(self._dimension)
        come.add(labels[fresh], self._overlay.vectors(labels[fresh]))
        return _Together(committed, come.only(labels[fresh]))

    def vectors(self, labels: Labels) -> Vectors:
        """See ``ReadIndex``."""
        fresh = self._fresh(labels)
        found: Vectors = np.empty((len(labels), self._dimension), np.float32)
        if fresh.any():
            found[fresh] = self._overlay.vectors(labels[fresh])
        if not fresh.all():
            found[~fresh] = self._committed.vectors(labels[~fresh])
        return found

    def _fresh(self, labels: Labels) -> NDArray[np.bool_]:
        return np.array([label in self._overlay for label in labels.tolist()], np.bool_)


class _Together:
    """Two subsets without a common vector."""

    def __init__(self, one: Subset, other: Subset) -> None:
        self._parts = one, other

    @property
    def count(self) -> int:
        """See ``Subset``."""
        return sum(part.count for part in self._parts)

    def nearest(self, queries: Vectors, k: int) -> SearchResult:
        """See ``Subset``."""
        found = no_neighbours(len(queries), k)
        parts = [part.nearest(queries, min(k, part.count)) for part in self._parts if part.count]
        labels = np.concatenate([part.labels for part in parts], axis=1)
        similarities = np.concatenate([part.similarities for part in parts], axis=1)
        places = np.repeat(np.arange(len(queries)), labels.shape[1])
        rank_into(found, places, labels.ravel(), similarities.ravel())
        return found
