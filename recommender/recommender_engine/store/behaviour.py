"""Users, used items and interactions by name, and what is read of them for a list."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items import EntryId
from recommender_engine.recent import Recent
from recommender_engine.recommend.behaviour import Observation, Profile
from recommender_engine.recommend.behaviour.encoding import arrays_of, decoded_numbers, numbers_in_each, partners_in
from recommender_engine.recommend.behaviour.ranking import Ranking
from recommender_engine.store.behaviour_rows import BehaviourRowTable

_ROWS_KEPT = 8192
_ITEMS_KEPT = 65_536
_RANKED = 1000
_USED = "SELECT num, id, count, total, popular, trending FROM used_items WHERE "
_MOST = {
    "popular": "SELECT num, popular FROM used_items WHERE collection=? AND NOT waiting AND popular IS NOT NULL"
    " ORDER BY popular DESC, num",
    "trending": "SELECT num, trending FROM used_items WHERE collection=? AND NOT waiting AND trending IS NOT NULL"
    " ORDER BY trending DESC, num",
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
        self.rows = BehaviourRowTable(connection)
        self._new: list[tuple[object, ...]] = []
        self._new_redo: list[tuple[int, float, str | None, float]] = []
        self._last_interaction: int | None = None
        self._used: dict[int, bool] = {}
        self._items: Recent[int, UsedItem] = Recent(_ITEMS_KEPT)
        self._ranked: dict[tuple[int, str], Ranking] = {}
        self._user_nums: Recent[tuple[int, UserKey], int] = Recent(_ROWS_KEPT)
        self._item_nums: Recent[tuple[int, str], int] = Recent(_ITEMS_KEPT)
        self._waiting: dict[int, set[int]] = {}

    def forget(self) -> None:
        """Clear the caches after a rollback."""
        self.rows.forget()
        caches = self._items, self._ranked, self._user_nums, self._item_nums, self._used, self._waiting
        for cache in (*caches, self._new, self._new_redo):
            cache.clear()
        self._last_interaction = None

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
        """Number of an item that is used for the first time; of too many that wait, those known longest go."""
        num = self._db.execute(
            "INSERT INTO used_items (collection, id, waiting, base_ms, count, partners, ring)"
            " VALUES (?,?,?,?,0,x'',x'')",
            (collection, item_id, waiting, at_ms),
        ).lastrowid
        self._used[collection] = True
        if waiting:
            self._keep_few_waiting(collection, int(num or 0))
        return int(num or 0)

    def _keep_few_waiting(self, collection: int, num: int) -> None:
        """Note a new item that waits; of too many a tenth goes, since rows are written for each that goes."""
        waiting = self._waiting_in(collection)
        waiting.add(num)
        if len(waiting) > MOST_WAITING:
            self._drop_items(sorted(waiting)[: len(waiting) - MOST_WAITING + MOST_WAITING // 10])

    def _waiting_in(self, collection: int) -> set[int]:
        """Numbers of the items of a collection that wait."""
        if collection not in self._waiting:
            rows = self._db.execute("SELECT num FROM used_items WHERE collection=? AND waiting", (collection,))
            self._waiting[collection] = {num for (num,) in rows}
        return self._waiting[collection]

    def arrived(self, collection: int, item_id: str) -> None:
        """An item is here from now on."""
        if self.any_in(collection):
            here = self._db.execute(
                "UPDATE used_items SET waiting=0 WHERE collection=? AND id=? AND waiting RETURNING num",
                (collection, item_id),
            ).fetchall()
            for (num,) in here:
                self._waiting_in(collection).discard(num)
                self._forget_ranking(collection)

    def departed(self, collection: int, item_id: str) -> None:
        """An item was deleted; what is known of it goes, and its number in other rows stands for nothing."""
        if self.any_in(collection) and (num := self.used_item(collection, item_id)) is not None:
            self._drop_items([num])

    def _drop_items(self, nums: Sequence[int]) -> None:
        """Delete items; the sessions in their rings stand in one ring less."""
        self.write()
        for num in nums:
            for collection, id_, ring in self._db.execute(
                "DELETE FROM used_items WHERE num=? RETURNING collection, id, ring", (num,)
            ).fetchall():
                self._item_nums.drop((collection, id_))
                self._waiting_in(collection).discard(num)
                for ranking in self._rankings(collection).values():
                    ranking.drop(num)
                self._items.drop(num)
                self.rows.drop_item(num, decoded_numbers(ring))
        self.rows.write()

    # -- interactions --------------------------------------------------------------------------------------------------

    def record(self, seen: Observation, kind: str, value: float | None, outcome: EntryId | None) -> None:
        """Store an interaction and learn from it; it is written with the batch, what is learned later."""
        if self._last_interaction is None:
            last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='interactions'").fetchone()
            self._last_interaction = 0 if last is None else int(last[0])
        self._last_interaction += 1
        event = (None, None) if outcome is None else outcome
        self._new.append(
            (self._last_interaction, seen.collection, seen.user, seen.item, kind, value, seen.at_ms, *event)
        )
        self._items.drop(seen.item)
        self._new_redo.append((self._last_interaction, seen.weight, seen.visit, seen.share))
        enough = self.rows.learn(seen)
        self._rank_again(seen)
        if enough:
            self.write()

    def flush(self) -> None:
        """Write the interactions of the batch."""
        self._db.executemany("INSERT INTO interactions VALUES (?,?,?,?,?,?,?,?,?)", self._new)
        self._db.executemany("INSERT INTO behaviour_redo VALUES (?,?,?,?)", self._new_redo)
        self._new.clear()
        self._new_redo.clear()

    def write(self) -> None:
        """Write all that is kept in memory, before something else changes the tables."""
        self.flush()
        self.rows.write()

    def rename_user(self, num: int, key: UserKey) -> None:
        """A session becomes a user."""
        self._user_nums.clear()
        self._db.execute("UPDATE users SET anonymous=?, id=? WHERE num=?", (key.anonymous, key.id, num))

    def take_over(self, user: int, other: int) -> None:
        """Interactions and sessions of one user become those of another; its profile goes."""
        self.write()
        self._db.execute("UPDATE interactions SET user=? WHERE user=?", (user, other))
        self._db.execute("UPDATE sessions SET user=? WHERE user=?", (user, other))
        self.rows.move_sessions(other, user)
        self._drop_profile(other)

    def erase_user(self, user: int) -> tuple[int, list[EntryId]]:
        """Delete a user with sessions and interactions; returns how many these were, and their outcomes."""
        self.write()
        outcomes = self._db.execute(
            "DELETE FROM interactions WHERE user=? RETURNING event_ms, event_n", (user,)
        ).fetchall()
        sessions = self._db.execute("SELECT num FROM sessions WHERE user=?", (user,)).fetchall()
        self.rows.drop_sessions([num for (num,) in sessions])
        self.rows.move_sessions(user, 0)
        self._drop_profile(user)
        return len(outcomes), [EntryId(ms, n) for ms, n in outcomes if ms is not None]

    def forget_old(self, before_ms: int, limit: int) -> int:
        """Delete interactions older than that, at most ``limit``; returns their number."""
        if self._db.execute(
            "SELECT 1 FROM interactions WHERE id=(SELECT min(interaction) FROM behaviour_redo) AND at_ms < ?",
            (before_ms,),
        ).fetchone():
            self.write()  # they are needed until then
        return self._db.execute(
            "DELETE FROM interactions WHERE id IN (SELECT id FROM interactions ORDER BY id LIMIT ?) AND at_ms < ?"
            " AND NOT EXISTS (SELECT 1 FROM behaviour_redo WHERE interaction <= id)",
            (limit, before_ms),
        ).rowcount

    def _drop_profile(self, num: int) -> None:
        self.rows.drop_profile(num)
        self._user_nums.clear()
        self._db.execute("DELETE FROM users WHERE num=?", (num,))

    # -- rows that are only read ---------------------------------------------------------------------------------------

    def peek(self, num: int) -> Profile | None:
        """The profile of a user, to read."""
        return self.rows.peek(num)

    def partners(self, nums: Collection[int]) -> dict[int, tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
        """Of each item the base of its weights, its partners' numbers and their weights, shape (n,) each."""
        kept = self.rows.items_among(nums)
        found = {num: (row.base_ms, *arrays_of(row.partners)) for num, row in kept.items()}
        for num, base_ms, data in self._db.execute(
            "SELECT num, base_ms, partners FROM used_items WHERE num IN (SELECT value FROM json_each(?))",
            (_besides(nums, found),),
        ):
            found[num] = base_ms, *partners_in(data)
        return found

    def rings_of(self, nums: Collection[int]) -> dict[int, NDArray[np.int64]]:
        """Of each item its latest sessions, shape (n,)."""
        found = {num: np.array(row.ring, np.int64) for num, row in self.rows.items_among(nums).items()}
        rows = self._db.execute(
            "SELECT num, ring FROM used_items WHERE num IN (SELECT value FROM json_each(?))", (_besides(nums, found),)
        )
        return found | numbers_in_each(dict(rows))

    def users_of(self, sessions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The users of some sessions, shape (n,); 0 is nobody."""
        return self.rows.users.of(sessions)

    def session_items(self, sessions: Collection[int]) -> dict[int, NDArray[np.int64]]:
        """Numbers of the items of some sessions."""
        kept = self.rows.sessions_among(sessions)
        found = {num: np.fromiter(row.items, np.int64, len(row.items)) for num, row in kept.items()}
        rows = self._db.execute(
            "SELECT num, items FROM sessions WHERE num IN (SELECT value FROM json_each(?))",
            (_besides(sessions, found),),
        )
        return found | numbers_in_each(dict(rows))

    def profile_weights(self, users: Collection[int]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Numbers and weights of the items of some users, without those they dismissed."""
        return self.rows.liked(users)

    def used_items(self, nums: Iterable[int]) -> dict[int, UsedItem]:
        """Items by number, without those that wait."""
        wanted = list(nums)
        found = self._items.among(wanted)
        missing = _besides(wanted, found)
        if missing != "[]":
            for one in self._current(
                self._db.execute(
                    f"{_USED} NOT waiting AND num IN (SELECT value FROM json_each(?))",  # noqa: S608
                    (missing,),
                )
            ):
                found[one.num] = one
                self._items.put(one.num, one)
        return found

    def ids(self, nums: Iterable[int]) -> list[str]:
        """Ids of items by number, also of those that wait or were only dismissed."""
        rows = self._db.execute(
            "SELECT id FROM used_items WHERE num IN (SELECT value FROM json_each(?))", (json.dumps(list(nums)),)
        )
        return [row[0] for row in rows]

    def named(self, collection: int, ids: Collection[str]) -> dict[str, UsedItem]:
        """Items by id, of those with interactions."""
        nums = self._item_nums.among(zip(repeat(collection), ids, strict=False))
        kept = self._items.among(nums.values())
        found = {one.id: one for one in kept.values()}
        if len(found) < len(ids):
            rows = self._db.execute(
                f"{_USED} collection=? AND id IN (SELECT value FROM json_each(?))",  # noqa: S608
                (collection, json.dumps([id_ for id_ in ids if id_ not in found])),
            )
            for one in self._current(rows):
                found[one.id] = one
                self._item_nums.put((collection, one.id), one.num)
                if one.num not in self._waiting_in(collection):
                    self._items.put(one.num, one)
        return found

    def most(self, collection: int, column: str, limit: int, offset: int = 0) -> list[UsedItem]:
        """The most popular or most trending items.

        Args:
            collection: its number.
            column: ``popular`` or ``trending``.
            limit: how many.
            offset: behind so many.
        """
        ranked = self._ranked.get((collection, column))
        if ranked is None or not ranked.has(offset + limit):
            ranked = self._rank(collection, column, max(_RANKED, 2 * (offset + limit)))
        nums = ranked.nums()[offset : offset + limit]
        found = self.used_items(nums)
        return [found[num] for num in nums]

    def _rank(self, collection: int, column: str, most: int) -> Ranking:
        """The items with the highest levels."""
        used = self.rows.used_items(collection)
        waiting = self._waiting_in(collection)
        newer = sorted(
            (-level, num)
            for num, row in used.items()
            if num not in waiting and (level := getattr(row, column)) is not None
        )
        stored = ((-level, num) for num, level in self._db.execute(_MOST[column], (collection,)) if num not in used)
        ranked = self._ranked[collection, column] = Ranking(merge(newer, stored), most)
        return ranked

    def _rank_again(self, seen: Observation) -> None:
        """Follow the levels of an item that was used."""
        rankings = self._rankings(seen.collection)
        row = self.rows.newer(seen.item) if rankings else None
        if row is None or seen.item in self._waiting_in(seen.collection):
            return
        for column, ranking in rankings.items():
            if (level := getattr(row, column)) is not None:
                ranking.rose(seen.item, level)

    def _rankings(self, collection: int) -> dict[str, Ranking]:
        return {column: self._ranked[collection, column] for column in _MOST if (collection, column) in self._ranked}

    def _forget_ranking(self, collection: int) -> None:
        for column in _MOST:
            self._ranked.pop((collection, column), None)

    def _current(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[UsedItem]:
        """Rows of the table as the interactions left them, of items that somebody wants."""
        for num, id_, *levels in rows:
            row = self.rows.newer(num)
            one = UsedItem(num, id_, *(levels if row is None else (row.count, row.total, row.popular, row.trending)))
            if one.total is not None:
                yield one


def _besides(nums: Iterable[int], found: Mapping[int, object]) -> str:
    """The numbers that have not been found, as JSON."""
    return json.dumps([num for num in nums if num not in found])
