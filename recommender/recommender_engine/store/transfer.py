"""Rows of a collection that moves: read at the source, written at the target, deleted at the source."""

from __future__ import annotations

import sqlite3
from typing import Any

_TABLES_AND_KEYS = (
    ("tombstones", "id"),
    ("answers", "id"),
    ("terms", "term"),
    ("models", "collection"),
    ("users", "num"),
    ("used_items", "num"),
    ("sessions", "num"),
    ("interactions", "id"),
    ("shown_lists", "num"),
    ("hit_rates", "day"),
    ("traffic", "hour"),
    ("incidents", "id"),
    ("novelty", "slot"),
    ("standings", "what"),
    ("probabilities", "band"),
    ("arrivals", "start_ms"),
    ("subscriptions", "num"),
    ("listed_items", "item"),
    ("list_changes", "id"),
    ("list_weights", "collection"),
)
_GONE = "\n"  # in the name of a collection that has left; not allowed in ids


class TransferTable:
    """Reads and writes rows of a move; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # -- leaving -------------------------------------------------------------------------------------------------------

    def last_numbers(self) -> tuple[int, int]:
        """The highest arrival number and the highest point number ever used."""
        found: dict[str, int] = dict(self._db.execute("SELECT name, seq FROM sqlite_sequence"))
        return found.get("items", 0), found.get("points", 0)

    def points(self, collection: int, after: int, limit: int) -> list[tuple[int, bytes, int, bytes]]:
        """Points after number ``after``: number, key of the vector, truncation flag, float32 bytes."""
        return self._db.execute(
            "SELECT points.id, key, truncated, data FROM points JOIN vectors ON vectors.id = vector"
            " WHERE collection=? AND points.id > ? ORDER BY points.id LIMIT ?",
            (collection, after, limit),
        ).fetchall()

    def own_vector(self, seq: int) -> tuple[bytes, int, bytes] | None:
        """Key, truncation flag and bytes of an item's vector, if it differs from that of its point."""
        row: Any = self._db.execute(
            "SELECT key, truncated, data FROM items JOIN points ON points.id = point JOIN vectors ON"
            " vectors.id = items.vector WHERE seq=? AND points.vector <> items.vector",
            (seq,),
        ).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def tombstones(self, collection: int, after: str, limit: int) -> list[tuple[str, int]]:
        """Ids of deleted items after ``after``, with their versions."""
        return self._db.execute(
            "SELECT id, version FROM tombstones WHERE collection=? AND id > ? ORDER BY id LIMIT ?",
            (collection, after, limit),
        ).fetchall()

    def pending(self, collection: int) -> int:
        """Number of answers that the collection's matcher has not learned from."""
        row = self._db.execute(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM lessons WHERE collection=:id) THEN"
            " (SELECT count(*) FROM answers WHERE collection=:id) ELSE pending END FROM models WHERE collection=:id",
            {"id": collection},
        ).fetchone()
        return 0 if row is None else int(row[0])

    # -- arriving ------------------------------------------------------------------------------------------------------

    def reserve(self, arrivals: int, points: int) -> tuple[int, int]:
        """Reserve arrival and point numbers; returns the last ones before them."""
        last_seq, last_point = self.last_numbers()
        for name, number in (("items", last_seq + arrivals), ("points", last_point + points)):
            if not self._db.execute("UPDATE sqlite_sequence SET seq=? WHERE name=?", (number, name)).rowcount:
                self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?,?)", (name, number))
        return last_seq, last_point

    def taken(self, collection: int, seq: int, item_id: str) -> bool:
        """Whether an item has this arrival number, or an item of the collection has this id."""
        row = self._db.execute(
            "SELECT 1 FROM items WHERE seq=? UNION ALL SELECT 1 FROM items WHERE collection=? AND id=? LIMIT 1",
            (seq, collection, item_id),
        ).fetchone()
        return row is not None

    def add_point(self, id_: int, collection: int, vector: int) -> None:
        """Add a point under a reserved number."""
        self._db.execute("INSERT INTO points (id, collection, vector) VALUES (?,?,?)", (id_, collection, vector))

    def vector_of(self, point: int) -> tuple[int, int] | None:
        """Collection and vector of a point, if there is one."""
        row = self._db.execute("SELECT collection, vector FROM points WHERE id=?", (point,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def keep_model(self, collection: int, answers: int, pending: int, model: str) -> None:
        """Store the received model of the matcher."""
        self._db.execute("INSERT OR REPLACE INTO models VALUES (?,?,?,?)", (collection, answers, pending, model))

    # -- gone ----------------------------------------------------------------------------------------------------------

    def retire(self, collection: int, name: str, move: str) -> None:
        """Free the name of a collection; its rows are deleted in small steps."""
        self._db.execute("UPDATE collections SET name=? WHERE id=?", (f"{name}{_GONE}{move} {collection}", collection))

    def retired(self) -> int | None:
        """A collection with rows to delete, if any."""
        row = self._db.execute(
            "SELECT id FROM collections WHERE instr(name, ?) > 1 ORDER BY id LIMIT 1", (_GONE,)
        ).fetchone()
        return None if row is None else int(row[0])

    def retired_as(self, name: str) -> list[int]:
        """Collections that had this name and have rows to delete."""
        rows = self._db.execute(
            "SELECT id FROM collections WHERE substr(name, 1, length(:gone)) = :gone ORDER BY id",
            {"gone": name + _GONE},
        )
        return [row[0] for row in rows]

    def rule_of(self, collection: int) -> str:
        """The rule of a retired collection; it determines whether its texts were indexed."""
        row = self._db.execute("SELECT settings ->> '$.rule' FROM collections WHERE id=?", (collection,)).fetchone()
        return str(row[0])

    def clear(self, collection: int, limit: int) -> None:
        """Delete at most ``limit`` rows per table of a retired collection without items, and finally its own row."""
        vectors = self._db.execute(
            "DELETE FROM points WHERE id IN (SELECT id FROM points WHERE collection=? LIMIT ?) RETURNING vector",
            (collection, limit),
        ).fetchall()
        self._db.executemany(
            "DELETE FROM vectors WHERE id=:id AND NOT EXISTS (SELECT 1 FROM items WHERE vector=:id)"
            " AND NOT EXISTS (SELECT 1 FROM points WHERE vector=:id)",
            [{"id": vector} for (vector,) in vectors],
        )
        gone = len(vectors)
        self._db.execute(
            "DELETE FROM session_rings WHERE session IN (SELECT num FROM sessions WHERE collection=? LIMIT ?)",
            (collection, limit),
        )
        for table, key in _TABLES_AND_KEYS:
            gone += self._db.execute(
                f"DELETE FROM {table} WHERE collection=? AND {key} IN"  # noqa: S608 (constants)
                f" (SELECT {key} FROM {table} WHERE collection=? LIMIT ?)",
                (collection, collection, limit),
            ).rowcount
        if not gone:
            self._db.execute("DELETE FROM collections WHERE id=?", (collection,))
