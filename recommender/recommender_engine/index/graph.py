"""The HNSW graph (Malkov and Yashunin, 2016, arXiv:1603.09320) as hnswlib builds it, with guards.

The only module that imports hnswlib. What it guards against: a full graph fails in the middle of a batch; ``ef`` falls
back to 10 on every load; a deleted label that is added again comes back to life; a search that reaches fewer than
``k`` vectors is an error; a file is loaded unchecked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import hnswlib
import numpy as np
from pydantic import Field

from recommender_engine.index.graph_file import GraphVectors, read_header, read_vectors
from recommender_engine.index.vector_index import Labels, Vectors
from recommender_engine.items.values import Value

SPACE: Final = "ip"  # inner product: the cosine, as every vector has unit length

_MIN_CAPACITY = 1024
_GROWTH = 1.5
_TOO_FEW_REACHED = "contiguous 2D array"  # how hnswlib says that a search reached fewer than k vectors


class HnswParameters(Value):
    """How a graph is built and searched.

    Attributes:
        m: links per vector; more cost memory and time and find more.
        ef_construction: width of the search that chooses the links of a new vector.
        ef_search_floor: least width of a search; it is four times ``k`` where that is more.
        target_recall: recall@10 against exact search that searches are widened for, in [0, 1].
        seed: of the random layers.
        threads: of adding and searching many at once; with one thread the same vectors give the same graph.
    """

    m: Annotated[int, Field(ge=2, le=128)] = 16
    ef_construction: Annotated[int, Field(ge=1, le=10_000)] = 200
    ef_search_floor: Annotated[int, Field(ge=1, le=10_000)] = 64
    target_recall: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 100
    threads: Annotated[int, Field(ge=1, le=256)] = 1

    def ef_for(self, k: int) -> int:
        """Width of a search for ``k`` neighbours."""
        return max(self.ef_search_floor, 4 * k)


DEFAULT_PARAMETERS = HnswParameters()


class HnswGraph:
    """Links between unit vectors. Takes what its caller has checked: float32 rows of unit length, labels from zero.

    One thread at a time may use it: hnswlib crashes when a search meets an add.
    """

    def __init__(self, dimension: int, parameters: HnswParameters = DEFAULT_PARAMETERS) -> None:
        self._parameters = parameters
        self._width = 0
        self._tombstones: set[int] = set()
        self._hnsw = hnswlib.Index(space=SPACE, dim=dimension)
        self._hnsw.init_index(
            max_elements=_MIN_CAPACITY,
            M=parameters.m,
            ef_construction=parameters.ef_construction,
            random_seed=parameters.seed,
            allow_replace_deleted=False,
        )
        self._hnsw.set_num_threads(parameters.threads)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._hnsw.dim)

    @property
    def parameters(self) -> HnswParameters:
        """How it is built and searched."""
        return self._parameters

    @property
    def tombstones(self) -> int:
        """Deleted vectors that still take part in every search."""
        return len(self._tombstones)

    @property
    def tombstone_share(self) -> float:
        """Tombstones among all its vectors, in [0, 1]."""
        return self.tombstones / max(1, int(self._hnsw.element_count))

    def width(self, k: int) -> int:
        """Width (``ef``) of a search for ``k`` neighbours: what the parameters say, or more if it was widened."""
        return max(self._parameters.ef_for(k), self._width)

    def widen(self, width: int) -> None:
        """Search at least so widely from now on."""
        self._width = max(self._width, width)

    @property
    def widened_to(self) -> int:
        """Least width of its searches; 0 if they were never widened."""
        return self._width

    def labels(self) -> Labels:
        """Labels that are not deleted, in no order, shape (n,)."""
        labels = np.array(self._hnsw.get_ids_list(), np.int64)
        return labels[~np.isin(labels, np.fromiter(self._tombstones, np.int64))]

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Link vectors, shape (n, dimension), under labels it does not hold.

        Raises:
            ValueError: a label was deleted from this graph earlier.
        """
        if not len(labels):
            return
        if not self._tombstones.isdisjoint(labels.tolist()):
            raise ValueError("a label that was removed is used again")
        needed = self._hnsw.element_count + len(labels)
        if needed > self._hnsw.max_elements:
            self._hnsw.resize_index(max(needed, int(_GROWTH * self._hnsw.max_elements)))
        self._hnsw.add_items(vectors, labels)

    def remove(self, labels: Labels) -> None:
        """Mark labels that it holds, and that are not deleted yet."""
        for label in labels.tolist():
            self._hnsw.mark_deleted(label)
            self._tombstones.add(label)

    def nearest(self, queries: Vectors, k: int) -> Labels | None:
        """About the ``k`` nearest of each query, shape (queries, k); ``None`` if it reached fewer for one of them."""
        self._hnsw.set_ef(self.width(k))
        try:
            labels, _ = self._hnsw.knn_query(queries, k)
        except RuntimeError as error:
            if _TOO_FEW_REACHED not in str(error):
                raise
            return None
        return np.asarray(labels).astype(np.int64)

    def file_size_bytes(self) -> int:
        """Size of the file that ``save`` writes."""
        return int(self._hnsw.index_file_size())

    def save(self, path: Path) -> None:
        """Write the graph to a file. A full disk goes unnoticed: compare with ``file_size_bytes``."""
        self._hnsw.save_index(str(path))

    @classmethod
    def load(cls, path: Path, dimension: int, parameters: HnswParameters) -> tuple[HnswGraph, GraphVectors]:
        """Read a graph and its vectors from a file that is known to be whole: a damaged one can crash the process.

        Raises:
            ValueError: it was written for another dimension, ``m`` or ``ef_construction``, or its header is damaged.
            OSError: the file cannot be read.
        """
        header = read_header(path)
        found = (header.dimension, header.m, header.ef_construction)
        if found != (dimension, parameters.m, parameters.ef_construction):
            raise ValueError(f"the graph file is for (dimension, m, ef_construction) = {found}")
        stored = read_vectors(path, header)
        graph = cls(dimension, parameters)
        graph._tombstones = set(stored.labels[stored.deleted].tolist())
        graph._hnsw = hnswlib.Index(space=SPACE, dim=dimension)
        graph._hnsw.load_index(str(path), max_elements=max(_MIN_CAPACITY, header.count))
        graph._hnsw.set_num_threads(parameters.threads)
        return graph, stored
