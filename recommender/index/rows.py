"""Where the rows of an exact index lie: in memory while they are all there is, on disk once a graph holds them too.

A row is written once and never changes. That is what lets another thread read rows while more are added.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.index.vector_index import Vectors

RowNumbers = NDArray[np.int64]

_MIN_CAPACITY = 256


class Rows(Protocol):
    """Vectors under the numbers 0, 1, 2 … in the order in which they came."""

    def __len__(self) -> int:
        """How many there are."""

    def append(self, vectors: Vectors) -> None:
        """Write behind the last, shape (n, dimension); all of them or, on an error, none."""

    def take(self, rows: RowNumbers) -> Vectors:
        """Copies of rows, shape (n, dimension), in the order asked for."""

    def block(self, start: int, end: int) -> Vectors:
        """The rows from ``start`` up to ``end``, shape (n, dimension), to be read only."""

    def empty(self) -> Rows:
        """None yet, of the same kind."""


class MemoryRows:
    """Rows in one matrix; when it is full, a larger one takes its place."""

    def __init__(self, dimension: int) -> None:
        self._matrix: Vectors = np.empty((0, dimension), np.float32)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def append(self, vectors: Vectors) -> None:
        """Write behind the last, shape (n, dimension)."""
        end = self._used + len(vectors)
        if end > len(self._matrix):
            capacity = max(_MIN_CAPACITY, end, 2 * len(self._matrix))
            larger = np.empty((capacity, self._matrix.shape[1]), np.float32)
            larger[: self._used] = self._matrix[: self._used]
            self._matrix = larger
        self._matrix[self._used : end] = vectors
        self._used = end

    def take(self, rows: RowNumbers) -> Vectors:
        """Copies of rows, shape (n, dimension), in the order asked for."""
        return self._matrix[rows]

    def block(self, start: int, end: int) -> Vectors:
        """The rows from ``start`` up to ``end``, shape (n, dimension), to be read only."""
        return self._matrix[start : min(end, self._used)]

    def empty(self) -> MemoryRows:
        """None yet, of the same kind."""
        return MemoryRows(self._matrix.shape[1])


class FileRows:
    """Rows in a file that has no name and ends with the process: the page cache keeps those that are asked for.

    Read and written by system calls and not mapped: a full disk or a broken one is an exception and no signal.

    Args:
        directory: on whose disk the file lies.
        dimension: length of the vectors.
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor, name = tempfile.mkstemp(prefix="rows-", dir=directory)
        os.unlink(name)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._directory = directory
        self._dimension = dimension
        self._width = 4 * dimension
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def append(self, vectors: Vectors) -> None:
        """Write behind the last, shape (n, dimension); all of them or, on an error, none.

        Raises:
            OSError: the disk is full or broken.
        """
        if not len(vectors):
            return
        data = np.ascontiguousarray(vectors, np.float32).data.cast("B")
        offset, written = self._used * self._width, 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], offset + written)
        self._used += len(vectors)

    def take(self, rows: RowNumbers) -> Vectors:
        """Copies of rows, shape (n, dimension), in the order asked for.

        Raises:
            OSError: the disk is broken.
        """
        found = np.empty((len(rows), self._dimension), np.float32)
        if not len(rows):
            return found
        # Rows that follow each other are read at once: a batch that was just added, a whole index in its order.
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
        ends = np.append(starts[1:], len(rows))
        data, width = found.data.cast("B"), self._width
        for start, end, row in zip(starts.tolist(), ends.tolist(), rows[starts].tolist(), strict=True):
            self._read_into(data[start * width : end * width], row * width)
        return found

    def block(self, start: int, end: int) -> Vectors:
        """The rows from ``start`` up to ``end``, shape (n, dimension).

        Raises:
            OSError: the disk is broken.
        """
        found = np.empty((min(end, self._used) - start, self._dimension), np.float32)
        if len(found):
            self._read_into(found.data.cast("B"), start * self._width)
        return found

    def empty(self) -> FileRows:
        """None yet, of the same kind.

        Raises:
            OSError: the disk is full or broken.
        """
        return FileRows(self._directory, self._dimension)

    def _read_into(self, target: memoryview, offset: int) -> None:
        done = 0
        while done < len(target):
            count = os.preadv(self._descriptor, [target[done:]], offset + done)
            if count == 0:
                raise OSError("the file of vectors is shorter than what was written to it")
            done += count
