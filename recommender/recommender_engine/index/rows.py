"""Rows of an exact index: in memory while nothing else holds them, on disk once a graph holds them too.

After a start they lie in the snapshot that the graph was read from, so nothing is copied.

A row is written once and never changes. That is what lets another thread read rows while more are added.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import tempfile
import weakref
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index.vector_index import Vectors

RowNumbers = NDArray[np.int64]

_LEAST_IN_FILE = 256
_LEAST_IN_MEMORY = 16  # most collections may be small ones


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

    def let_go(self) -> None:
        """Give back what memory can be given back."""


class MemoryRows:
    """Rows in one matrix; when it is full, a larger one takes its place."""

    def __init__(self, dimension: int) -> None:
        self._matrix: Vectors = np.empty((0, dimension), np.float32)
        self._used = 0

    @classmethod
    def of(cls, matrix: Vectors) -> MemoryRows:
        """The rows of a matrix, shape (n, dimension), that is not changed elsewhere."""
        rows = cls(matrix.shape[1])
        rows._matrix, rows._used = matrix, len(matrix)
        return rows

    def __len__(self) -> int:
        return self._used

    def append(self, vectors: Vectors) -> None:
        """Write behind the last, shape (n, dimension)."""
        end = self._used + len(vectors)
        if end > len(self._matrix):
            capacity = max(_LEAST_IN_MEMORY, end, 2 * len(self._matrix))
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

    def let_go(self) -> None:
        """Nothing: these rows are nowhere else."""


class GraphRows:
    """Rows of which the first lie in the file that a graph was read from; those that come later lie elsewhere.

    The file is not to be written to; when newer snapshots have taken its place it loses its name, and is there as long
    as this is.

    Args:
        vectors: in the file, shape (n, dimension).
        order: which of them are rows, shape (rows,).
        file: that is mapped.
        later: for the rows that come, empty.
    """

    def __init__(self, vectors: Vectors, order: RowNumbers, file: mmap.mmap, later: FileRows) -> None:
        self._vectors = vectors
        self._order = order
        self._file = file
        self._later = later

    def __len__(self) -> int:
        return len(self._order) + len(self._later)

    def append(self, vectors: Vectors) -> None:
        """Write behind the last, shape (n, dimension); all of them or, on an error, none.

        Raises:
            OSError: the disk is full or broken.
        """
        self._later.append(vectors)

    def take(self, rows: RowNumbers) -> Vectors:
        """Copies of rows, shape (n, dimension), in the order asked for."""
        first = len(self._order)
        stored = rows < first
        if stored.all():
            return self._vectors[self._order[rows]]
        found = np.empty((len(rows), self._vectors.shape[1]), np.float32)
        found[stored] = self._vectors[self._order[rows[stored]]]
        found[~stored] = self._later.take(rows[~stored] - first)
        return found

    def block(self, start: int, end: int) -> Vectors:
        """The rows from ``start`` up to ``end``, shape (n, dimension), to be read only."""
        first = len(self._order)
        if start >= first:
            return self._later.block(start - first, end - first)
        return self.take(np.arange(start, min(end, len(self))))

    def empty(self) -> FileRows:
        """None yet, of the kind that comes later: there is no graph's file that holds them.

        Raises:
            OSError: the disk is full or broken.
        """
        return self._later.empty()

    def let_go(self) -> None:
        """Count the pages that were read as the page cache's own again, and no longer as this process's."""
        self._file.madvise(mmap.MADV_DONTNEED)
        self._later.let_go()


class TooManyFiles(OSError):
    """As many files of vectors are open as may be."""


def most_files() -> int:
    """How many files of vectors a process opens: an eighth of the descriptors it may have; each takes up to three."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, soft // 8) if soft != resource.RLIM_INFINITY else 8192


_open: WeakSet[FileRows] = WeakSet()


class FileRows:
    """Rows in a file that has no name and ends with the process: the page cache keeps those that are asked for.

    The file is written by system calls, so that a full disk is an exception, and read through a mapping.

    Args:
        directory: the file is on its disk.
        dimension: length of the vectors.

    Raises:
        TooManyFiles: there are as many already as a process may open (`most_files`).
        OSError: the disk is full or broken.
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        if len(_open) >= most_files():
            raise TooManyFiles(errno.EMFILE, "so many files of vectors are open already")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor, name = tempfile.mkstemp(prefix="rows-", dir=directory)
        Path(name).unlink()
        weakref.finalize(self, os.close, self._descriptor)
        _open.add(self)
        self._directory = directory
        self._map: mmap.mmap | None = None
        self._matrix: Vectors = np.empty((0, dimension), np.float32)  # as long as the file, which is longer than used
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
        end = self._used + len(vectors)
        if end > len(self._matrix):
            self._extend(max(_LEAST_IN_FILE, 2 * end))
        data = np.ascontiguousarray(vectors, np.float32).data.cast("B")
        offset, written = self._used * self._row_bytes, 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], offset + written)
        self._used = end

    def take(self, rows: RowNumbers) -> Vectors:
        """Copies of rows, shape (n, dimension), in the order asked for."""
        return self._matrix[rows]

    def block(self, start: int, end: int) -> Vectors:
        """The rows from ``start`` up to ``end``, shape (n, dimension), to be read only."""
        return self._matrix[start : min(end, self._used)]

    def empty(self) -> FileRows:
        """None yet, of the same kind.

        Raises:
            OSError: the disk is full or broken.
        """
        return FileRows(self._directory, self._matrix.shape[1])

    def let_go(self) -> None:
        """Count the pages that were read as the page cache's own again, and no longer as this process's."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    @property
    def _row_bytes(self) -> int:
        return 4 * int(self._matrix.shape[1])

    def _extend(self, capacity: int) -> None:
        """Make the file longer, without allocating disk space, and map all of it; readers keep the old mapping."""
        length = capacity * self._row_bytes
        os.ftruncate(self._descriptor, length)
        self._map = mmap.mmap(self._descriptor, length, prot=mmap.PROT_READ)
        self._matrix = np.frombuffer(self._map, np.float32).reshape(capacity, -1)
