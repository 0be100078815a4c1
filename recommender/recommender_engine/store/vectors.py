"""Stored vectors, which are never computed twice, and the points of the index that use them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recent import Recent
from recommender_engine.store.recent_items import RecentItems

Vector = NDArray[np.float32]
Labels = NDArray[np.int64]

_VECTORS_KEPT = 32 * 2**20  # bytes
_A_VECTOR = 300  # bytes, without its numbers
KEY_BYTES = 1 + 32
"""Length of the key of a vector that serves all collections; that of one that came by a move has more behind it."""
_UNUSED = (
    "NOT EXISTS (SELECT 1 FROM items WHERE items.vector = vectors.id)"
    " AND NOT EXISTS (SELECT 1 FROM points WHERE points.vector = vectors.id)"
)
_RELEASE = f"DELETE FROM vectors WHERE id=? AND {_UNUSED} RETURNING key"  # noqa: S608 (constant)
_RELEASE_OTHERS = (
    "DELETE FROM vectors WHERE model IN (SELECT model FROM second_models UNION SELECT model FROM dropped_models)"  # noqa: S608
    f" AND key >= ? AND key < ? AND {_UNUSED} RETURNING id"
)
_UNKNOWN_KEPT = 4096  # keys; the key of an item is looked up twice: before it is embedded, and when it is stored


class Known(NamedTuple):
    """A stored vector.

    Attributes:
        key: key of the vector.
        row: row of the vector.
        vector: shape (dimension,).
        truncated: whether the text was longer than the model reads.
    """

    key: bytes
    row: int
    vector: Vector
    truncated: bool


class VectorTable:
    """Reads and writes vectors and points; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, items: RecentItems) -> None:
        self._db = connection
        self._items = items
        self._recent: Recent[int, Vector] = Recent(_VECTORS_KEPT, lambda row, vector: _A_VECTOR + vector.nbytes)
        self._unknown: Recent[tuple[str, bytes], None] = Recent(_UNKNOWN_KEPT)

    @property
    def kept_bytes(self) -> int:
        """Estimated bytes of the cached vectors."""
        return self._recent.weight

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._recent.clear()
        self._unknown.clear()

    def find(self, model: str, *keys: bytes) -> Known | None:
        """The stored vector of the first known key."""
        asked = [key for key in keys if (model, key) not in self._unknown]
        if not asked:
            return None
        rows = self._db.execute(
            f"SELECT key, id, data, truncated FROM vectors WHERE model=? AND key IN ({_places(len(asked))})",  # noqa: S608
            (model, *asked),
        )
        found = {row[0]: row for row in rows}
        for key in asked:
            if key in found:
                _, row, data, truncated = found[key]
                return Known(key, row, np.frombuffer(data, np.float32), bool(truncated))
            self._unknown.put((model, key), None)
        return None

    def get(self, row: int) -> Vector:
        """The vector of an item, shape (dimension,)."""
        return self.several([row])[row]

    def several(self, rows: Collection[int]) -> dict[int, Vector]:
        """The vectors of items by row, each of shape (dimension,)."""
        found = self._recent.among(rows)
        missing = [row for row in rows if row not in found]
        if missing:
            read = self._db.execute(
                "SELECT id, data FROM vectors WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(missing),)
            )
            for row, data in read:
                found[row] = np.frombuffer(data, np.float32)
                self._recent.put(row, found[row])
        return found

    def of_points(self, points: Collection[int]) -> dict[int, Vector]:
        """The vectors of points, as the index has them, each of shape (dimension,)."""
        read = "SELECT id, vector FROM points WHERE id IN (SELECT value FROM json_each(?))"
        rows: dict[int, int] = dict(self._db.execute(read, (json.dumps(list(points)),)))
        vectors = self.several(set(rows.values()))
        return {point: vectors[row] for point, row in rows.items()}

    def key(self, row: int) -> bytes:
        """The key of a vector row."""
        (key,) = self._db.execute("SELECT key FROM vectors WHERE id=?", (row,)).fetchone()
        return bytes(key)

    def add(self, model: str, key: bytes, vector: Vector, truncated: bool) -> int:
        """Store a vector; returns its row."""
        self._unknown.drop((model, key))
        data = np.ascontiguousarray(vector, np.float32).tobytes()
        cursor = self._db.execute(
            "INSERT INTO vectors (model, key, truncated, data) VALUES (?,?,?,?)", (model, key, truncated, data)
        )
        row = int(cursor.lastrowid or 0)
        self._recent.put(row, np.frombuffer(data, np.float32))
        return row

    def add_point(self, collection: int, vector: int) -> int:
        """Add a point; returns its label in the collection's index."""
        cursor = self._db.execute("INSERT INTO points (collection, vector) VALUES (?,?)", (collection, vector))
        point = int(cursor.lastrowid or 0)
        self._items.made(point)
        return point

    def release(self, point: int, vector: int) -> bool:
        """Delete the point and the vector if no item uses them any more; true if the point was deleted."""
        dropped = self._db.execute(
            "DELETE FROM points WHERE id=:id AND NOT EXISTS (SELECT 1 FROM items WHERE point=:id) RETURNING vector",
            {"id": point},
        ).fetchone()
        for row in {vector, *(dropped or ())}:
            gone = self._db.execute(_RELEASE, (row,)).fetchone()
            if gone is not None:
                self._recent.drop(row)  # its number may be reused
                self._release_others(bytes(gone[0])[:KEY_BYTES])
        return dropped is not None

    def _release_others(self, key: bytes) -> None:
        """Delete the vectors of the same text by second models, under any form of its key."""
        rows = self._db.execute(_RELEASE_OTHERS, (key, key + b"\xff" * 9)).fetchall()
        for (row,) in rows:
            self._recent.drop(row)

    def sweep(self, limit: int) -> int:
        """Look at some vectors of models that were dropped, and delete those that nothing uses; how many rows.

        A model waits for as long as a collection has it as its second.
        """
        found = self._db.execute(
            "SELECT model, key FROM dropped_models WHERE model NOT IN (SELECT model FROM second_models) LIMIT 1"
        ).fetchone()
        if found is None:
            return 0
        model, after = found
        rows = self._db.execute(
            "SELECT id, key FROM vectors WHERE model=? AND key > ? ORDER BY key LIMIT ?", (model, after, limit)
        ).fetchall()
        if not rows:
            self._db.execute("DELETE FROM dropped_models WHERE model=?", (model,))
            return 1
        for row, _ in rows:
            if self._db.execute(_RELEASE, (row,)).fetchone() is not None:
                self._recent.drop(row)
        self._db.execute("UPDATE dropped_models SET key=? WHERE model=?", (rows[-1][1], model))
        return len(rows)

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
        """All labels of the collection, ascending."""
        rows = self._db.execute("SELECT id FROM points WHERE collection=? ORDER BY id", (collection,))
        return np.fromiter((row[0] for row in rows), np.int64)


def _places(count: int) -> str:
    return ",".join("?" * count)
