"""Lists of recommendations that are told when they change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from recommender_engine.store.tally import CollectionCounts

_COLUMNS = "SELECT num, collection, for_user, id, scenario, asked, listed, looked_ms, due_ms FROM subscriptions"
# Never later than an interval from now: the time of a stream may jump back.
_DUE = "max(:now, min(looked_ms, :now) + :interval_ms * (looked_ms > 0))"


class ListKey(NamedTuple):
    """Which list is told.

    Attributes:
        id: of the item or the user.
        for_user: whether it is a user's.
        scenario: name of its options; empty: none.
    """

    id: str
    for_user: bool
    scenario: str = ""


class Subscription(NamedTuple):
    """A list that is told when it changes.

    Attributes:
        num: its number.
        collection: number of its collection.
        key: which list.
        asked: whether a command has asked for it; else the settings of the collection have.
        listed: ids of the list that was told last.
        looked_ms: stream time at which it was made last; 0: never.
        due_ms: stream time at which it is made again; ``None``: nothing has changed.
    """

    num: int
    collection: int
    key: ListKey
    asked: bool
    listed: tuple[str, ...]
    looked_ms: int
    due_ms: int | None


class ListChange(NamedTuple):
    """A change that has yet to be noted at the subscriptions that it concerns.

    Attributes:
        id: in the order of the changes.
        kind: ``holding`` (lists with an item), ``all`` lists; ``items`` and ``users`` are to be subscribed to.
        item: the item of ``holding``, else empty.
        after: what has a number up to this one is done.
    """

    id: int
    kind: str
    item: str
    after: int


class Mark(NamedTuple):
    """When lists that have changed are made again.

    Attributes:
        now: stream time in milliseconds since 1970.
        interval_ms: the least time from one look at a list to the next.
    """

    now: int
    interval_ms: int


class SubscriptionTable:
    """Reads and writes subscriptions; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.counts = CollectionCounts(connection, "subscriptions")

    def add(self, collection: int, key: ListKey, now: int, *, asked: bool) -> bool:
        """Subscribe to a list; whether that is new. One that the settings had asked for is the command's then."""
        if asked:
            known = self._db.execute(
                "UPDATE subscriptions SET asked=1 WHERE collection=? AND for_user=? AND id=? AND scenario=?"
                " RETURNING num",
                (collection, key.for_user, key.id, key.scenario),
            ).fetchall()
            if known:
                return False
        self.counts.of(collection)  # counted before the row is there
        added = self._db.execute(
            "INSERT OR IGNORE INTO subscriptions (collection, for_user, id, scenario, asked, listed, looked_ms, due_ms)"
            " VALUES (?,?,?,?,?,'[]',0,?)",
            (collection, key.for_user, key.id, key.scenario, asked, now),
        ).rowcount
        self.counts.change(collection, added)
        return bool(added)

    def find(self, collection: int, key: ListKey) -> Subscription | None:
        """A subscription, if it is there."""
        rows = self._db.execute(
            f"{_COLUMNS} WHERE collection=? AND for_user=? AND id=? AND scenario=?",
            (collection, key.for_user, key.id, key.scenario),
        )
        return next(map(_read, rows), None)

    def of(self, collection: int, id_: str, *, for_user: bool) -> list[Subscription]:
        """All subscriptions to lists of an item or a user."""
        rows = self._db.execute(
            f"{_COLUMNS} WHERE collection=? AND for_user=? AND id=? ORDER BY num", (collection, for_user, id_)
        )
        return [_read(row) for row in rows]

    def after(self, collection: int, num: int, limit: int) -> list[Subscription]:
        """Subscriptions of a collection behind a number, in their order."""
        rows = self._db.execute(
            f"{_COLUMNS} WHERE collection=? AND num>? ORDER BY num LIMIT ?", (collection, num, limit)
        )
        return [_read(row) for row in rows]

    def adopt(self, one: Subscription) -> None:
        """Store a subscription that came from another partition, with a number of its own."""
        self.counts.of(one.collection)
        num = self._db.execute(
            "INSERT INTO subscriptions (collection, for_user, id, scenario, asked, listed, looked_ms, due_ms)"
            " VALUES (?,?,?,?,?,'[]',?,?)",
            (one.collection, one.key.for_user, one.key.id, one.key.scenario, one.asked, one.looked_ms, one.due_ms),
        ).lastrowid
        self.counts.change(one.collection, 1)
        self.looked(one._replace(num=int(num or 0), listed=()), one.looked_ms, one.listed)
        self._db.execute("UPDATE subscriptions SET due_ms=? WHERE num=?", (one.due_ms, num))

    def drop(self, one: Subscription) -> None:
        """End a subscription."""
        self._unlist(one, one.listed)
        self.counts.of(one.collection)
        self._db.execute("DELETE FROM subscriptions WHERE num=?", (one.num,))
        self.counts.change(one.collection, -1)

    def release(self, one: Subscription) -> None:
        """A command asks for it no longer; the settings still do."""
        self._db.execute("UPDATE subscriptions SET asked=0 WHERE num=?", (one.num,))

    def looked(self, one: Subscription, now: int, listed: Sequence[str]) -> None:
        """A list was made; ``listed`` are the ids of what is told last, from now on."""
        self._unlist(one, set(one.listed).difference(listed))
        self._db.executemany(
            "INSERT INTO listed_items VALUES (?,?,?)",
            [(one.collection, item, one.num) for item in sorted(set(listed).difference(one.listed))],
        )
        self._db.execute(
            "UPDATE subscriptions SET listed=?, looked_ms=?, due_ms=NULL WHERE num=?",
            (json.dumps(list(listed), ensure_ascii=False, separators=(",", ":")), now, one.num),
        )

    def _unlist(self, one: Subscription, items: Iterable[str]) -> None:
        self._db.executemany(
            "DELETE FROM listed_items WHERE collection=? AND item=? AND subscription=?",
            [(one.collection, item, one.num) for item in sorted(items)],
        )

    # -- what has changed ----------------------------------------------------------------------------------------------

    def mark(self, collection: int, ids: Iterable[str], mark: Mark, *, for_user: bool) -> bool:
        """The lists of some items or users have changed; whether any was not known to have."""
        named = "collection=:collection AND for_user=:for_user AND id IN (SELECT value FROM json_each(:some))"
        return self._mark(named, mark, sorted(set(ids)), collection=collection, for_user=for_user)

    def mark_used(self, collection: int, nums: Iterable[int], mark: Mark) -> bool:
        """The same for used items by number."""
        numbered = "SELECT id FROM used_items WHERE num IN (SELECT value FROM json_each(:some))"
        named = f"collection=:collection AND for_user=0 AND id IN ({numbered})"
        return self._mark(named, mark, sorted(nums), collection=collection)

    def mark_users(self, collection: int, nums: Iterable[int], mark: Mark) -> bool:
        """The same for users by number."""
        numbered = "SELECT id FROM users WHERE num IN (SELECT value FROM json_each(:some)) AND NOT anonymous"
        named = f"collection=:collection AND for_user=1 AND id IN ({numbered})"
        return self._mark(named, mark, sorted(nums), collection=collection)

    def _mark(self, which: str, mark: Mark, some: Sequence[object], **values: int) -> bool:
        """Mark what a condition on ``:some`` chooses; whether any was not marked."""
        found = self._db.execute(
            f"UPDATE subscriptions SET due_ms = {_DUE} WHERE due_ms IS NULL AND {which}",  # noqa: S608 (constants)
            {**mark._asdict(), "some": json.dumps(some), **values},
        )
        return found.rowcount > 0

    def has_users(self, collection: int) -> bool:
        """Whether a list of a user is told."""
        row = self._db.execute(
            "SELECT 1 FROM subscriptions WHERE collection=? AND for_user=1 LIMIT 1", (collection,)
        ).fetchone()
        return row is not None

    def next_due(self, collection: int) -> int | None:
        """Stream time at which the next list of a collection is made again."""
        row = self._db.execute(
            "SELECT due_ms FROM subscriptions WHERE collection=? AND due_ms IS NOT NULL ORDER BY due_ms, num LIMIT 1",
            (collection,),
        ).fetchone()
        return None if row is None else int(row[0])

    def due(self, collection: int, now: int, limit: int) -> list[Subscription]:
        """Lists that are to be made again, in the order in which they fell due."""
        rows = self._db.execute(
            f"{_COLUMNS} WHERE collection=? AND due_ms IS NOT NULL AND due_ms<=? ORDER BY due_ms, num LIMIT ?",
            (collection, now, limit),
        )
        return [_read(row) for row in rows]

    def waiting(self) -> int:
        """How many lists have changed and have not been made again."""
        row = self._db.execute("SELECT count(*) FROM subscriptions WHERE due_ms IS NOT NULL").fetchone()
        return int(row[0])

    # -- changes that concern many lists -------------------------------------------------------------------------------

    def queue(self, collection: int, kind: str, item: str = "") -> None:
        """Note a change; one that is being noted at subscriptions begins anew."""
        self._db.execute(
            "INSERT INTO list_changes (collection, kind, item, after) VALUES (?,?,?,0)"
            " ON CONFLICT (collection, kind, item) DO UPDATE SET after=0",
            (collection, kind, item),
        )

    def next_change(self, collection: int) -> ListChange | None:
        """The first change of a collection that is not at all subscriptions yet."""
        row = self._db.execute(
            "SELECT id, kind, item, after FROM list_changes WHERE collection=? ORDER BY id LIMIT 1", (collection,)
        ).fetchone()
        return None if row is None else ListChange(*row)

    def go_on(self, change: ListChange, after: int | None) -> None:
        """A change is noted up to a number; ``None``: everywhere."""
        if after is None:
            self._db.execute("DELETE FROM list_changes WHERE id=?", (change.id,))
        else:
            self._db.execute("UPDATE list_changes SET after=? WHERE id=?", (after, change.id))

    def mark_holding(self, collection: int, change: ListChange, mark: Mark, limit: int) -> list[int]:
        """Mark some of the lists that an item was told in; returns their numbers."""
        rows = self._db.execute(
            "SELECT subscription FROM listed_items WHERE collection=? AND item=? AND subscription>?"
            " ORDER BY subscription LIMIT ?",
            (collection, change.item, change.after, limit),
        ).fetchall()
        return self._mark_numbers([row[0] for row in rows], mark)

    def mark_all(self, collection: int, change: ListChange, mark: Mark, limit: int) -> list[int]:
        """Mark some of all lists of a collection; returns their numbers."""
        rows = self._db.execute(
            "SELECT num FROM subscriptions WHERE collection=? AND num>? ORDER BY num LIMIT ?",
            (collection, change.after, limit),
        ).fetchall()
        return self._mark_numbers([row[0] for row in rows], mark)

    def _mark_numbers(self, nums: list[int], mark: Mark) -> list[int]:
        self._mark("num IN (SELECT value FROM json_each(:some))", mark, nums)
        return nums

    def items_after(self, collection: int, change: ListChange, limit: int) -> list[tuple[int, str]]:
        """Arrival numbers and ids of some items of a collection."""
        return self._db.execute(
            "SELECT seq, id FROM items WHERE collection=? AND seq>? ORDER BY seq LIMIT ?",
            (collection, change.after, limit),
        ).fetchall()

    def users_after(self, collection: int, change: ListChange, limit: int) -> list[tuple[int, str | None]]:
        """Numbers of some users, and the ids of those who are of the collection and no anonymous sessions."""
        return self._db.execute(
            "SELECT num, CASE WHEN collection=? AND NOT anonymous THEN id END FROM users WHERE num>?"
            " ORDER BY num LIMIT ?",
            (collection, change.after, limit),
        ).fetchall()

    def with_changes(self) -> list[int]:
        """Numbers of collections in which something is due or has yet to be noted."""
        rows = self._db.execute(
            "SELECT collection FROM list_changes UNION"
            " SELECT collection FROM subscriptions WHERE due_ms IS NOT NULL ORDER BY 1"
        )
        return [row[0] for row in rows]


def _read(row: tuple[int, int, int, str, str, int, str, int, int | None]) -> Subscription:
    num, collection, for_user, id_, scenario, asked, listed, looked_ms, due_ms = row
    key = ListKey(id_, bool(for_user), scenario)
    return Subscription(num, collection, key, bool(asked), tuple(json.loads(listed)), looked_ms, due_ms)
