"""Users, used items, sessions and interactions. Rows are cached, changed in memory and written with the batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items import EntryId
from recommender_engine.recent import Recent
from recommender_engine.recommend.behaviour import ItemRow, Profile, SessionRow
from recommender_engine.recommend.behaviour.rows import decoded_partners, decoded_ring

_ROWS_KEPT = 8192
_USED = "SELECT num, id, count, total, popular, trending FROM used_items WHERE "
_MOST = {
    "popular": f"{_USED} collection=? AND NOT waiting AND popular IS NOT NULL ORDER BY popular DESC, num"
    " LIMIT ? OFFSET ?",
    "trending": f"{_USED} collection=? AND NOT waiting AND trending IS NOT NULL ORDER BY trending DESC, num"
    " LIMIT ? OFFSET ?",
}

MOST_WAITING = 1000
"""So many items of a collection that have interactions and have not arrived are kept; those known longest go first."""


class UserKey(NamedTuple):
    """How a producer names a user.

    Attributes:
        id: the producer's id.
        anonymous: whether it is the id of a session.
    """

    id: str
    anonymous: bool


class UsedItem(NamedTuple):
    """An item of which there are interactions.

    Attributes:
        num: its number in profiles and among partners.
        id: its id.
        uses: interactions that counted.
        total, popular, trending: levels, see ``ItemRow``.
    """

    num: int
    id: str
    uses: int
    total: float
    popular: float
    trending: float


class BehaviourTable:
    """Reads and writes behaviour; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._items: Recent[int, ItemRow] = Recent(_ROWS_KEPT)
        self._profiles: Recent[int, Profile] = Recent(_ROWS_KEPT)
        self._sessions: Recent[int, SessionRow] = Recent(_ROWS_KEPT)
        self._changed_items: dict[int, ItemRow] = {}
        self._changed_profiles: dict[int, Profile] = {}
        self._changed_sessions: dict[int, SessionRow] = {}
        self._left_rings: dict[int, int] = {}
        self._used: dict[int, bool] = {}
        self._waiting: dict[int, int] = {}
        self._user_nums: Recent[tuple[int, UserKey], int] = Recent(_ROWS_KEPT)
        self._item_nums: Recent[tuple[int, str], int] = Recent(_ROWS_KEPT)

    def forget(self) -> None:
        """Clear the caches after a rollback."""
        for cache in (self._items, self._profiles, self._sessions, self._user_nums, self._item_nums):
            cache.clear()
        for changed in (self._changed_items, self._changed_profiles, self._changed_sessions, self._used, self._waiting):
            changed.clear()
        self._left_rings.clear()

    def any_in(self, collection: int) -> bool:
        """Whether a collection has used items."""
        if collection not in self._used:
            row = self._db.execute("SELECT 1 FROM used_items WHERE collection=? LIMIT 1", (collection,)).fetchone()
            self._used[collection] = row is not None
        return self._used[collection]

    def holds(self, collection: int) -> bool:
        """Whether there is anything of a collection, read from the tables."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM users WHERE collection=:id)"
            " OR EXISTS (SELECT 1 FROM used_items WHERE collection=:id)",
            {"id": collection},
        ).fetchone()
        return bool(row[0])

    # -- rows that change ----------------------------------------------------------------------------------------------

    def item(self, num: int) -> ItemRow | None:
        """The row of an item; what is changed in it is written with the batch."""
        row = self._changed_items.get(num)
        if row is not None:
            return row
        row = self._items.get(num)
        if row is None:
            found = self._db.execute(
                "SELECT base_ms, count, total, popular, trending, partners, ring FROM used_items WHERE num=?", (num,)
            ).fetchone()
            if found is None:
                return None
            base_ms, uses, total, popular, trending, partners, ring = found
            lists = decoded_partners(partners), decoded_ring(ring)
            row = ItemRow(num, base_ms, uses, total, popular, trending, *lists)
        self._changed_items[num] = row
        return row

    def profile(self, num: int) -> Profile | None:
        """The profile of a user; what is changed in it is written with the batch."""
        row = self.peek(num)
        if row is not None:
            self._changed_profiles[num] = row
        return row

    def session(self, num: int) -> SessionRow | None:
        """A session; what is changed in it is written with the batch."""
        row = self._changed_sessions.get(num) or self._sessions.get(num)
        if row is None:
            found = self._db.execute(
                "SELECT user, rings, items FROM sessions JOIN session_rings ON session = num WHERE num=?",
                (num,),
            ).fetchone()
            if found is None:
                return None
            row = SessionRow(num, found[0], decoded_partners(found[2]), found[1])
        self._changed_sessions[num] = row
        if left := self._left_rings.pop(num, 0):
            row.rings -= left
            if row.rings <= 0:
                self.drop_session(num)
                return None
        return row

    def left_ring(self, session: int) -> None:
        """A session stands in one ring less; in none, it goes. It is not read for that."""
        self._left_rings[session] = self._left_rings.get(session, 0) + 1

    def open_session(self, collection: int, user: int) -> SessionRow:
        """A new session of a user."""
        num = self._db.execute(
            "INSERT INTO sessions (collection, user, items) VALUES (?,?,x'')",
            (collection, user),
        ).lastrowid
        row = SessionRow(int(num or 0), user)
        self._changed_sessions[row.num] = row
        return row

    def drop_session(self, num: int) -> None:
        """Delete a session."""
        self._changed_sessions.pop(num, None)
        self._sessions.drop(num)
        self._db.execute("DELETE FROM sessions WHERE num=?", (num,))
        self._db.execute("DELETE FROM session_rings WHERE session=?", (num,))

    def flush(self) -> None:
        """Write the rows that were given out to be changed."""
        for num in [num for num in self._left_rings if num in self._changed_sessions or num in self._sessions]:
            self.session(num)
        left = sorted(self._left_rings.items())
        self._left_rings.clear()
        for num, count in left:
            rings = self._db.execute(
                "UPDATE session_rings SET rings=rings-? WHERE session=? RETURNING rings", (count, num)
            ).fetchall()
            if rings and rings[0][0] <= 0:
                self.drop_session(num)
        self._db.executemany(
            "UPDATE used_items SET base_ms=?, count=?, total=?, popular=?, trending=?, partners=?, ring=? WHERE num=?",
            [
                (
                    row.base_ms,
                    row.count,
                    row.total,
                    row.popular,
                    row.trending,
                    row.encoded_partners(),
                    row.encoded_ring(),
                    num,
                )
                for num, row in sorted(self._changed_items.items())
            ],
        )
        self._db.executemany(
            "UPDATE users SET base_ms=?, items=?, session=?, session_ms=?, visit=?, day=?, day_count=? WHERE num=?",
            [
                (row.base_ms, row.encoded(), row.session, row.session_ms, row.visit, row.day, row.day_count, num)
                for num, row in sorted(self._changed_profiles.items())
            ],
        )
        self._db.executemany(
            "UPDATE sessions SET items=? WHERE num=?",
            [(row.encoded(), num) for num, row in sorted(self._changed_sessions.items())],
        )
        self._db.executemany(
            "REPLACE INTO session_rings VALUES (?,?)",
            [(num, row.rings) for num, row in sorted(self._changed_sessions.items())],
        )
        for num, item in self._changed_items.items():
            self._items.put(num, item)
        for num, profile in self._changed_profiles.items():
            self._profiles.put(num, profile)
        for num, session in self._changed_sessions.items():
            self._sessions.put(num, session)
        for changed in (self._changed_items, self._changed_profiles, self._changed_sessions):
            changed.clear()

    # -- who and what --------------------------------------------------------------------------------------------------

    def user(self, collection: int, key: UserKey) -> int | None:
        """Number of a user, if there is a profile."""
        known = self._user_nums.get((collection, key))
        if known is not None:
            return known
        row = self._db.execute(
            "SELECT num FROM users WHERE collection=? AND anonymous=? AND id=?", (collection, key.anonymous, key.id)
        ).fetchone()
        if row is not None:
            self._user_nums.put((collection, key), int(row[0]))
        return None if row is None else int(row[0])

    def add_user(self, collection: int, key: UserKey, at_ms: int) -> int:
        """Number of a new user."""
        num = self._db.execute(
            "INSERT INTO users (collection, anonymous, id, base_ms, items, session, session_ms, visit, day, day_count)"
            " VALUES (?,?,?,?,x'',0,0,NULL,0,0)",
            (collection, key.anonymous, key.id, at_ms),
        ).lastrowid
        return int(num or 0)

    def used_item(self, collection: int, item_id: str) -> int | None:
        """Number of an item with interactions."""
        known = self._item_nums.get((collection, item_id))
        if known is not None:
            return known
        row = self._db.execute(
            "SELECT num FROM used_items WHERE collection=? AND id=?", (collection, item_id)
        ).fetchone()
        if row is not None:
            self._item_nums.put((collection, item_id), int(row[0]))
        return None if row is None else int(row[0])

    def add_item(self, collection: int, item_id: str, at_ms: int, *, waiting: bool) -> int:
        """Number of an item that is used for the first time; of too many that wait, the first one known goes."""
        num = self._db.execute(
            "INSERT INTO used_items (collection, id, waiting, base_ms, count, partners, ring)"
            " VALUES (?,?,?,?,0,x'',x'')",
            (collection, item_id, waiting, at_ms),
        ).lastrowid
        self._used[collection] = True
        if waiting:
            self._keep_few_waiting(collection)
        return int(num or 0)

    def _keep_few_waiting(self, collection: int) -> None:
        """One more item waits; those known first go if there are too many."""
        if collection in self._waiting:
            self._waiting[collection] += 1
        else:
            row = self._db.execute(
                "SELECT count(*) FROM used_items WHERE collection=? AND waiting", (collection,)
            ).fetchone()
            self._waiting[collection] = row[0]
        over = self._waiting[collection] - MOST_WAITING
        if over > 0:
            first = self._db.execute(
                "SELECT num FROM used_items WHERE collection=? AND waiting ORDER BY num LIMIT ?", (collection, over)
            ).fetchall()
            for (num,) in first:
                self._drop_item(num)

    def arrived(self, collection: int, item_id: str) -> None:
        """An item is here from now on."""
        if self.any_in(collection):
            waited = self._db.execute(
                "UPDATE used_items SET waiting=0 WHERE collection=? AND id=? AND waiting", (collection, item_id)
            ).rowcount
            self._wait_no_more(collection, waited)

    def departed(self, collection: int, item_id: str) -> None:
        """An item was deleted; what is known of it goes, and its number in other rows stands for nothing."""
        if self.any_in(collection) and (num := self.used_item(collection, item_id)) is not None:
            self._drop_item(num)

    def _drop_item(self, num: int) -> None:
        """Delete an item; the sessions in its ring stand in one ring less."""
        changed = self._changed_items.pop(num, None)
        self._items.drop(num)
        found = self._db.execute(
            "DELETE FROM used_items WHERE num=? RETURNING collection, id, ring, waiting", (num,)
        ).fetchall()
        for collection, id_, stored, waited in found:
            self._wait_no_more(collection, waited)
            self._item_nums.drop((collection, id_))
            for entry in decoded_ring(stored) if changed is None else changed.ring:
                self.left_ring(entry.session)

    def _wait_no_more(self, collection: int, count: int) -> None:
        if collection in self._waiting:
            self._waiting[collection] -= count

    # -- interactions --------------------------------------------------------------------------------------------------

    def record(
        self,
        collection: int,
        user: int,
        item: int,
        *,
        kind: str,
        value: float | None,
        at_ms: int,
        outcome: EntryId | None,
    ) -> None:
        """Store an interaction."""
        self._db.execute(
            "INSERT INTO interactions (collection, user, item, kind, value, at_ms, event_ms, event_n)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (collection, user, item, kind, value, at_ms, *(outcome or (None, None))),
        )

    def rename_user(self, num: int, key: UserKey) -> None:
        """A session becomes a user."""
        self._user_nums.clear()
        self._db.execute("UPDATE users SET anonymous=?, id=? WHERE num=?", (key.anonymous, key.id, num))

    def take_over(self, user: int, other: int) -> None:
        """Interactions and sessions of one user become those of another; its profile goes."""
        self.flush()
        self._db.execute("UPDATE interactions SET user=? WHERE user=?", (user, other))
        self._db.execute("UPDATE sessions SET user=? WHERE user=?", (user, other))
        self._sessions.clear()
        self._drop_profile(other)

    def erase_user(self, user: int) -> tuple[int, list[EntryId]]:
        """Delete a user with sessions and interactions; returns how many these were, and their outcomes."""
        outcomes = self._db.execute(
            "DELETE FROM interactions WHERE user=? RETURNING event_ms, event_n", (user,)
        ).fetchall()
        for (session,) in self._db.execute("SELECT num FROM sessions WHERE user=?", (user,)).fetchall():
            self.drop_session(session)
        self._drop_profile(user)
        return len(outcomes), [EntryId(ms, n) for ms, n in outcomes if ms is not None]

    def forget_old(self, before_ms: int, limit: int) -> int:
        """Delete interactions older than that, at most ``limit``; returns their number."""
        return self._db.execute(
            "DELETE FROM interactions WHERE id IN (SELECT id FROM interactions ORDER BY id LIMIT ?) AND at_ms < ?",
            (limit, before_ms),
        ).rowcount

    def _drop_profile(self, num: int) -> None:
        self._changed_profiles.pop(num, None)
        self._profiles.drop(num)
        self._user_nums.clear()
        self._db.execute("DELETE FROM users WHERE num=?", (num,))

    # -- rows that are only read ---------------------------------------------------------------------------------------

    def peek(self, num: int) -> Profile | None:
        """The profile of a user, to read."""
        row = self._changed_profiles.get(num) or self._profiles.get(num)
        if row is None:
            found = self._db.execute(
                "SELECT base_ms, items, session, session_ms, visit, day, day_count FROM users WHERE num=?", (num,)
            ).fetchone()
            if found is not None:
                row = Profile.decoded(num, *found)
                self._profiles.put(num, row)
        return row

    def partners(self, nums: Collection[int]) -> dict[int, tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        """Of each item the base of its weights, its partners' numbers and their weights, shape (n,) each."""
        rows = self._db.execute(
            "SELECT num, base_ms, partners FROM used_items WHERE num IN (SELECT value FROM json_each(?))",
            (json.dumps(list(nums)),),
        )
        found = {}
        for num, base_ms, data in rows:
            count = len(data) // 12
            found[num] = (
                base_ms,
                np.frombuffer(data, "<u4", count).astype(np.int64),
                np.frombuffer(data, "<f8", count, 4 * count),
            )
        return found

    def rings_of(self, nums: Collection[int]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Of each item its latest sessions and their users, shape (n,) each."""
        rows = self._db.execute(
            "SELECT num, ring FROM used_items WHERE num IN (SELECT value FROM json_each(?))", (json.dumps(list(nums)),)
        )
        found = {}
        for num, data in rows:
            both = np.frombuffer(data, "<u4").astype(np.int64)
            found[num] = both[: len(both) // 2], both[len(both) // 2 :]
        return found

    def session_items(self, sessions: Collection[int]) -> dict[int, NDArray[np.int64]]:
        """Numbers of the items of some sessions."""
        rows = self._db.execute(
            "SELECT num, items FROM sessions WHERE num IN (SELECT value FROM json_each(?))",
            (json.dumps(list(sessions)),),
        )
        return {num: np.frombuffer(data, "<u4", len(data) // 12).astype(np.int64) for num, data in rows}

    def profile_weights(self, users: Collection[int]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Numbers and weights of the items of some users, without those they dismissed."""
        rows = self._db.execute(
            "SELECT num, items FROM users WHERE num IN (SELECT value FROM json_each(?))", (json.dumps(list(users)),)
        )
        entry = np.dtype([("num", "<u4"), ("last_s", "<u4"), ("count", "<u2"), ("dismissed", "<u2"), ("weight", "<f8")])
        found = {}
        for num, data in rows:
            entries = np.frombuffer(data, entry)
            liked = entries[(entries["dismissed"] == 0) & (entries["weight"] > 0.0)]
            found[num] = liked["num"].astype(np.int64), liked["weight"].astype(np.float64)
        return found

    def used_items(self, nums: Iterable[int]) -> dict[int, UsedItem]:
        """Items by number, without those that wait."""
        rows = self._db.execute(
            f"{_USED} NOT waiting AND total IS NOT NULL AND num IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(list(nums)),),
        )
        return {row[0]: UsedItem(*row) for row in rows}

    def ids(self, nums: Iterable[int]) -> list[str]:
        """Ids of items by number, also of those that wait or were only dismissed."""
        rows = self._db.execute(
            "SELECT id FROM used_items WHERE num IN (SELECT value FROM json_each(?))", (json.dumps(list(nums)),)
        )
        return [row[0] for row in rows]

    def named(self, collection: int, ids: Collection[str]) -> dict[str, UsedItem]:
        """Items by id, of those with interactions."""
        rows = self._db.execute(
            f"{_USED} collection=? AND total IS NOT NULL AND id IN (SELECT value FROM json_each(?))",  # noqa: S608
            (collection, json.dumps(list(ids))),
        )
        return {row[1]: UsedItem(*row) for row in rows}

    def most(self, collection: int, column: str, limit: int, offset: int = 0) -> list[UsedItem]:
        """The most popular or most trending items.

        Args:
            collection: its number.
            column: ``popular`` or ``trending``.
            limit: how many.
            offset: behind so many.
        """
        rows = self._db.execute(_MOST[column], (collection, limit, offset))
        return [UsedItem(*row) for row in rows]
