"""Words: how common each term is in a collection, and which items have it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache


class WordTable:
    """Reads and writes terms; every call runs in the caller's transaction.

    The inverted index is SQLite's FTS5. It holds hashes, so that what is deleted leaves no words behind.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def counts(self, collection: int) -> Counter[str]:
        """In how many items of the collection each term occurs."""
        rows = self._db.execute("SELECT term, documents FROM terms WHERE collection=?", (collection,))
        return Counter(dict(rows))

    def change_counts(self, collection: int, changes: Mapping[str, int]) -> None:
        """Add to the counts; a term that occurs nowhere is dropped."""
        self._db.executemany(
            "INSERT INTO terms VALUES (?,?,?) ON CONFLICT DO UPDATE SET documents = documents + excluded.documents",
            [(collection, term, change) for term, change in changes.items() if change],
        )
        self._db.executemany(
            "DELETE FROM terms WHERE collection=? AND term=? AND documents <= 0",
            [(collection, term) for term, change in changes.items() if change < 0],
        )

    def add(self, collection: int, seq: int, terms: Iterable[str]) -> None:
        """The item that arrived as number ``seq`` has these terms."""
        self._db.execute("INSERT INTO words (rowid, terms) VALUES (?,?)", (seq, _hashes(collection, terms)))

    def remove(self, collection: int, seq: int, terms: Iterable[str]) -> None:
        """Take back what ``add`` said; the terms must be the same."""
        self._db.execute(
            "INSERT INTO words (words, rowid, terms) VALUES ('delete',?,?)", (seq, _hashes(collection, terms))
        )

    def having(self, collection: int, term: str) -> list[int]:
        """Arrival numbers of the items that have the term, ascending."""
        rows = self._db.execute("SELECT rowid FROM words WHERE words MATCH ?", (_hash(collection, term),))
        return [row[0] for row in rows]

    def compact(self) -> None:
        """Leave no trace of what was removed, which is only marked until then. Rewrites the whole index."""
        self._db.execute("INSERT INTO words (words) VALUES ('optimize')")

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        self._db.execute("DELETE FROM terms")


def _hashes(collection: int, terms: Iterable[str]) -> str:
    return " ".join([_hash(collection, term) for term in terms])


@lru_cache(maxsize=65_536)
def _hash(collection: int, term: str) -> str:
    return hashlib.blake2b(f"{collection} {term}".encode(), digest_size=8).hexdigest()
