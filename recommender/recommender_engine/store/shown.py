"""Lists of recommendations that were shown, and what became of them. Nothing is cached but that there are any."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple

from recommender_engine.items import EntryId
from recommender_engine.store.behaviour import UserKey

MOST_LISTS = 1_000_000
"""So many lists of a partition are kept, the newest."""

MOST_OF_USER = 50
"""So many lists of a user are kept, the newest."""

_LIST = "SELECT num, scenario, arm, at_ms, items, used FROM shown_lists WHERE collection=? AND "
_FIGURES = "scenario, arm, sum(lists), sum(hits), sum(items), sum(used), sum(ranks)"


class ShownList(NamedTuple):
    """A list that was shown.

    Attributes:
        num: in the order of the commands.
        scenario, arm: what it is counted under; empty is none.
        at_ms: when, in milliseconds since 1970.
        items: numbers of its items, in the order of the list; 0 is no item of the collection.
        used: places of the list that were used, from 0.
    """

    num: int
    scenario: str
    arm: str
    at_ms: int
    items: tuple[int, ...]
    used: tuple[int, ...] = ()


class Counted(NamedTuple):
    """What some lists are counted under: the day since 1970, the scenario and the arm."""

    day: int
    scenario: str
    arm: str


class Figures(NamedTuple):
    """What became of some lists.

    Attributes:
        lists: how many were shown.
        hits: how many of them were used.
        items: how many items were shown.
        used: how many of them were used.
        ranks: sum over the used lists of one over the rank of the best item that was used.
    """

    lists: int = 0
    hits: int = 0
    items: int = 0
    used: int = 0
    ranks: float = 0.0


class ShownTable:
    """Reads and writes shown lists; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._any: dict[int, bool] = {}

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._any.clear()

    def any_in(self, collection: int) -> bool:
        """Whether lists of a collection were ever shown."""
        if collection not in self._any:
            self._any[collection] = self.holds(collection)
        return self._any[collection]

    def holds(self, collection: int) -> bool:
        """The same, read from the tables."""
        found = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM hit_rates WHERE collection=:id)"
            " OR EXISTS (SELECT 1 FROM shown_lists WHERE collection=:id)",
            {"id": collection},
        )
        return bool(found.fetchone()[0])

    # -- lists ---------------------------------------------------------------------------------------------------------

    def add(
        self, collection: int, id_: str, key: UserKey | None, shown: ShownList, outcome: EntryId | None
    ) -> list[EntryId]:
        """Store a list, in place of an older one of the same id; ``shown.num`` is not read.

        Returns:
            The outcomes of lists that the user has too many of.
        """
        self._any[collection] = True
        self._db.execute("DELETE FROM shown_lists WHERE collection=? AND id=?", (collection, id_))
        user = (None, False) if key is None else (key.id, key.anonymous)
        items = array("I", shown.items).tobytes()
        num = self._db.execute(
            "INSERT INTO shown_lists (collection, id, user, anonymous, scenario, arm, at_ms, items, used, event_ms,"
            " event_n) VALUES (?,?,?,?,?,?,?,?,x'',?,?)",
            (collection, id_, *user, shown.scenario, shown.arm, shown.at_ms, items, *(outcome or (None, None))),
        ).lastrowid
        self._db.execute("DELETE FROM shown_lists WHERE num <= ?", (int(num or 0) - MOST_LISTS,))
        return [] if key is None else self._keep_newest(collection, key)

    def named(self, collection: int, id_: str) -> ShownList | None:
        """A list by its id."""
        row = self._db.execute(f"{_LIST} id=?", (collection, id_)).fetchone()
        return None if row is None else _read(row)

    def of_user(self, collection: int, key: UserKey, since_ms: int) -> list[ShownList]:
        """The lists that a user was shown since then, the newest command first."""
        rows = self._db.execute(
            f"{_LIST} user=? AND anonymous=? AND at_ms>=? ORDER BY num DESC",
            (collection, key.id, key.anonymous, since_ms),
        )
        return [_read(row) for row in rows]

    def mark_used(self, num: int, used: Sequence[int]) -> None:
        """Set the places of a list that were used."""
        self._db.execute("UPDATE shown_lists SET used=? WHERE num=?", (bytes(used), num))

    def rename_user(self, collection: int, key: UserKey, new: UserKey) -> list[EntryId]:
        """A session becomes a user, who may have lists already; returns the outcomes of those that are too many."""
        self._db.execute(
            "UPDATE shown_lists SET user=?, anonymous=? WHERE collection=? AND user=? AND anonymous=?",
            (new.id, new.anonymous, collection, key.id, key.anonymous),
        )
        return self._keep_newest(collection, new)

    def erase_user(self, collection: int, key: UserKey) -> list[EntryId]:
        """Delete the lists of a user, which stay counted; returns their outcomes."""
        rows = self._db.execute(
            "DELETE FROM shown_lists WHERE collection=? AND user=? AND anonymous=? RETURNING event_ms, event_n",
            (collection, key.id, key.anonymous),
        )
        return _outcomes(rows.fetchall())

    def forget_old(self, before_ms: int, limit: int) -> int:
        """Delete lists older than that, at most ``limit``; returns their number."""
        return self._db.execute(
            "DELETE FROM shown_lists WHERE num IN (SELECT num FROM shown_lists ORDER BY num LIMIT ?) AND at_ms < ?",
            (limit, before_ms),
        ).rowcount

    def item_ids(self, nums: Collection[int]) -> dict[int, str]:
        """Ids of items by number, of those that are known."""
        rows = self._db.execute(
            "SELECT num, id FROM used_items WHERE num IN (SELECT value FROM json_each(?))", (json.dumps(list(nums)),)
        )
        return dict(rows.fetchall())

    def _keep_newest(self, collection: int, key: UserKey) -> list[EntryId]:
        rows = self._db.execute(
            "DELETE FROM shown_lists WHERE num IN (SELECT num FROM shown_lists WHERE collection=? AND user=?"
            " AND anonymous=? ORDER BY num DESC LIMIT -1 OFFSET ?) RETURNING event_ms, event_n",
            (collection, key.id, key.anonymous, MOST_OF_USER),
        )
        return _outcomes(rows.fetchall())

    # -- what became of them -------------------------------------------------------------------------------------------

    def count(self, collection: int, under: Counted, more: Figures, *, judged: bool = False) -> None:
        """Add to the figures of a day; ``judged``: if there are none yet, no event is due for them."""
        self._db.execute(
            "INSERT INTO hit_rates VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET lists=lists+excluded.lists,"
            " hits=hits+excluded.hits, items=items+excluded.items, used=used+excluded.used, ranks=ranks+excluded.ranks",
            (collection, *under, *more, judged),
        )

    def figures(self, collection: int, since_day: int) -> list[tuple[str, str, Figures]]:
        """Scenario, arm and figures of the lists of a collection since a day."""
        rows = self._db.execute(
            f"SELECT {_FIGURES} FROM hit_rates WHERE collection=? AND day>=?"  # noqa: S608 (constants)
            " GROUP BY scenario, arm ORDER BY scenario, arm",
            (collection, since_day),
        )
        return [(row[0], row[1], Figures(*row[2:])) for row in rows]

    def open_figures(self) -> Figures:
        """The figures of all lists for which no event is out yet."""
        row = self._db.execute(
            "SELECT sum(lists), sum(hits), sum(items), sum(used), sum(ranks) FROM hit_rates WHERE NOT judged"
        ).fetchone()
        return Figures() if row[0] is None else Figures(*row)

    def first_to_judge(self) -> int | None:
        """The earliest day for which an event is due, or will be."""
        found: int | None = self._db.execute("SELECT min(day) FROM hit_rates WHERE NOT judged").fetchone()[0]
        return found

    def to_judge(self, up_to_day: int, limit: int) -> list[tuple[int, Counted, Figures]]:
        """Collection, key and figures of days for which an event is due, in order, at most ``limit``."""
        rows = self._db.execute(
            "SELECT collection, day, scenario, arm, lists, hits, items, used, ranks FROM hit_rates WHERE NOT judged"
            " AND day<=? ORDER BY day, collection, scenario, arm LIMIT ?",
            (up_to_day, limit),
        )
        return [(row[0], Counted(*row[1:4]), Figures(*row[4:])) for row in rows]

    def judge(self, collection: int, under: Counted, keep_from_day: int) -> None:
        """The event is out; days before another one are forgotten."""
        self._db.execute(
            "UPDATE hit_rates SET judged=1 WHERE collection=? AND day=? AND scenario=? AND arm=?", (collection, *under)
        )
        self._db.execute("DELETE FROM hit_rates WHERE collection=? AND day<?", (collection, keep_from_day))

    def retire(self, collection: int) -> None:
        """No event is due any more of a collection that is deleted."""
        self._db.execute("UPDATE hit_rates SET judged=1 WHERE collection=? AND NOT judged", (collection,))


def _read(row: tuple[int, str, str, int, bytes, bytes]) -> ShownList:
    num, scenario, arm, at_ms, items, used = row
    return ShownList(num, scenario, arm, at_ms, tuple(array("I", items)), tuple(used))


def _outcomes(rows: list[tuple[int | None, int | None]]) -> list[EntryId]:
    return sorted(EntryId(ms, n) for ms, n in rows if ms is not None and n is not None)
