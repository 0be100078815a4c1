"""Items with their groups and verdicts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import chain, repeat
from typing import Any

from recommender_engine.items import Band, Item, PairVerdict
from recommender_engine.store.changed_items import ChangedItems
from recommender_engine.store.recent_items import LONGEST_KEPT, RecentItems
from recommender_engine.store.rows import (
    MEMBERS_PER_POINT,
    AttributeRow,
    ItemText,
    LikelyPair,
    Member,
    PolicyKeyOf,
    StoredItem,
    Verdict,
)
from recommender_engine.store.standings import Standings
from recommender_engine.store.tally import CollectionCounts

_SELECT = (
    "SELECT seq, collection, id, revision, version, content, attributes, fingerprint, vector, point, grp, verdict, "
    "matched_seq, at_ms, compared, happened_ms,"
    " (SELECT name FROM collections WHERE collections.id = items.collection) FROM items"
)

_ATTRIBUTES = "SELECT seq, point, at_ms, attributes FROM items"


class ItemTable:
    """Reads and writes items; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, recent: RecentItems, standings: Standings) -> None:
        self._db = connection
        self._standings = standings
        self.recent = recent
        self.counts = CollectionCounts(connection, "items")
        self.changes = ChangedItems(connection)

    def get(self, collection: int, item_id: str, hidden_ms: int | None = None) -> StoredItem | None:
        """The stored item, or ``None``.

        Args:
            collection: its number.
            item_id: the id.
            hidden_ms: items that arrived up to this stream time are hidden; likewise in other methods.
        """
        rows = self._db.execute(f"{_SELECT} WHERE collection=? AND id=?", (collection, item_id))
        row = next(map(_stored, rows), None)
        return row if row is None or hidden_ms is None or row.at_ms > hidden_ms else None

    def id_of(self, seq: int, hidden_ms: int | None = None) -> str | None:
        """Id of the item with arrival number ``seq``, if it is stored and visible.

        Args:
            seq: arrival number.
            hidden_ms: items that arrived up to this stream time are hidden; likewise in other methods.
        """
        if hidden_ms is None and (text := self.recent.texts.get(seq)) is not None:
            return text.item.id
        row = self._db.execute("SELECT id FROM items WHERE seq=? AND at_ms > ?", (seq, _since(hidden_ms))).fetchone()
        return None if row is None else str(row[0])

    def by_seq(self, seqs: Collection[int]) -> dict[int, StoredItem]:
        """Items by arrival number."""
        if not seqs:
            return {}
        rows = self._db.execute(
            f"{_SELECT} WHERE seq IN (SELECT value FROM json_each(?))",  # noqa: S608 (constant)
            (json.dumps(list(seqs)),),
        )
        return {row[0]: _stored(row) for row in rows}

    def verdicts(self, seqs: Collection[int]) -> dict[int, PairVerdict]:
        """Verdicts of items on a pair, by arrival number, of those that have one."""
        rows = self._db.execute(
            "SELECT seq, verdict FROM items WHERE seq IN (SELECT value FROM json_each(?)) AND verdict IS NOT NULL",
            (json.dumps(list(seqs)),),
        )
        return {seq: PairVerdict.model_validate_json(pair) for seq, pair in rows}

    def texts(self, seqs: Collection[int], collection: str) -> dict[int, ItemText]:
        """Texts of items of a collection, by arrival number."""
        found = self.recent.texts.among(seqs)
        if len(found) < len(seqs):
            found.update(self._read_texts([seq for seq in seqs if seq not in found], collection))
        return found

    def _read_texts(self, seqs: list[int], collection: str) -> Iterator[tuple[int, ItemText]]:
        rows = self._db.execute(
            "SELECT seq, id, COALESCE(compared, content), attributes, fingerprint, vector, at_ms FROM items"
            " WHERE seq IN (SELECT value FROM json_each(?))",
            (json.dumps(seqs),),
        )
        for seq, id_, content, attributes, *others in rows:
            text = ItemText(item_of(id_, collection, content, attributes), *others)
            if len(text.item.content) <= LONGEST_KEPT:
                self.recent.texts.put(seq, text)
            yield seq, text

    def next_seq(self) -> int:
        """Arrival number of the next item."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='items'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def insert(self, row: StoredItem, policy_key: PolicyKeyOf = (None, None)) -> None:
        """Insert a new item; ``row.seq`` comes from ``next_seq``.

        Args:
            row: the item.
            policy_key: its policy key.
        """
        self._db.execute(
            "INSERT INTO items (seq, collection, id, revision, version, content, attributes, fingerprint, vector,"
            " point, grp, verdict, matched_seq, at_ms, compared, length, happened_ms, scope, moment,"
            " band, stated, worth) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
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
                _verdict_json(row.verdict),
                row.verdict.matched_seq,
                row.at_ms,
                _cut(row.cut),
                _length(row.item),
                row.happened_ms,
                *policy_key,
                *self._standings.arriving(row),
            ),
        )
        self.counts.change(row.collection, 1)
        self.changes.note(row.collection, row.seq)
        self.recent.arrived(row)

    def correct(self, seq: int, verdict: Verdict) -> None:
        """Replace the verdict of an item."""
        written = self._db.execute(
            "UPDATE items SET verdict=?, matched_seq=? WHERE seq=? RETURNING collection",
            (_verdict_json(verdict), verdict.matched_seq, seq),
        ).fetchall()
        for (collection,) in written:
            self._standings.corrected(seq, collection, verdict)

    def rematch(self, seqs: Collection[int], matched_seq: int) -> None:
        """Set the matched item of duplicates, and delete their reasons."""
        self._db.execute(
            "UPDATE items SET matched_seq=?, verdict=json_set(verdict, '$.band', 'duplicate', '$.reasons', json('[]'),"
            " '$.explanation', '') WHERE seq IN (SELECT value FROM json_each(?)) AND verdict IS NOT NULL",
            (matched_seq, json.dumps(list(seqs))),
        )
        self._standings.refresh(seqs)

    def update(self, row: StoredItem, policy_key: PolicyKeyOf = (None, None)) -> None:
        """Change attributes or fields of an item of the same text; arrival, group and verdict stay."""
        seq, item = row.seq, row.item
        content = _content(item), _cut(row.cut), _length(item), _json(item.attributes)
        groups = self._db.execute(
            "UPDATE items SET content=?, compared=?, length=?, attributes=?, revision=?, version=?, scope=?, moment=?"
            " WHERE seq=? RETURNING grp",
            (*content, row.revision, row.version, *policy_key, seq),
        ).fetchall()
        self.recent.texts.drop(seq)
        self.changes.note(row.collection, seq)
        for (group,) in groups:
            self.recent.regrouped(group)  # the longest item may be another one now

    def recut(self, row: StoredItem, policy_key: PolicyKeyOf = (None, None)) -> None:
        """Change the compared text of an item, with its vector and point; all else stays."""
        old = self._db.execute("SELECT point FROM items WHERE seq=?", (row.seq,)).fetchone()
        self._db.execute(
            "UPDATE items SET compared=?, fingerprint=?, vector=?, point=?, scope=?, moment=? WHERE seq=?",
            (_cut(row.cut), row.fingerprint, row.vector, row.point, *policy_key, row.seq),
        )
        self.changes.note(row.collection, row.seq)
        self.recent.left(row.collection, row.item.id, row.seq, *(old or ()), row.point, group=row.group)

    def delete(self, seq: int) -> None:
        """Delete an item, and the reasons of verdicts matched with it, which may quote it."""
        gone = self._db.execute(
            "DELETE FROM items WHERE seq=? RETURNING collection, id, point, grp, band, stated", (seq,)
        ).fetchone()
        self._db.execute(
            "UPDATE items SET verdict=json_set(verdict, '$.reasons', json('[]'), '$.explanation', '')"
            " WHERE matched_seq=?",
            (seq,),
        )
        if gone is not None:
            collection, id_, point, group, *standing = gone
            self.counts.change(collection, -1)
            self.changes.note(collection, seq)
            self.recent.left(collection, id_, seq, point, group=group)
            self._standings.deleted(seq, collection, group, *standing)

    def attributes(self, collection: int, seqs: Collection[int] | None = None) -> Iterator[AttributeRow]:
        """Number, point, stream time of arrival and attributes of items of a collection, in order of arrival.

        Args:
            collection: whose.
            seqs: of which items; by default of all.
        """
        if seqs is None:
            rows = self._db.execute(f"{_ATTRIBUTES} WHERE collection=? ORDER BY seq", (collection,))
        else:
            rows = self._db.execute(
                f"{_ATTRIBUTES} WHERE seq IN (SELECT value FROM json_each(?)) AND +collection=? ORDER BY seq",  # noqa: S608
                (json.dumps(list(seqs)), collection),
            )
        return ((seq, point, at_ms, json.loads(attributes)) for seq, point, at_ms, attributes in rows)

    def members(self, points: Collection[int], hidden_ms: int | None = None) -> list[Member]:
        """The earliest items of each point, in order of arrival."""
        if hidden_ms is not None:
            return sorted(chain.from_iterable(self._read_members(list(points), hidden_ms).values()))
        known = self.recent.members.among(points)
        if len(known) < len(points):
            read = self._read_members([point for point in points if point not in known])
            for point, members in read.items():
                self.recent.members.put(point, members)
            known.update(read)
        return sorted(chain.from_iterable(known.values()))

    def _read_members(self, points: list[int], hidden_ms: int | None = None) -> dict[int, list[Member]]:
        rows = self._db.execute(
            "SELECT items.seq, items.id, point, grp FROM json_each(?) AS points CROSS JOIN items ON items.seq IN"
            " (SELECT seq FROM items WHERE point = points.value AND at_ms > ? ORDER BY seq LIMIT ?) ORDER BY items.seq",
            (json.dumps(points), _since(hidden_ms), MEMBERS_PER_POINT),
        )
        found: dict[int, list[Member]] = {}
        for row in rows:
            found.setdefault(row[2], []).append(Member(*row))
        return found

    def by_number(self, seqs: Collection[int]) -> list[Member]:
        """The stored ones of some items, by arrival number."""
        rows = self._db.execute(
            "SELECT seq, id, point, grp FROM items WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq",
            (json.dumps(list(seqs)),),
        )
        return [Member(*row) for row in rows]

    def vector_rows(self, seqs: Collection[int]) -> dict[int, int]:
        """Vector row of some items, by arrival number."""
        return dict(
            self._db.execute(
                "SELECT seq, vector FROM items WHERE seq IN (SELECT value FROM json_each(?))",
                (json.dumps(list(seqs)),),
            )
        )

    def arrival_times(self, seqs: Collection[int]) -> dict[int, int]:
        """Stream time of the arrival of some items, in milliseconds since 1970, by arrival number."""
        return dict(
            self._db.execute(
                "SELECT seq, at_ms FROM items WHERE seq IN (SELECT value FROM json_each(?))", (json.dumps(list(seqs)),)
            )
        )

    def latest(self, collection: int, limit: int, hidden_ms: int | None = None) -> list[Member]:
        """The visible items that arrived last, the latest first."""
        rows = self._db.execute(
            "SELECT seq, id, point, grp FROM items WHERE collection=? AND +at_ms > ? AND grp <> ''"
            " ORDER BY seq DESC LIMIT ?",
            (collection, _since(hidden_ms), limit),
        )
        return [Member(*row) for row in rows]

    def visible_points(self, points: Collection[int], hidden_ms: int) -> list[int]:
        """The points that have a visible item, in the order given."""
        rows = self._db.execute(
            "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM items WHERE point = value AND at_ms > ?)"
            " ORDER BY key",
            (json.dumps(list(points)), hidden_ms),
        )
        return [row[0] for row in rows]

    def visible(self, seqs: Collection[int], hidden_ms: int | None) -> list[int]:
        """The visible ones of some items, in the order given."""
        if hidden_ms is None:
            return list(seqs)
        rows = self._db.execute(
            "SELECT value FROM json_each(?) JOIN items ON seq = value WHERE at_ms > ? ORDER BY json_each.key",
            (json.dumps(list(seqs)), hidden_ms),
        )
        return [row[0] for row in rows]

    def named(self, collection: int, ids: Collection[str]) -> list[Member]:
        """Items by id, without those in no group, in order of arrival."""
        kept = self.recent.named.among(zip(repeat(collection), ids, strict=False))
        found = list(kept.values())
        if len(found) < len(ids):
            rows = self._db.execute(
                "SELECT seq, id, point, grp FROM items WHERE collection=? AND id IN (SELECT value FROM json_each(?))"
                " AND grp <> ''",
                (collection, json.dumps(sorted(id_ for id_ in ids if (collection, id_) not in kept))),
            )
            for row in rows:
                member = Member(*row)
                self.recent.named.put((collection, member.id), member)
                found.append(member)
        return sorted(found)

    def twin(self, collection: int, fingerprint: bytes, hidden_ms: int | None = None) -> Member | None:
        """The earliest item of the collection with the same text."""
        row = self._db.execute(
            "SELECT seq, id, point, grp FROM items WHERE fingerprint=? AND collection=? AND +at_ms > ?"
            " ORDER BY seq LIMIT 1",  # by itself it would rather read the collection by its times
            (fingerprint, collection, _since(hidden_ms)),
        ).fetchone()
        return None if row is None else Member(*row)

    def point_of_vector(self, collection: int, vector: int) -> int | None:
        """The point of the items of the collection with exactly this vector."""
        row = self._db.execute(
            "SELECT point FROM items WHERE vector=? AND collection=? ORDER BY seq LIMIT 1", (vector, collection)
        ).fetchone()
        return None if row is None else int(row[0])

    def matched_with(self, seq: int, band: Band, limit: int) -> list[int]:
        """Items whose verdict has this band and is about the item with arrival number ``seq``, in order of arrival."""
        rows = self._db.execute(
            "SELECT seq FROM items WHERE matched_seq=? AND json_extract(verdict, '$.band')=? ORDER BY seq LIMIT ?",
            (seq, band.value, limit),
        )
        return [row[0] for row in rows]

    def likely(
        self, collection: int, since: int, least: float, limit: int, hidden_ms: int | None = None
    ) -> list[LikelyPair]:
        """Items that arrived after number ``since``, each with its matched item, the most probable first.

        Only uncontested pairs of stored items with different texts and a probability of at least ``least``.
        """
        rows = self._db.execute(
            "SELECT one.seq, one.id, other.seq, other.id, one.stated"
            " FROM items AS one JOIN items AS other ON other.seq = one.matched_seq"
            " WHERE one.collection=? AND one.seq > ? AND other.at_ms > ? AND one.at_ms > ? AND one.stated >= ?"
            " AND other.fingerprint <> one.fingerprint AND json_extract(one.verdict, '$.contested') IS NOT 1"
            " ORDER BY one.stated DESC, one.seq LIMIT ?",
            (collection, since, _since(hidden_ms), _since(hidden_ms), least, limit),
        )
        return [LikelyPair(*row) for row in rows]

    def arrived_until(self, collection: int, at_ms: int, limit: int) -> list[int]:
        """Items that arrived at ``at_ms`` or before, at most ``limit``, the earliest first."""
        rows = self._db.execute(
            "SELECT seq FROM items WHERE collection=? AND at_ms <= ? ORDER BY at_ms, seq LIMIT ?",
            (collection, at_ms, limit),
        )
        return [row[0] for row in rows]

    def first_arrival_ms(self, collection: int, after_ms: int = -1) -> int | None:
        """Stream time of the earliest arrival after a time, of the stored items."""
        row = self._db.execute(
            "SELECT min(at_ms) FROM items WHERE collection=? AND at_ms > ?", (collection, after_ms)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def after(self, collection: int, seq: int, limit: int, hidden_ms: int | None = None) -> list[StoredItem]:
        """Items of a collection that arrived after number ``seq``, at most ``limit``, in order of arrival."""
        rows = self._db.execute(
            f"{_SELECT} WHERE collection=? AND seq > ? AND at_ms > ? ORDER BY seq LIMIT ?",
            (collection, seq, _since(hidden_ms), limit),
        )
        return [_stored(row) for row in rows]

    def up_to(self, collection: int, seq: int, limit: int) -> list[StoredItem]:
        """Items of a collection that arrived up to number ``seq``, at most ``limit``, the latest first."""
        rows = self._db.execute(
            f"{_SELECT} WHERE collection=? AND seq <= ? ORDER BY seq DESC LIMIT ?", (collection, seq, limit)
        )
        return [_stored(row) for row in rows]

    def before_last(self, collection: int, count: int) -> int:
        """The number of the item before the last ``count`` items of a collection; 0 if there is none."""
        row = self._db.execute(
            "SELECT seq FROM items WHERE collection=? ORDER BY seq DESC LIMIT 1 OFFSET ?", (collection, count)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def count(self, collection: int | None = None) -> int:
        """Number of items of a collection, or of all collections of this partition; cached."""
        return self.counts.total() if collection is None else self.counts.of(collection)


def _since(hidden_ms: int | None) -> int:
    return -1 if hidden_ms is None else hidden_ms


def _stored(row: Any) -> StoredItem:
    seq, collection, item_id, revision, version, content, attributes, print_, vector, point, group, *others = row
    pair, matched_seq, at_ms, compared, happened_ms, name = others
    verdict = Verdict(None if pair is None else PairVerdict.model_validate_json(pair), matched_seq)
    item = item_of(item_id, name, content, attributes)
    cut = None if compared is None else item_of(item_id, name, compared, attributes)
    return StoredItem(
        seq, collection, item, revision, version, print_, vector, point, group, verdict, at_ms, cut, happened_ms
    )


def _verdict_json(verdict: Verdict) -> str | None:
    return None if verdict.pair is None else _json(verdict.pair.model_dump(mode="json"))


def item_of(item_id: str, collection: str, content: str, attributes: str) -> Item:
    """An item from its row, without validation: it was validated on arrival."""
    fields = json.loads(content)
    timestamp = fields["timestamp"]
    return Item.model_construct(
        id=item_id,
        collection=collection,
        text=fields["text"],
        fields=fields["fields"],
        attributes={} if attributes == "{}" else json.loads(attributes),
        timestamp=timestamp and datetime.fromisoformat(timestamp),
        vector=None,
    )


def _content(item: Item) -> str:
    timestamp = None if item.timestamp is None else item.model_dump(mode="json", include={"timestamp"})["timestamp"]
    return _json({"text": item.text, "fields": item.fields, "timestamp": timestamp})


def _length(item: Item) -> int:
    """Characters of the content, to find the longest item of a group."""
    return len(item.text) if item.text is not None else sum(map(len, (item.fields or {}).values()))


def _cut(item: Item | None) -> str | None:
    return None if item is None else _content(item)


# One encoder: ``json.dumps`` creates one for each call.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
