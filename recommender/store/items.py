"""Items with their groups and verdicts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recommender.items import Band, Item, PairVerdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about an item when it arrived: the best pair, and the arrival number of the other side."""

    pair: PairVerdict | None
    matched_seq: int | None

    @property
    def band(self) -> Band:
        """``new`` when there was nothing to compare with."""
        return Band.NEW if self.pair is None else self.pair.band


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One row of the items table.

    Attributes:
        seq: order of arrival in the partition; smaller is earlier.
        revision: 1 for a new item, counted up by every change.
        version: the producer's, if it gives one.
        fingerprint: of the canonical text.
        vector: row of its vector.
        point: its label in the vector index, shared with items of (nearly) the same vector.
        group: the group it belongs to.
    """

    seq: int
    collection: int
    item: Item
    revision: int
    version: int | None
    fingerprint: bytes
    vector: int
    point: int
    group: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Member:
    """An item as its point or group knows it."""

    seq: int
    id: str
    point: int
    group: str


_SELECT = (
    "SELECT seq, collection, id, revision, version, content, attributes, fingerprint, vector, point, grp, verdict, "
    "matched_seq, (SELECT name FROM collections WHERE collections.id = items.collection) FROM items"
)
# How many items of one point are looked at: more twins than this add nothing to a verdict.
_MEMBERS_PER_POINT = 8


class ItemTable:
    """Reads and writes items; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def get(self, collection: int, item_id: str) -> StoredItem | None:
        """The item as it stands, or ``None``."""
        rows = self._db.execute(f"{_SELECT} WHERE collection=? AND id=?", (collection, item_id))
        return next(map(_stored, rows), None)

    def id_of(self, seq: int) -> str | None:
        """Id of the item that arrived as number ``seq``, while it is there."""
        row = self._db.execute("SELECT id FROM items WHERE seq=?", (seq,)).fetchone()
        return None if row is None else str(row[0])

    def by_seq(self, seqs: Collection[int]) -> dict[int, StoredItem]:
        """Items by order of arrival."""
        rows = self._db.execute(
            f"{_SELECT} WHERE seq IN (SELECT value FROM json_each(?))",  # noqa: S608 (constant)
            (json.dumps(list(seqs)),),
        )
        return {row[0]: _stored(row) for row in rows}

    def sayings(self, seqs: Collection[int]) -> dict[int, tuple[Item, bytes]]:
        """What items say, with the fingerprint of it, by order of arrival."""
        rows = self._db.execute(
            "SELECT seq, id, content, attributes, fingerprint FROM items WHERE seq IN (SELECT value FROM json_each(?))",
            (json.dumps(list(seqs)),),
        )
        return {row[0]: (_item(row[1], "", row[2], row[3]), row[4]) for row in rows}

    def prints(self, collection: int, ids: Iterable[str]) -> dict[str, tuple[bytes, bytes]]:
        """Fingerprint and key of the vector, by id, of those that exist."""
        rows = self._db.execute(
            "SELECT items.id, fingerprint, key FROM items JOIN vectors ON vectors.id = vector"
            " WHERE collection=? AND items.id IN (SELECT value FROM json_each(?))",
            (collection, json.dumps(list(ids))),
        )
        return {id_: (print_, key) for id_, print_, key in rows}

    def next_seq(self) -> int:
        """The order of arrival that the next item gets."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='items'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def insert(self, row: StoredItem) -> None:
        """A new arrival; ``row.seq`` comes from ``next_seq``."""
        self._db.execute(
            "INSERT INTO items (seq, collection, id, revision, version, content, attributes, fingerprint, vector,"
            " point, grp, verdict, matched_seq) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                row.seq,
                row.collection,
                row.item.id,
                row.revision,
                row.version,
                _content(row.item),
                _json(row.item.attributes),
                row.fingerprint,
                row.vector,
                row.point,
                row.group,
                None if row.verdict.pair is None else _json(row.verdict.pair.model_dump(mode="json")),
                row.verdict.matched_seq,
            ),
        )

    def update(self, seq: int, item: Item, revision: int, version: int | None) -> None:
        """Other attributes or fields of the same text: arrival, group and verdict stay."""
        self._db.execute(
            "UPDATE items SET content=?, attributes=?, revision=?, version=? WHERE seq=?",
            (_content(item), _json(item.attributes), revision, version, seq),
        )

    def delete(self, seq: int) -> None:
        """Take it out, with the reasons of the verdicts on others that it was matched with: they may quote it."""
        self._db.execute("DELETE FROM items WHERE seq=?", (seq,))
        self._db.execute(
            "UPDATE items SET verdict=json_set(verdict, '$.reasons', json('[]')) WHERE matched_seq=?", (seq,)
        )

    def members(self, points: Collection[int]) -> list[Member]:
        """The earliest items of each point, in order of arrival."""
        rows = self._db.execute(
            "SELECT seq, id, point, grp FROM (SELECT seq, id, point, grp,"
            " row_number() OVER (PARTITION BY point ORDER BY seq) AS rank"
            " FROM items WHERE point IN (SELECT value FROM json_each(?))) WHERE rank <= ? ORDER BY seq",
            (json.dumps(list(points)), _MEMBERS_PER_POINT),
        )
        return [Member(*row) for row in rows]

    def twin(self, collection: int, fingerprint: bytes) -> Member | None:
        """The earliest item of the collection with the same text."""
        row = self._db.execute(
            "SELECT seq, id, point, grp FROM items WHERE fingerprint=? AND collection=? ORDER BY seq LIMIT 1",
            (fingerprint, collection),
        ).fetchone()
        return None if row is None else Member(*row)

    def point_of_vector(self, collection: int, vector: int) -> int | None:
        """The point on which items of the collection with this very vector hang."""
        row = self._db.execute(
            "SELECT point FROM items WHERE vector=? AND collection=? ORDER BY seq LIMIT 1", (vector, collection)
        ).fetchone()
        return None if row is None else int(row[0])

    def canonical(self, groups: Collection[str]) -> dict[str, str]:
        """Id of the earliest item of each group."""
        rows = self._db.execute(
            "SELECT grp, id, min(seq) FROM items WHERE grp IN (SELECT value FROM json_each(?)) GROUP BY grp",
            (json.dumps(sorted(groups)),),
        )
        return {row[0]: row[1] for row in rows}

    def count(self, collection: int | None = None) -> int:
        """Items in the collection, or in all."""
        if collection is None:
            return int(self._db.execute("SELECT count(*) FROM items").fetchone()[0])
        return int(self._db.execute("SELECT count(*) FROM items WHERE collection=?", (collection,)).fetchone()[0])

    def ids(self, collection: int) -> Iterator[str]:
        """All ids of the collection in order of arrival."""
        for (item_id,) in self._db.execute("SELECT id FROM items WHERE collection=? ORDER BY seq", (collection,)):
            yield item_id

    # -- versions of deleted items ------------------------------------------------------------------------------------

    def bury(self, collection: int, item_id: str, version: int) -> None:
        """Remember the version under which an item was deleted."""
        self._db.execute("INSERT OR REPLACE INTO tombstones VALUES (?,?,?)", (collection, item_id, version))

    def buried_version(self, collection: int, item_id: str) -> int | None:
        """The version under which it was deleted, if any."""
        row = self._db.execute(
            "SELECT version FROM tombstones WHERE collection=? AND id=?", (collection, item_id)
        ).fetchone()
        return None if row is None else int(row[0])

    def unbury(self, collection: int, item_id: str) -> None:
        """The item lives again, or is to be forgotten altogether."""
        self._db.execute("DELETE FROM tombstones WHERE collection=? AND id=?", (collection, item_id))


def _stored(row: Any) -> StoredItem:
    seq, collection, item_id, revision, version, content, attributes, print_, vector, point, group, *matched, name = row
    pair, matched_seq = matched
    verdict = Verdict(None if pair is None else PairVerdict.model_validate_json(pair), matched_seq)
    item = _item(item_id, name, content, attributes)
    return StoredItem(seq, collection, item, revision, version, print_, vector, point, group, verdict)


def _item(item_id: str, collection: str, content: str, attributes: str) -> Item:
    """An item from its row; it was validated when it came in."""
    said = json.loads(content)
    timestamp = said["timestamp"]
    return Item.model_construct(
        id=item_id,
        collection=collection,
        text=said["text"],
        fields=said["fields"],
        attributes=json.loads(attributes),
        timestamp=timestamp and datetime.fromisoformat(timestamp),
        vector=None,
    )


def _content(item: Item) -> str:
    return _json(item.model_dump(mode="json", include={"text", "fields", "timestamp"}))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
