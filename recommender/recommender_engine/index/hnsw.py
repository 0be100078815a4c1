"""Approximate search through an HNSW graph, with exact search behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np

from recommender_engine.event_log import event_log
from recommender_engine.index.flat import FlatIndex
from recommender_engine.index.graph import DEFAULT_PARAMETERS, HnswGraph, HnswParameters
from recommender_engine.index.graph_file import GraphVectors
from recommender_engine.index.nearest import Searched
from recommender_engine.index.rows import FileRows, GraphRows, RowNumbers, TooManyFiles
from recommender_engine.index.unit_vectors import unit_vectors
from recommender_engine.index.vector_index import Labels, SearchResult, Vectors

_LOAD_CHUNK = 16_384

_log = event_log(__name__)


class HnswIndex:
    """A ``VectorIndex`` that asks a graph for candidates and an exact index for everything else.

    The exact index holds the truth: which labels live, their vectors, their similarities. The graph only proposes, so
    similarities and the order of equals are those of ``FlatIndex``, and any doubt about the graph ends in an exact
    search. Vectors are therefore held twice, since hnswlib hands its own out 80 times slower than a matrix does; where
    there is a disk the second copy lies in files, the snapshot that the graph was read from first of all.
    """

    kind: Final[Literal["hnsw"]] = "hnsw"

    def __init__(self, exact: FlatIndex, graph: HnswGraph) -> None:
        """Search ``exact`` through ``graph``, which holds the same. Both belong to this index."""
        self._exact = exact
        self._graph = graph

    @classmethod
    def caught_up(cls, exact: FlatIndex, graph: HnswGraph) -> HnswIndex:
        """Search ``exact`` through ``graph``, which is first brought up to date with it."""
        live, linked = exact.labels(), graph.labels()
        graph.remove(np.setdiff1d(linked, live, assume_unique=True))
        for labels, vectors in exact.freeze(np.setdiff1d(live, linked, assume_unique=True)).chunks(_LOAD_CHUNK):
            graph.add(labels, vectors)
        return cls(exact, graph)

    @classmethod
    def empty(cls, dimension: int, parameters: HnswParameters = DEFAULT_PARAMETERS) -> HnswIndex:
        """An empty index."""
        return cls(FlatIndex(dimension), HnswGraph(dimension, parameters))

    def __len__(self) -> int:
        return len(self._exact)

    @property
    def exact(self) -> FlatIndex:
        """The same vectors, searched exactly."""
        return self._exact

    @property
    def parameters(self) -> HnswParameters:
        """How its graph is built and searched."""
        return self._graph.parameters

    @property
    def tombstones(self) -> int:
        """Removed vectors that the graph still carries."""
        return self._graph.tombstones

    @property
    def tombstone_share(self) -> float:
        """Tombstones among all vectors of the graph, in [0, 1]."""
        return self._graph.tombstone_share

    def width(self, k: int) -> int:
        """Width (``ef``) of a search for ``k`` neighbours."""
        return self._graph.width(k)

    @property
    def widened_to(self) -> int:
        """Least width of its searches; 0 if they were never widened."""
        return self._graph.widened_to

    def widen(self, width: int) -> None:
        """Search at least so widely from now on."""
        self._graph.widen(width)

    def labels(self) -> Labels:
        """Live labels, ascending, shape (n,)."""
        return self._exact.labels()

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension).

        Raises:
            ValueError: a vector is not finite or not of unit length, a label is negative or was used before.
        """
        labels, vectors = self._exact.checked(labels, vectors)
        self._graph.add(labels, vectors)  # first: a label that is only in the graph does no harm
        self._exact.add_checked(labels, vectors)

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""
        live = self._exact.live_among(labels)
        self._graph.remove(live)
        self._exact.remove(live)

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """About the ``k`` nearest vectors of each query, shape (queries, dimension); similarities are exact.

        Raises:
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        queries = unit_vectors(queries, self._exact.dimension)
        if self._graph.width(k) >= len(self):  # the graph would look at every vector, one by one
            return self._exact.search(queries, k)
        candidates = self._graph.nearest(queries, k)
        if candidates is not None:
            try:
                return self._exact.search_among(queries, candidates, k)
            except KeyError:
                _log.error("index.graph_out_of_step", extra={"live": len(self)})
        else:
            _log.info("index.graph_reached_too_few", extra={"queries": len(queries), "k": k, "live": len(self)})
        return self._exact.search(queries, k)

    def only(self, labels: Labels) -> Searched:
        """Some of the vectors, to be searched exactly; labels that are not in the index are ignored."""
        return self._exact.only(labels)

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for.

        Raises:
            KeyError: a label is not in the index.
        """
        return self._exact.vectors(labels)

    def close(self) -> None:
        """Nothing to do; every index can be closed."""

    def file_size_bytes(self) -> int:
        """Size of the file that ``save`` writes."""
        return self._graph.file_size_bytes()

    def save(self, path: Path) -> None:
        """Write graph and vectors to a file, unsafely; ``snapshot.write`` is what makes it safe."""
        self._graph.save(path)

    @classmethod
    def load(
        cls,
        path: Path,
        dimension: int,
        parameters: HnswParameters = DEFAULT_PARAMETERS,
        directory: Path | None = None,
    ) -> HnswIndex:
        """Read what ``save`` wrote. The file must be known to be whole; ``snapshot.read`` is what checks that.

        Args:
            path: the file.
            dimension: length of the vectors.
            parameters: of the graph.
            directory: on whose disk vectors that come later may lie; without one, all lie in memory.

        Raises:
            ValueError: it was written for another dimension, ``m`` or ``ef_construction``, or is not such a file.
            OSError: the file cannot be read.
        """
        graph, stored = HnswGraph.load(path, dimension, parameters)
        live = np.flatnonzero(~stored.deleted)
        order = live[np.argsort(stored.labels[live], kind="stable")]  # several threads add in an order of their own
        return cls(_exact(stored, order, directory), graph)


def _exact(stored: GraphVectors, order: RowNumbers, directory: Path | None) -> FlatIndex:
    """The live vectors of a graph, where they are; in memory if there is no place for those that come later."""
    dimension, labels = stored.vectors.shape[1], stored.labels[order]
    if directory is not None and stored.file is not None:
        try:
            rows = GraphRows(stored.vectors, order, stored.file, FileRows(directory, dimension))
        except TooManyFiles:
            _log.info("index.stays_in_memory", extra={"vectors": len(order)})
        except OSError:
            _log.exception("index.disk_refused", extra={"vectors": len(order)})
        else:
            return FlatIndex.over(dimension, labels, rows)
    exact = FlatIndex(dimension)
    for start in range(0, len(order), _LOAD_CHUNK):
        part = slice(start, start + _LOAD_CHUNK)
        exact.add(labels[part], stored.vectors[order[part]])
    return exact
