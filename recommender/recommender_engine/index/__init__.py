"""Vector indexes: which stored vectors are nearest to this one.

``make_index`` is the way in. ``exact`` compares every vector, ``hnsw`` asks a graph, ``auto`` is exact while small and
builds the graph in the background when it pays. All three answer with the same similarities, to the last bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from recommender_engine.index.adaptive import AUTO_HNSW_FROM, AdaptiveIndex
from recommender_engine.index.flat import FlatIndex
from recommender_engine.index.graph import DEFAULT_PARAMETERS, HnswParameters
from recommender_engine.index.hnsw import HnswIndex
from recommender_engine.index.nearest import cosines, no_neighbours, rank_into, rounding_margin
from recommender_engine.index.recall import RECALL_AT, recall_of
from recommender_engine.index.vector_index import (
    NO_LABEL,
    Labels,
    ReadIndex,
    SearchResult,
    Subset,
    VectorIndex,
    Vectors,
)

__all__ = [
    "AUTO_HNSW_FROM",
    "DEFAULT_PARAMETERS",
    "NO_LABEL",
    "RECALL_AT",
    "AdaptiveIndex",
    "FlatIndex",
    "HnswIndex",
    "HnswParameters",
    "IndexKind",
    "Labels",
    "ReadIndex",
    "SearchResult",
    "Subset",
    "VectorIndex",
    "Vectors",
    "cosines",
    "make_index",
    "no_neighbours",
    "rank_into",
    "recall_of",
    "rounding_margin",
]

IndexKind = Literal["auto", "exact", "hnsw"]

_BUILT_AT_ONCE = 2_000  # vectors whose graph the caller can wait for: about half a second


def make_index(
    kind: IndexKind,
    dimension: int,
    parameters: HnswParameters = DEFAULT_PARAMETERS,
    restored: HnswIndex | None = None,
    expected: int = 0,
    directory: Path | None = None,
    k: int = RECALL_AT,
) -> FlatIndex | AdaptiveIndex:
    """The index that a collection's settings ask for.

    Args:
        kind: ``exact``, ``hnsw`` from the first vector on, or ``auto``: exact, then HNSW from ``AUTO_HNSW_FROM`` on.
        dimension: length of the vectors.
        parameters: of the HNSW graph.
        restored: an index read from a snapshot to start from; an ``exact`` index keeps its vectors only.
        expected: how many vectors will be added at once; a graph over many is built in the background.
        directory: on whose disk the vectors lie that a graph holds too; without one they are in memory twice.
        k: how many neighbours are usually asked for.

    Raises:
        ValueError: ``restored`` has another dimension.
    """
    if kind == "exact":
        return FlatIndex(dimension) if restored is None else restored.exact
    switch_at = AUTO_HNSW_FROM if kind == "auto" else int(expected > _BUILT_AT_ONCE)
    return AdaptiveIndex(dimension, parameters, switch_at, restored, directory, k)
