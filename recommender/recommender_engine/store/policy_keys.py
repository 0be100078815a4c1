"""An index of the stored items by their policy key, to find those that a later item may duplicate."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recommender_engine.items import Item
from recommender_engine.store.items import item_of
from recommender_engine.store.rows import ItemText, Member, PolicyKeyOf

LAST_SEQ = 2**63 - 1
_WITHIN = " AND moment BETWEEN ? AND ? AND seq > ? AND seq < ? AND seq <> ?"

Sharing = Literal["fingerprint", "point"]
_INDEXES = {"fingerprint": "items_by_scope_text", "point": "items_by_scope_point"}


@dataclass(frozen=True, slots=True)
class PolicyQuery:
    """The condition for earlier items that an item may duplicate.

    Attributes:
        scopes: of the items; the first is that of items without a timestamp, whose moment is their arrival.
        first, last: range of their moments, inclusive.
        behind: only items with a higher arrival number have a policy key.
        before: the arrival number of the item itself, if it is stored and later items do not count.
        but: a further arrival number to exclude; 0 for none.
        hidden_ms: items that arrived up to this stream time are hidden; ``None`` if none are.
    """

    scopes: tuple[int, ...]
    first: int
    last: int
    behind: int = 0
    before: int = LAST_SEQ
    but: int = 0
    hidden_ms: int | None = None

    @property
    def within(self) -> str:
        """The condition in SQL."""
        return _WITHIN if self.hidden_ms is None else f"{_WITHIN} AND at_ms > ?"  # which no index has

    @property
    def values(self) -> tuple[int, ...]:
        """Parameters of the condition."""
        hidden = () if self.hidden_ms is None else (self.hidden_ms,)
        return self.first, self.last, self.behind, self.before, self.but, *hidden


class PolicyKeyTable:
    """Reads and writes policy keys; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def earliest(self, sharing: Sharing, values: Sequence[bytes | int], sought: PolicyQuery) -> list[int]:
        """For each text or point, the earliest matching arrival number; 0 if there is none."""
        best = [0] * len(values)
        for place, scope in enumerate(sought.scopes):
            # Without timestamps the first moment is the first arrival; with timestamps, all in the window are read.
            order = "ORDER BY moment, seq LIMIT 1" if place == 0 else "ORDER BY seq LIMIT 1"
            statement = (
                f"SELECT seq FROM items INDEXED BY {_INDEXES[sharing]} WHERE scope=? AND {sharing}=?"  # noqa: S608
                f"{sought.within} {order}"  # all of them constants
            )
            for number, value in enumerate(values):
                row = self._db.execute(statement, (scope, value, *sought.values)).fetchone()
                if row is not None and not 0 < best[number] < row[0]:
                    best[number] = row[0]
        return best

    def points(self, sought: PolicyQuery, limit: int) -> list[int] | None:
        """Points of all matching items, ascending; ``None`` if there are more than ``limit`` items."""
        found: list[int] = []
        for scope in sought.scopes:
            rows = self._db.execute(
                f"SELECT point FROM items INDEXED BY items_by_scope_time WHERE scope=?{sought.within} LIMIT ?",  # noqa: S608
                (scope, *sought.values, limit + 1 - len(found)),
            )
            found += [row[0] for row in rows]
        return None if len(found) > limit else sorted(set(found))

    def among(self, seqs: Sequence[int], sought: PolicyQuery) -> list[int]:
        """The matching ones of some items, in the order given."""
        rows = self._db.execute(
            "SELECT seq FROM items WHERE seq IN (SELECT value FROM json_each(?)) AND scope IN (SELECT value FROM"  # noqa: S608
            f" json_each(?)){sought.within}",
            (json.dumps(list(seqs)), json.dumps(sought.scopes), *sought.values),
        )
        found = {row[0] for row in rows}
        return [seq for seq in seqs if seq in found]

    def unsorted(
        self, collection: int, sharing: Sharing, value: bytes | int, sought: PolicyQuery, name: str
    ) -> list[tuple[Member, ItemText]]:
        """Items with one of the texts or points that have no policy key yet, in order of arrival."""
        rows = self._db.execute(
            "SELECT seq, id, point, grp, COALESCE(compared, content), attributes, fingerprint, vector, at_ms FROM items"  # noqa: S608
            f" WHERE {sharing}=? AND collection=? AND seq <= ? AND at_ms > ? ORDER BY seq",
            (value, collection, sought.behind, -1 if sought.hidden_ms is None else sought.hidden_ms),
        )
        return [
            (Member(seq, id_, point, group), ItemText(item_of(id_, name, content, attributes), *others))
            for seq, id_, point, group, content, attributes, *others in rows
        ]

    def slice(self, collection: int, last: int, limit: int, name: str) -> list[tuple[int, Item, int]]:
        """Items that arrived up to number ``last``, at most ``limit``, the latest first: number, item, stream time."""
        rows: Any = self._db.execute(
            "SELECT seq, id, COALESCE(compared, content), attributes, at_ms FROM items WHERE collection=? AND seq <= ?"
            " ORDER BY seq DESC LIMIT ?",
            (collection, last, limit),
        )
        return [(seq, item_of(id_, name, content, attributes), at_ms) for seq, id_, content, attributes, at_ms in rows]

    def put(self, policy_index: Collection[tuple[int, PolicyKeyOf]]) -> None:
        """Store the policy keys of items by arrival number."""
        self._db.executemany(
            "UPDATE items SET scope=?, moment=? WHERE seq=?", [(*policy_key, seq) for seq, policy_key in policy_index]
        )
