"""Pages of items in an order that an index has: by arrival, by probability, by what an answer is worth."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import NamedTuple

_ENDS = {True: 2**63 - 1, False: -1}  # beyond the first arrival number, by whether the latest come first
_LIMITS = {True: 2.0, False: -1.0}  # the same of probabilities


class Place(NamedTuple):
    """Where an item stands in an order.

    Attributes:
        key: probability or worth; 0.0 in the order of arrival.
        seq: arrival number.
    """

    key: float
    seq: int

    @classmethod
    def beginning(cls, *, descending: bool) -> Place:
        """Before the first."""
        return cls(_LIMITS[descending], _ENDS[descending])


class ListedRow(NamedTuple):
    """A row of an item, as far as lists show it.

    Attributes:
        content: JSON, as stored; ``compared`` is what of it is compared, ``None`` where that is all.
        band: code of its band (`recommender_engine.store.standings.CODES`), ``None`` if it has expired.
        stated: probability of its verdict, in [0, 1].
        worth: of an answer on its pair, in [0, 1]; ``None`` without one.
        at_ms: stream time of its arrival.
    """

    seq: int
    id: str
    content: str
    group: str
    matched_seq: int | None
    at_ms: int
    band: int | None
    stated: float
    worth: float | None
    compared: str | None


class ListingTable:
    """Reads pages; each call reads about as many rows as it returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def by_arrival(
        self, collection: int, bands: Sequence[int], after: Place, limit: int, *, descending: bool
    ) -> list[Place]:
        """Items of some bands in the order of arrival.

        Args:
            collection: its number.
            bands: codes of the bands.
            after: the place of the last item before; likewise in other methods.
            limit: how many at most.
            descending: the latest first.
        """
        sign, order = ("<", " DESC") if descending else (">", "")
        rows = (
            self._db.execute(
                f"SELECT 0.0, seq FROM items WHERE collection=? AND band=? AND seq {sign} ?"  # noqa: S608 (constants)
                f" ORDER BY seq{order} LIMIT ?",
                (collection, band, after.seq, limit),
            )
            for band in bands
        )
        return _merged(rows, limit, descending=descending)

    def by_probability(
        self, collection: int, bands: Sequence[int], after: Place, limit: int, *, descending: bool
    ) -> list[Place]:
        """Items of some bands by the probability of their verdicts; of equals by arrival."""
        sign, order = ("<", " DESC") if descending else (">", "")
        rows = (
            self._db.execute(
                "SELECT stated, seq FROM items WHERE collection=? AND band=?"  # noqa: S608 (constants)
                f" AND (stated, seq) {sign} (?, ?) ORDER BY stated{order}, seq{order} LIMIT ?",
                (collection, band, *after, limit),
            )
            for band in bands
        )
        return _merged(rows, limit, descending=descending)

    def by_worth(self, collection: int, after: Place, limit: int) -> list[Place]:
        """Items in review, those first on which an answer is worth most; of equals the latest."""
        rows = self._db.execute(
            "SELECT worth, seq FROM items WHERE collection=? AND band=2 AND (worth, seq) < (?, ?)"
            " ORDER BY worth DESC, seq DESC LIMIT ?",
            (collection, *after, limit),
        )
        return [Place(*row) for row in rows]

    def of_group(self, group: str, after: Place, limit: int) -> list[Place]:
        """Items of a group in the order of arrival."""
        rows = self._db.execute(
            "SELECT 0.0, seq FROM items WHERE grp=? AND seq > ? ORDER BY seq LIMIT ?", (group, after.seq, limit)
        )
        return [Place(*row) for row in rows]

    def rows(self, seqs: Collection[int]) -> dict[int, ListedRow]:
        """Rows of items, by arrival number."""
        rows = self._db.execute(
            "SELECT seq, id, content, grp, matched_seq, at_ms, band, stated, worth, compared FROM items"
            " WHERE seq IN (SELECT value FROM json_each(?))",
            (json.dumps(list(seqs)),),
        )
        return {row[0]: ListedRow(*row) for row in rows}

    def standing(self, seqs: Collection[int]) -> list[tuple[Place, int | None]]:
        """Place by probability and code of the band of some items."""
        rows = self._db.execute(
            "SELECT stated, seq, band FROM items WHERE seq IN (SELECT value FROM json_each(?))",
            (json.dumps(list(seqs)),),
        )
        return [(Place(stated, seq), band) for stated, seq, band in rows]


def _merged(sources: object, limit: int, *, descending: bool) -> list[Place]:
    merged = heapq.merge(*sources, reverse=descending)  # type: ignore[misc]
    return [Place(*row) for _, row in zip(range(limit), merged, strict=False)]
