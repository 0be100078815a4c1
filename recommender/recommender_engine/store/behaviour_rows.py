"""Rows of behaviour in memory: changed by every interaction, written once for thousands of them.

An interaction changes a row of each item of its session, and rows are as large as a page of the file. So each
interaction is stored at once (``behaviour_redo``), and the rows that it changed are written when so many have come, or
before something else changes the tables. After a start or a rollback, what was not written is learned again. When rows
are written depends on the commands alone: the tables are the same for any batches, and after a kill.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recent import Recent
from recommender_engine.recommend.behaviour import Behaviour, ItemRow, Observation, Profile, SessionRow
from recommender_engine.recommend.behaviour.encoding import arrays_of
from recommender_engine.recommend.behaviour.rows import liked_in
from recommender_engine.store.session_users import SessionUsers

Row = TypeVar("Row")
Liked = tuple[NDArray[np.int64], NDArray[np.float64]]

WRITE_AFTER = 8192
"""Rows are written when so many interactions have changed them."""

_ROWS_KEPT = 8192
_LEARNED = (
    "SELECT collection, user, item, weight, at_ms, visit, share FROM behaviour_redo JOIN interactions"
    " ON id = interaction ORDER BY interaction"
)


class BehaviourRowTable:
    """The rows of items, users and sessions; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._behaviour = Behaviour(self)
        self._items: Recent[int, ItemRow] = Recent(_ROWS_KEPT)
        self._profiles: Recent[int, Profile] = Recent(_ROWS_KEPT)
        self._sessions: Recent[int, SessionRow] = Recent(_ROWS_KEPT)
        self._liked: Recent[int, Liked] = Recent(_ROWS_KEPT)
        self._changed_items: dict[int, ItemRow] = {}
        self._changed_profiles: dict[int, Profile] = {}
        self._changed_sessions: dict[int, SessionRow] = {}
        self._opened: dict[int, int] = {}  # collections of the sessions that are in no table yet
        self._gone_sessions: set[int] = set()
        self._left_rings: dict[int, int] = {}
        self._used: dict[int, dict[int, ItemRow]] = {}
        self._last_session = 0
        self._learned: int | None = None  # interactions since rows were written; None: not read yet
        self.users = SessionUsers(connection)

    def forget(self) -> None:
        """Clear the caches after a rollback."""
        for cache in (self._items, self._profiles, self._sessions, self._liked):
            cache.clear()
        self._clear_changes()
        self._learned = None
        self.users.forget()

    # -- rows that change ----------------------------------------------------------------------------------------------

    def learn(self, seen: Observation) -> bool:
        """Learn from an interaction that is stored with this batch; whether the rows are to be written behind it."""
        self.catch_up()
        self._learn(seen)
        return (self._learned or 0) >= WRITE_AFTER

    def context(self, seen: Observation) -> list[int]:
        """Numbers of the items of the session that an interaction joins, see ``Behaviour.context``."""
        self.catch_up()
        return self._behaviour.context(seen)

    def catch_up(self) -> None:
        """Learn again from the interactions whose rows have not been written."""
        if self._learned is not None:
            return
        self._learned = 0
        last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='sessions'").fetchone()
        self._last_session = 0 if last is None else int(last[0])
        for row in self._db.execute(_LEARNED).fetchall():
            self._learn(Observation(*row))

    def _learn(self, seen: Observation) -> None:
        self._behaviour.learn(seen)
        self._learned = (self._learned or 0) + 1
        row = self._changed_items.get(seen.item)
        if row is not None:
            self._used.setdefault(seen.collection, {})[seen.item] = row

    def item(self, num: int) -> ItemRow | None:
        """The row of an item; what is changed in it is written later."""
        row = self._changed_items.get(num)
        if row is None:
            row = self._items.get(num) or self._read_item(num)
            if row is not None:
                self._changed_items[num] = row
        return row

    def profile(self, num: int) -> Profile | None:
        """The profile of a user; what is changed in it is written later."""
        row = self.peek(num)
        self._liked.drop(num)
        if row is not None:
            self._changed_profiles[num] = row
        return row

    def session(self, num: int) -> SessionRow | None:
        """A session; what is changed in it is written later."""
        row = self._changed_sessions.get(num) or self._sessions.get(num)
        if row is None and num not in self._gone_sessions:
            found = self._db.execute(
                "SELECT user, items, rings FROM sessions JOIN session_rings ON session = num WHERE num=?", (num,)
            ).fetchone()
            row = None if found is None else SessionRow.decoded(num, *found)
        if row is None:
            return None
        self._changed_sessions[num] = row
        if left := self._left_rings.pop(num, 0):
            row.rings -= left
            if row.rings <= 0:
                self._drop_session(num)
                return None
        return row

    def left_ring(self, session: int) -> None:
        """A session stands in one ring less; in none, it goes. It is not read for that."""
        self._left_rings[session] = self._left_rings.get(session, 0) + 1

    def open_session(self, collection: int, user: int) -> SessionRow:
        """A new session of a user."""
        self._last_session += 1
        row = SessionRow(self._last_session, user)
        self._opened[row.num] = collection
        self._changed_sessions[row.num] = row
        self.users.opened(row.num, user)
        return row

    def _drop_session(self, num: int) -> None:
        del self._changed_sessions[num]
        self._sessions.drop(num)
        if self._opened.pop(num, None) is None:
            self._gone_sessions.add(num)

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the rows that were given out to be changed; their interactions are in the tables."""
        self.catch_up()
        for num in [num for num in self._left_rings if num in self._changed_sessions or num in self._sessions]:
            self.session(num)
        self._write_items()
        self._write_profiles()
        self._write_sessions()
        if self._learned:
            self._db.execute("DELETE FROM behaviour_redo")
        for num, item in self._changed_items.items():
            self._items.put(num, item)
        for num, profile in self._changed_profiles.items():
            self._profiles.put(num, profile)
        for num, session in self._changed_sessions.items():
            self._sessions.put(num, session)
        self._clear_changes()
        self._learned = 0
        self.users.written()

    def _clear_changes(self) -> None:
        for changed in (self._changed_items, self._changed_profiles, self._changed_sessions):
            changed.clear()
        self._opened.clear()
        self._gone_sessions.clear()
        self._left_rings.clear()
        self._used.clear()

    def _write_items(self) -> None:
        self._db.executemany(
            "UPDATE used_items SET base_ms=?, count=?, total=?, popular=?, trending=?, partners=?, ring=? WHERE num=?",
            [
                (row.base_ms, row.count, row.total, row.popular, row.trending, *row.encoded(), num)
                for num, row in sorted(self._changed_items.items())
            ],
        )

    def _write_profiles(self) -> None:
        self._db.executemany(
            "UPDATE users SET base_ms=?, items=?, session=?, session_ms=?, visit=?, day=?, day_count=? WHERE num=?",
            [
                (row.base_ms, row.encoded(), row.session, row.session_ms, row.visit, row.day, row.day_count, num)
                for num, row in sorted(self._changed_profiles.items())
            ],
        )

    def _write_sessions(self) -> None:
        gone = set(self._gone_sessions)
        for num, count in sorted(self._left_rings.items()):
            rings = self._db.execute(
                "UPDATE session_rings SET rings=rings-? WHERE session=? RETURNING rings", (count, num)
            ).fetchall()
            if rings and rings[0][0] <= 0:
                gone.add(num)
        self.drop_sessions(sorted(gone))
        rows = sorted(self._changed_sessions.items())
        self._db.executemany(
            "INSERT INTO sessions VALUES (?,?,?,?)",
            [(num, self._opened[num], row.user, row.encoded()) for num, row in rows if num in self._opened],
        )
        self._db.executemany(
            "UPDATE sessions SET items=? WHERE num=?",
            [(row.encoded(), num) for num, row in rows if num not in self._opened],
        )
        self._db.executemany("REPLACE INTO session_rings VALUES (?,?)", [(num, row.rings) for num, row in rows])
        # The highest number of all may be of a session that has gone before it was written.
        if not self._db.execute(
            "UPDATE sqlite_sequence SET seq=? WHERE name='sessions'", (self._last_session,)
        ).rowcount:
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('sessions',?)", (self._last_session,))

    # -- rows that are only read ---------------------------------------------------------------------------------------

    def used_items(self, collection: int) -> Mapping[int, ItemRow]:
        """Rows of items of a collection that were used since rows were written, by number."""
        self.catch_up()
        return self._used.get(collection, {})

    def newer(self, num: int) -> ItemRow | None:
        """The row of an item if it is newer than in the table."""
        self.catch_up()
        return self._changed_items.get(num)

    def peek(self, num: int) -> Profile | None:
        """The profile of a user, to read."""
        self.catch_up()
        row = self._changed_profiles.get(num) or self._profiles.get(num)
        if row is None:
            found = self._db.execute(
                "SELECT base_ms, items, session, session_ms, visit, day, day_count FROM users WHERE num=?", (num,)
            ).fetchone()
            if found is not None:
                row = Profile.decoded(num, *found)
                self._profiles.put(num, row)
        return row

    def items_among(self, nums: Iterable[int]) -> dict[int, ItemRow]:
        """Rows of items that are in memory, to read."""
        self.catch_up()
        return _among(nums, self._changed_items, self._items)

    def liked(self, users: Iterable[int]) -> dict[int, Liked]:
        """Numbers and weights of the items of some users, without those they dismissed."""
        self.catch_up()
        wanted = list(users)
        found = self._liked.among(wanted)
        missing = [num for num in wanted if num not in found]
        if not missing:
            return found
        kept = _among(missing, self._changed_profiles, self._profiles)
        read = {num: arrays_of(profile.liked()) for num, profile in kept.items()}
        for num, data in self._db.execute(
            "SELECT num, items FROM users WHERE num IN (SELECT value FROM json_each(?))",
            (json.dumps([num for num in missing if num not in kept]),),
        ):
            read[num] = liked_in(data)
        for num, liked in read.items():
            self._liked.put(num, liked)
        return found | read

    def sessions_among(self, nums: Iterable[int]) -> dict[int, SessionRow]:
        """Sessions that are in memory, to read."""
        self.catch_up()
        return _among(nums, self._changed_sessions, self._sessions)

    # -- rows that go: everything has been written before --------------------------------------------------------------

    def drop_item(self, num: int, ring: Iterable[int]) -> None:
        """An item has been deleted; the sessions in its ring stand in one ring less."""
        self._items.drop(num)
        for session in ring:
            self.left_ring(session)

    def drop_profile(self, num: int) -> None:
        """A profile has been deleted."""
        self._profiles.drop(num)
        self._liked.drop(num)

    def drop_sessions(self, sessions: Sequence[int]) -> None:
        """Delete sessions."""
        for session in sessions:
            self._sessions.drop(session)
        self._db.executemany("DELETE FROM sessions WHERE num=?", [(num,) for num in sessions])
        self._db.executemany("DELETE FROM session_rings WHERE session=?", [(num,) for num in sessions])

    def move_sessions(self, user: int, other: int) -> None:
        """The sessions of a user have become those of another; 0 is nobody."""
        self._sessions.clear()
        self.users.moved(user, other)

    def _read_item(self, num: int) -> ItemRow | None:
        found = self._db.execute(
            "SELECT partners, ring, base_ms, count, total, popular, trending FROM used_items WHERE num=?", (num,)
        ).fetchone()
        return None if found is None else ItemRow.decoded(num, *found)


def _among(nums: Iterable[int], changed: Mapping[int, Row], kept: Recent[int, Row]) -> dict[int, Row]:
    found = {}
    for num in nums:
        row = changed.get(num) or kept.get(num)
        if row is not None:
            found[num] = row
    return found
