"""The second model of each collection that has one: proposed, or live until the latest switch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, replace


@dataclass(frozen=True, slots=True)
class SecondModel:
    """A model by which a collection is embedded beside its live one.

    Attributes:
        collection: its number.
        name: of the model in the settings.
        model: identity of its vectors.
        dimension: length of its vectors.
        embedded_seq: items up to this arrival number have been embedded by it.
        tries: how often items behind that were begun; more than one, if processes have ended meanwhile.
        previous: whether it was the live model before the latest switch; otherwise it is proposed.
    """

    collection: int
    name: str
    model: str
    dimension: int
    embedded_seq: int = 0
    tries: int = 0
    previous: bool = False

    @property
    def digest(self) -> str:
        """Fingerprint of the model."""
        return self.model.rpartition("@")[2]


class SecondModelTable:
    """Reads and writes second models; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def all(self) -> list[SecondModel]:
        """Every one, by collection."""
        rows = self._db.execute(
            "SELECT collection, name, model, dimension, embedded_seq, tries, previous"
            " FROM second_models ORDER BY collection"
        )
        return [replace(SecondModel(*row), previous=bool(row[-1])) for row in rows]

    def put(self, one: SecondModel) -> None:
        """Store one, in place of that of its collection."""
        self._db.execute("INSERT OR REPLACE INTO second_models VALUES (?,?,?,?,?,?,?)", astuple(one))
        self._db.execute("DELETE FROM dropped_models WHERE model=?", (one.model,))

    def drop(self, one: SecondModel) -> None:
        """Delete one; vectors of its model that nothing uses are deleted in small steps (`VectorTable.sweep`)."""
        self._db.execute("DELETE FROM second_models WHERE collection=?", (one.collection,))
        self._db.execute("INSERT OR REPLACE INTO dropped_models VALUES (?, x'')", (one.model,))

    def left(self, one: SecondModel) -> int:
        """How many items have yet to be embedded."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM items WHERE collection=? AND seq > ?", (one.collection, one.embedded_seq)
        ).fetchone()
        return int(count)

    def vectors_of(self, seqs: Collection[int]) -> dict[int, int]:
        """Rows of the live vectors of items that are still stored, by arrival number."""
        read = "SELECT seq, vector FROM items WHERE seq IN (SELECT value FROM json_each(?))"
        return dict(self._db.execute(read, (json.dumps(list(seqs)),)))

    def items(self, one: SecondModel, block: int = 1000) -> Iterator[list[tuple[int, bytes]]]:
        """Arrival number, and key of the live vector, of the items of a collection in order of arrival, in blocks."""
        after = 0
        while rows := self._db.execute(
            "SELECT seq, key FROM items JOIN vectors ON vectors.id = items.vector"
            " WHERE items.collection=? AND seq > ? ORDER BY seq LIMIT ?",
            (one.collection, after, block),
        ).fetchall():
            yield rows
            after = rows[-1][0]

    def rows(self, model: str, keys: Collection[bytes]) -> dict[bytes, int]:
        """Rows of the vectors of a model by their keys, of those that are stored."""
        places = ",".join("?" * len(keys))
        read = f"SELECT key, id FROM vectors WHERE model=? AND key IN ({places})"  # noqa: S608
        return dict(self._db.execute(read, (model, *keys)))

    def switch(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Give items other vectors: row of the vector, point, and arrival number of each."""
        self._db.executemany("UPDATE items SET vector=?, point=? WHERE seq=?", rows)

    def drop_points(self, collection: int, last: int) -> None:
        """Delete the points of a collection up to a number: no item is on them any more."""
        self._db.execute("DELETE FROM points WHERE collection=? AND id <= ?", (collection, last))

    def last_point(self, collection: int) -> int:
        """The newest point of a collection; 0 if it has none."""
        (last,) = self._db.execute("SELECT max(id) FROM points WHERE collection=?", (collection,)).fetchone()
        return int(last or 0)
