"""Vectors, recorded once and never computed again, and the points of the index that use them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from recommender.store.recent import Recent

Vector = NDArray[np.float32]
Labels = NDArray[np.int64]

_VECTORS_KEPT = 4096


class VectorTable:
    """Reads and writes vectors and points; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._recent: Recent[int, Vector] = Recent(_VECTORS_KEPT)

    def forget(self) -> None:
        """Forget what is in memory: a transaction was rolled back."""
        self._recent.clear()

    def find(self, model: str, key: bytes) -> tuple[int, Vector, bool] | None:
        """Row, vector of shape (dimension,) and truncation flag of what was embedded before under this key."""
        row = self._db.execute(
            "SELECT id, data, truncated FROM vectors WHERE model=? AND key=?", (model, key)
        ).fetchone()
        return None if row is None else (row[0], np.frombuffer(row[1], np.float32), bool(row[2]))

    def get(self, row: int) -> Vector:
        """The vector of an item, shape (dimension,)."""
        return self.several([row])[row]

    def several(self, rows: Collection[int]) -> dict[int, Vector]:
        """The vectors of items by row, each of shape (dimension,)."""
        found = {row: vector for row in rows if (vector := self._recent.get(row)) is not None}
        missing = [row for row in rows if row not in found]
        if missing:
            read = self._db.execute(
                "SELECT id, data FROM vectors WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(missing),)
            )
            for row, data in read:
                found[row] = np.frombuffer(data, np.float32)
                self._recent.put(row, found[row])
        return found

    def key(self, row: int) -> bytes:
        """The key under which the vector of an item was recorded."""
        (key,) = self._db.execute("SELECT key FROM vectors WHERE id=?", (row,)).fetchone()
        return bytes(key)

    def add(self, model: str, key: bytes, vector: Vector, truncated: bool) -> int:
        """Record a vector; returns its row."""
        cursor = self._db.execute(
            "INSERT INTO vectors (model, key, truncated, data) VALUES (?,?,?,?)",
            (model, key, truncated, np.ascontiguousarray(vector, np.float32).tobytes()),
        )
        return int(cursor.lastrowid or 0)

    def add_point(self, collection: int, vector: int) -> int:
        """A new label for the collection's index."""
        cursor = self._db.execute("INSERT INTO points (collection, vector) VALUES (?,?)", (collection, vector))
        return int(cursor.lastrowid or 0)

    def release(self, point: int, vector: int) -> bool:
        """Drop the point and the vector if nothing hangs on them any more; true if the point went."""
        dropped = self._db.execute(
            "DELETE FROM points WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM items WHERE point=?1) RETURNING vector",
            (point,),
        ).fetchone()
        for row in {vector, *(dropped or ())}:
            self._recent.drop(row)  # its number may be used again
            self._db.execute(
                "DELETE FROM vectors WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM items WHERE vector=?1)"
                " AND NOT EXISTS (SELECT 1 FROM points WHERE vector=?1)",
                (row,),
            )
        return dropped is not None

    def points(self, labels: Labels, block: int = 10_000) -> Iterator[tuple[Labels, Vector]]:
        """Vectors of points, shape (n, dimension), in blocks of ascending labels."""
        for start in range(0, len(labels), block):
            rows = self._db.execute(
                "SELECT points.id, data FROM points JOIN vectors ON vectors.id = points.vector"
                " WHERE points.id IN (SELECT value FROM json_each(?)) ORDER BY points.id",
                (json.dumps(labels[start : start + block].tolist()),),
            ).fetchall()
            data = b"".join(row[1] for row in rows)
            yield (
                np.array([row[0] for row in rows], np.int64),
                np.frombuffer(data, np.float32).reshape(len(rows), -1),
            )

    def labels(self, collection: int) -> Labels:
        """All live labels of the collection, ascending."""
        rows = self._db.execute("SELECT id FROM points WHERE collection=? ORDER BY id", (collection,))
        return np.fromiter((row[0] for row in rows), np.int64)
