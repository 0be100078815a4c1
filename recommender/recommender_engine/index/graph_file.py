"""Reads what hnswlib 0.8.0 writes, without hnswlib: it checks nothing that it loads.

The file starts with a header of 96 bytes (little endian, no padding). One block of fixed size per vector follows: its
links on the lowest layer, the vector, its label. The links of the upper layers end the file; they are not read here.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index.vector_index import Labels, Vectors

_HEADER = struct.Struct("<QQQQQQiIQQQdQ")
_TOO_SHORT = "the graph file is too short"
_DELETED = 1  # lowest bit of the third byte of a block


@dataclass(frozen=True)
class GraphHeader:
    """The header of a graph file, found to agree with itself.

    Attributes:
        count: vectors in the file, deleted ones included.
        dimension: length of the vectors.
        m: links per vector on the upper layers; twice as many on the lowest.
        ef_construction: width of the search that chose the links.
    """

    count: int
    dimension: int
    m: int
    ef_construction: int


@dataclass(frozen=True)
class GraphVectors:
    """The vectors of a graph file, in the order they were added; read from disk when touched.

    Attributes:
        labels: int64, shape (n,).
        vectors: float32, shape (n, dimension).
        deleted: bool, shape (n,).
        file: in which ``vectors`` lie; ``None`` if there are none.
    """

    labels: Labels
    vectors: Vectors
    deleted: NDArray[np.bool_]
    file: mmap.mmap | None


def read_header(path: Path) -> GraphHeader:
    """Read and check the header.

    Raises:
        ValueError: it is not the header of a graph file of this version.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_HEADER.size)
    if len(data) < _HEADER.size:
        raise ValueError(_TOO_SHORT)
    level0, capacity, count, block, label_at, vector_at, _, _, max_m, max_m0, m, _, ef = _HEADER.unpack(data)
    dimension = (label_at - vector_at) // 4
    consistent = (
        level0 == 0
        and count <= capacity
        and (max_m, max_m0) == (m, 2 * m)
        and vector_at == 4 + 4 * max_m0
        and label_at == vector_at + 4 * dimension
        and block == label_at + 8
    )
    if not consistent:
        raise ValueError("the header of the graph file contradicts itself")
    return GraphHeader(count, dimension, m, ef)


def read_vectors(path: Path, header: GraphHeader) -> GraphVectors:
    """Map the vectors of the file that ``header`` was read from.

    Raises:
        ValueError: the file is shorter than its header says.
        OSError: the file cannot be read.
    """
    links_bytes = 4 + 8 * header.m
    block = np.dtype([("links", "u1", (links_bytes,)), ("vector", "<f4", (header.dimension,)), ("label", "<i8")])
    if header.count == 0:
        empty = np.empty(0, block)
        return GraphVectors(empty["label"], empty["vector"], np.empty(0, np.bool_), None)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    if len(mapped) < _HEADER.size + header.count * block.itemsize:
        raise ValueError(_TOO_SHORT)
    blocks = np.frombuffer(mapped, block, header.count, _HEADER.size)
    deleted = (blocks["links"][:, 2] & _DELETED).astype(np.bool_)
    labels = blocks["label"].copy()
    mapped.madvise(mmap.MADV_DONTNEED)  # the vectors lie between them, and none has been read yet
    return GraphVectors(labels, blocks["vector"], deleted, mapped)
