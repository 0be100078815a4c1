"""Groups of duplicates. A group has no row: it is the items with its id."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from typing import Literal

from recommender_engine.store.recent_items import RecentItems
from recommender_engine.store.rows import Member
from recommender_engine.store.standings import Standings

CanonicalRule = Literal["earliest", "latest", "longest"]

_CANONICAL = {
    "earliest": "seq",
    "latest": "seq DESC",
    "longest": "length DESC, seq",
}
_MEMBER = "SELECT seq, id, point, grp FROM items WHERE grp=?"


class GroupTable:
    """Reads and writes groups; every call runs in the caller's transaction.

    Attributes:
        moves: how often items changed their group, since the start.
    """

    def __init__(self, connection: sqlite3.Connection, recent: RecentItems, standings: Standings) -> None:
        self._db = connection
        self._recent = recent
        self.moves = 0
        self._standings = standings

    def canonical(
        self, groups: Collection[str], rule: CanonicalRule = "earliest", hidden_ms: int | None = None
    ) -> dict[str, str]:
        """Id of the canonical item of each group; the earliest of equally long texts.

        Args:
            groups: ids of the groups.
            rule: how the canonical item is chosen.
            hidden_ms: items that arrived up to this stream time are hidden.
        """
        if hidden_ms is not None:
            return dict(self._read_canonical(list(groups), rule, hidden_ms))
        recent = self._recent.canonical_by(rule)
        found = recent.among(groups)
        if len(found) < len(groups):
            for group, id_ in self._read_canonical([group for group in groups if group not in found], rule):
                found[group] = id_
                recent.put(group, id_)
        return found

    def _read_canonical(self, groups: list[str], rule: CanonicalRule, hidden_ms: int = -1) -> list[tuple[str, str]]:
        rows = self._db.execute(
            "SELECT grp, items.id FROM json_each(?) AS groups CROSS JOIN items ON items.seq ="  # noqa: S608
            f" (SELECT seq FROM items WHERE grp = groups.value AND at_ms > ? ORDER BY {_CANONICAL[rule]} LIMIT 1)",
            (json.dumps(groups), hidden_ms),
        )
        return rows.fetchall()

    def canonical_among(self, group: str, rule: CanonicalRule, chosen: Callable[[int], bool]) -> str | None:
        """Id of the item that would be canonical if the group had only some of its items; ``None`` if it had none.

        Args:
            group: its id.
            rule: how the canonical item is chosen.
            chosen: whether the group has the item with this arrival number.
        """
        rows = self._db.execute(
            f"SELECT seq, id FROM items WHERE grp=? ORDER BY {_CANONICAL[rule]}",  # noqa: S608 (constant)
            (group,),
        )
        return next((id_ for seq, id_ in rows if chosen(seq)), None)

    def earliest(self, group: str, limit: int) -> list[Member]:
        """The earliest items of a group, at most ``limit`` (-1: all), in order of arrival."""
        rows = self._db.execute(f"{_MEMBER} ORDER BY seq LIMIT ?", (group, limit))
        return [Member(*row) for row in rows]

    def latest(self, group: str, limit: int) -> list[Member]:
        """The latest items of a group, at most ``limit``, the latest first."""
        rows = self._db.execute(f"{_MEMBER} ORDER BY seq DESC LIMIT ?", (group, limit))
        return [Member(*row) for row in rows]

    def all(self, group: str) -> list[Member]:
        """Every item of a group, in order of arrival."""
        return self.earliest(group, -1)

    def size(self, group: str, hidden_ms: int | None = None) -> int:
        """Number of items of a group.

        Args:
            group: its id.
            hidden_ms: items that arrived up to this stream time are hidden.
        """
        visible, since = ("", ()) if hidden_ms is None else (" AND at_ms > ?", (hidden_ms,))
        counted = self._db.execute(f"SELECT count(*) FROM items WHERE grp=?{visible}", (group, *since))  # noqa: S608
        return int(counted.fetchone()[0])

    def sizes(self, groups: Collection[str], limit: int, hidden_ms: int | None = None) -> dict[str, int]:
        """Number of items of each of some groups, at most ``limit`` of a group are counted; hidden as for `size`."""
        rows = self._db.execute(
            "SELECT value, (SELECT count(*) FROM (SELECT 1 FROM items WHERE grp=value AND at_ms > ? LIMIT ?))"
            " FROM json_each(?)",
            (-1 if hidden_ms is None else hidden_ms, limit, json.dumps(sorted(groups))),
        )
        return dict(rows.fetchall())

    def times(self, group: str, limit: int) -> list[int]:
        """When the items of a group happened, the latest arrival first, at most ``limit``; 0 where it is not known.

        Stream time in milliseconds since 1970.
        """
        rows = self._db.execute(
            "SELECT COALESCE(happened_ms, at_ms) FROM items WHERE grp=? ORDER BY seq DESC LIMIT ?", (group, limit)
        )
        return [row[0] for row in rows]

    def vectors(self, group: str) -> dict[int, int]:
        """Vector row of every item of a group, by arrival number, in order of arrival."""
        return dict(self._db.execute("SELECT seq, vector FROM items WHERE grp=? ORDER BY seq", (group,)))

    def with_vector(self, group: str, collection: int, vector: int) -> list[Member]:
        """The items of a group with exactly this vector, in order of arrival."""
        rows = self._db.execute(
            "SELECT seq, id, point, grp FROM items WHERE vector=? AND collection=? AND +grp=? ORDER BY seq",
            (vector, collection, group),
        )
        return [Member(*row) for row in rows]

    def matched_across(self, group: str, other: str) -> list[int]:
        """Arrival numbers of the items of a group that were matched with an item of the other, ascending.

        Takes time proportional to the smaller group.
        """
        ours = "items AS mine CROSS JOIN items AS theirs ON theirs.seq = mine.matched_seq"
        others = "items AS theirs CROSS JOIN items AS mine ON mine.matched_seq = theirs.seq"
        rows = self._db.execute(
            f"SELECT mine.seq FROM {ours if self.size(group) <= self.size(other) else others}"  # noqa: S608 (constants)
            " WHERE mine.grp=? AND theirs.grp=? ORDER BY mine.seq",
            (group, other),
        )
        return [row[0] for row in rows]

    def move(self, seqs: Collection[int], group: str) -> None:
        """Put items into a group."""
        with self._standings.regrouped(seqs, group):
            moved = self._db.execute(
                "UPDATE items SET grp=? WHERE seq IN (SELECT value FROM json_each(?)) RETURNING collection, id",
                (group, json.dumps(list(seqs))),
            ).fetchall()
        self.moves += 1
        self._recent.rearranged(moved)

    def expired(self, group: str, until_ms: int) -> list[Member]:
        """Items of a group that arrived up to a stream time, in order of arrival."""
        rows = self._db.execute(f"{_MEMBER} AND at_ms <= ? ORDER BY seq", (group, until_ms))
        return [Member(*row) for row in rows]

    def first_behind(self, group: str, until_ms: int) -> int | None:
        """Number of the earliest item of a group that arrived after a stream time."""
        row = self._db.execute(
            "SELECT seq FROM items WHERE grp=? AND at_ms > ? ORDER BY seq LIMIT 1", (group, until_ms)
        ).fetchone()
        return None if row is None else int(row[0])

    def leave(self, group: str, until_ms: int) -> None:
        """Remove the items that arrived up to a stream time from a group; they are in no group then."""
        with self._standings.regrouped([member.seq for member in self.expired(group, until_ms)]):
            moved = self._db.execute(
                "UPDATE items SET grp='' WHERE grp=? AND at_ms <= ? RETURNING collection, id", (group, until_ms)
            ).fetchall()
        self._recent.rearranged(moved)
