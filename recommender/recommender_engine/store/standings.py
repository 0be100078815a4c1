"""How items stand now: band, probability and worth of an answer as columns of the items, and counts by collection.

An item stands in ``duplicate`` while an earlier one of its group is stored. So a band changes with the verdict and with
the group: what changes either calls `Standings` in the same transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from recommender_engine.items import Band
from recommender_engine.store.rows import StoredItem, Verdict

CODES = {Band.NEW: 0, Band.SIMILAR: 1, Band.REVIEW: 2, Band.DUPLICATE: 3}
"""Of bands in the column ``band``; it is NULL in an item that has expired and left its group."""
BANDS = tuple(CODES)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEPT = {HOUR_MS: 48, DAY_MS: 60}
"""How many of the latest hours and days arrivals are counted for, by their length in milliseconds."""

PARTS = 1000
"""Items are counted by the thousandth of their probability."""

GROUPS = "groups"
"""Groups of two items or more, among the counts of a collection; the others are bands."""

Columns = tuple[int, float, float | None]

_NEW, _DUPLICATE = CODES[Band.NEW], CODES[Band.DUPLICATE]


class Standings:
    """Keeps the standing of items and counts them; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._rank: Callable[[int, float], float] = lambda collection, probability: probability
        self._changes: Counter[tuple[int, str]] = Counter()
        self._stated: Counter[tuple[int, int, int]] = Counter()
        self._arrived: Counter[tuple[int, int, int, int]] = Counter()
        self._open: set[tuple[int, int, int]] = set()  # hours and days that are counted already

    def rank_by(self, rank: Callable[[int, float], float]) -> None:
        """How much an answer is worth: of a collection, by number, and the stated probability; in [0, 1]."""
        self._rank = rank

    # -- items ---------------------------------------------------------------------------------------------------------

    def arriving(self, row: StoredItem) -> Columns:
        """Band, probability and worth of an item that is stored next, after all others of its group; it is counted."""
        (others,) = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM items WHERE grp=? LIMIT 2)", (row.group,)
        ).fetchone()
        stated, worth = self._of_verdict(row.collection, row.verdict)
        band = _DUPLICATE if others else _unrepeated(row.verdict.band)
        if band == _NEW and stated and not self._is_stored(row.verdict.matched_seq):
            stated = 0.0
        self._count(row.collection, band, stated, 1)
        if others == 1:
            self._changes[row.collection, GROUPS] += 1
        for span_ms in KEPT:
            self._arrived[row.collection, span_ms, row.at_ms // span_ms * span_ms, band] += 1
        return band, stated, worth

    def corrected(self, seq: int, collection: int, verdict: Verdict) -> None:
        """The verdict of an item was replaced."""
        band, before = self._db.execute("SELECT band, stated FROM items WHERE seq=?", (seq,)).fetchone()
        stated, worth = self._of_verdict(collection, verdict)
        self._db.execute("UPDATE items SET stated=?, worth=? WHERE seq=?", (stated, worth, seq))
        self._count(collection, band, before, -1)
        self._count(collection, band, stated, 1)
        self.refresh([seq])

    def deleted(self, seq: int, collection: int, group: str, band: int | None, stated: float) -> None:
        """An item was deleted; the next of its group, and what was matched with it, may stand elsewhere now."""
        self._count(collection, band, stated, -1)
        matched = self._db.execute("SELECT seq FROM items WHERE matched_seq=? AND band=0", (seq,))
        self.refresh([one for (one,) in matched])
        if not group:
            return
        first, second = self._heads([group])[group]
        if first is not None and second is None:
            self._changes[collection, GROUPS] -= 1
        if first is not None and first > seq:
            self.refresh([first])

    @contextmanager
    def regrouped(self, seqs: Collection[int], group: str = "") -> Iterator[None]:
        """Items change their group in the block; all others of the groups stay where they are.

        Args:
            seqs: arrival numbers of these items, of one collection.
            group: where they go; empty if in none.
        """
        asked = json.dumps(list(seqs))
        rows = self._db.execute(
            "SELECT DISTINCT collection, grp FROM items WHERE seq IN (SELECT value FROM json_each(?))", (asked,)
        ).fetchall()
        groups = sorted({group, *(one for _, one in rows)} - {""})
        before = self._heads(groups)
        yield
        after = self._heads(groups)
        if not rows:
            return
        collection = rows[0][0]
        self._changes[collection, GROUPS] += _several(after) - _several(before)
        heads = {first for first, _ in (*before.values(), *after.values()) if first is not None}
        self.refresh({*seqs, *heads})

    def refresh(self, seqs: Iterable[int]) -> None:
        """Bring the bands of items up to date that may have changed with their groups or verdicts."""
        rows = self._db.execute(
            "SELECT seq, collection, band, stated, CASE WHEN grp = '' THEN NULL WHEN repeats THEN 3"
            " ELSE CASE json_extract(verdict, '$.band') WHEN 'similar' THEN 1 WHEN 'review' THEN 2 ELSE 0 END END,"
            " coalesce(json_extract(verdict, '$.probability'), 0.0),"
            " EXISTS (SELECT 1 FROM items AS other WHERE other.seq = found.matched_seq)"
            " FROM (SELECT items.seq, collection, band, stated, grp, verdict, matched_seq, items.seq >"
            " (SELECT min(seq) FROM items AS head WHERE head.grp = items.grp) AS repeats"
            " FROM json_each(?) AS asked CROSS JOIN items ON items.seq = asked.value) AS found"
            " WHERE NOT (grp <> '' AND repeats AND band IS 3)",
            (json.dumps(sorted(seqs)),),
        ).fetchall()
        for seq, collection, band, stated, now, probability, matched in rows:
            states = probability if matched or now != _NEW else 0.0
            if (now, states) == (band, stated):
                continue
            self._db.execute("UPDATE items SET band=?, stated=? WHERE seq=?", (now, states, seq))
            self._count(collection, band, stated, -1)
            self._count(collection, now, states, 1)

    # -- counts --------------------------------------------------------------------------------------------------------

    def counts(self, collection: int) -> dict[str, int]:
        """Items of a collection by band, those that have expired and are stored yet among them, and its groups."""
        rows = dict(self._db.execute("SELECT what, items FROM standings WHERE collection=?", (collection,)))
        return {what: int(rows.get(what, 0)) for what in (*BANDS, GROUPS)}

    def probabilities(self, collection: int) -> list[tuple[int, int, int]]:
        """How many items stand in a band with a probability: code of the band, thousandth, items."""
        return self._db.execute(
            "SELECT band, part, items FROM probabilities WHERE collection=? AND items ORDER BY band, part",
            (collection,),
        ).fetchall()

    def arrivals(self, collection: int, span_ms: int) -> dict[int, dict[str, int]]:
        """How many items arrived in each of the latest hours or days, by the band in which they were put.

        Args:
            collection: its number.
            span_ms: length of an hour or a day, in milliseconds.

        Returns:
            Counts by band, by the stream time at which the hour or day began, in milliseconds since 1970, ascending;
            without those in which nothing arrived.
        """
        found: dict[int, dict[str, int]] = {}
        rows = self._db.execute(
            "SELECT start_ms, band, items FROM arrivals WHERE collection=? AND span_ms=? ORDER BY start_ms, band",
            (collection, span_ms),
        )
        for start_ms, band, items in rows:
            found.setdefault(start_ms, dict.fromkeys(BANDS, 0))[BANDS[band]] = items
        return found

    def flush(self) -> None:
        """Write the counts that have changed; part of the running transaction."""
        self._db.executemany(
            "INSERT INTO standings VALUES (?,?,?) ON CONFLICT DO UPDATE SET items = items + excluded.items",
            sorted([(*key, change) for key, change in self._changes.items() if change]),
        )
        self._db.executemany(
            "INSERT INTO probabilities VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET items = items + excluded.items",
            sorted([(*key, change) for key, change in self._stated.items() if change]),
        )
        self._db.executemany(
            "INSERT INTO arrivals VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET items = items + excluded.items",
            [(*key, self._arrived[key]) for key in sorted(self._arrived)],
        )
        for collection, span_ms, start_ms in sorted({key[:3] for key in self._arrived} - self._open):
            self._drop_old(collection, span_ms)
            self._open.add((collection, span_ms, start_ms))
        self._changes.clear()
        self._stated.clear()
        self._arrived.clear()

    def forget(self) -> None:
        """Drop what was not written, after a rollback."""
        self._changes.clear()
        self._stated.clear()
        self._arrived.clear()
        self._open.clear()

    def _drop_old(self, collection: int, span_ms: int) -> None:
        """Delete hours or days that are too long ago."""
        self._db.execute(
            "DELETE FROM arrivals WHERE collection=:collection AND span_ms=:span AND start_ms <="
            " (SELECT max(start_ms) FROM arrivals WHERE collection=:collection AND span_ms=:span) - :kept",
            {"collection": collection, "span": span_ms, "kept": KEPT[span_ms] * span_ms},
        )
        self._open = {one for one in self._open if one[:2] != (collection, span_ms)}

    def _of_verdict(self, collection: int, verdict: Verdict) -> tuple[float, float | None]:
        """The probability of a verdict, and what an answer on its pair is worth; ``None`` without a pair."""
        if verdict.pair is None:
            return 0.0, None
        return verdict.pair.probability, self._rank(collection, verdict.pair.probability)

    def _count(self, collection: int, band: int | None, stated: float, change: int) -> None:
        if band is not None:
            self._changes[collection, BANDS[band].value] += change
            self._stated[collection, band, int(stated * PARTS)] += change

    def _heads(self, groups: Collection[str]) -> dict[str, tuple[int | None, int | None]]:
        """Arrival numbers of the first two items of each group, as far as there are any."""
        rows = self._db.execute(
            "SELECT value, (SELECT seq FROM items WHERE grp = value ORDER BY seq LIMIT 1),"
            " (SELECT seq FROM items WHERE grp = value ORDER BY seq LIMIT 1 OFFSET 1) FROM json_each(?)",
            (json.dumps(list(groups)),),
        )
        return {group: (first, second) for group, first, second in rows}

    def _is_stored(self, seq: int | None) -> bool:
        return self._db.execute("SELECT 1 FROM items WHERE seq=?", (seq,)).fetchone() is not None


def _several(heads: dict[str, tuple[int | None, int | None]]) -> int:
    return sum(second is not None for _, second in heads.values())


def _unrepeated(band: Band) -> int:
    """Of the earliest item of a group: every item that it repeated is gone."""
    return _NEW if band is Band.DUPLICATE else CODES[band]
