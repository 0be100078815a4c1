"""Words: document frequencies of a collection, and an inverted index."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from sys import getsizeof

from recommender_engine.recent import Recent
from recommender_engine.store.word_levels import lowered

_MARKED = "words were removed"
_PAGES = 64  # some milliseconds
_HASHES_KEPT = 16 * 2**20  # bytes
_A_HASH = 300  # bytes, without the term
_STRUCTURE = 10  # the row with the segments of FTS5


class WordTable:
    """Reads and writes terms; every call runs in the caller's transaction.

    The inverted index is SQLite's FTS5. It has hashes, so that deleted items leave no words in it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._noted = False
        self._hashed: Recent[tuple[int, str], str] = Recent(_HASHES_KEPT, _bytes_of)

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._noted = False

    def counts(self, collection: int) -> Counter[str]:
        """Document frequency of each term of the collection."""
        rows = self._db.execute("SELECT term, documents FROM terms WHERE collection=?", (collection,))
        return Counter(dict(rows))

    def change_counts(self, collection: int, changes: Mapping[str, int]) -> None:
        """Add to the counts; a term with count 0 is deleted."""
        self._db.executemany(
            "INSERT INTO terms VALUES (?,?,?) ON CONFLICT DO UPDATE SET documents = documents + excluded.documents",
            [(collection, term, change) for term, change in changes.items() if change],
        )
        self._db.executemany(
            "DELETE FROM terms WHERE collection=? AND term=? AND documents <= 0",
            [(collection, term) for term, change in changes.items() if change < 0],
        )

    def add(self, collection: int, seq: int, terms: Iterable[str]) -> None:
        """Index the terms of the item with arrival number ``seq``."""
        self._db.execute("INSERT INTO words (rowid, terms) VALUES (?,?)", (seq, self._hashes(collection, terms)))

    def remove(self, collection: int, seq: int, terms: Iterable[str]) -> None:
        """Undo ``add`` with the same terms. Removed terms are only marked until `compact`."""
        if not self._noted:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,'1')", (_MARKED,))
            self._noted = True
        self._db.execute(
            "INSERT INTO words (words, rowid, terms) VALUES ('delete',?,?)", (seq, self._hashes(collection, terms))
        )

    def having(self, collection: int, term: str) -> list[int]:
        """Arrival numbers of the items that have the term, ascending."""
        rows = self._db.execute("SELECT rowid FROM words WHERE words MATCH ?", (self._hash(collection, term),))
        return [row[0] for row in rows]

    def having_all(
        self, collection: int, terms: Iterable[str], after: int, limit: int, *, descending: bool
    ) -> list[int]:
        """Arrival numbers of items that have all of the terms, in the order of arrival.

        Args:
            collection: its number.
            terms: at least one.
            after: the arrival number of the last item before.
            limit: how many at most.
            descending: the latest first.
        """
        sign, order = ("<", " DESC") if descending else (">", "")
        rows = self._db.execute(
            f"SELECT rowid FROM words WHERE words MATCH ? AND rowid {sign} ? ORDER BY rowid{order} LIMIT ?",  # noqa: S608
            (self._hashes(collection, terms), after, limit),
        )
        return [row[0] for row in rows]

    @property
    def marked(self) -> bool:
        """Whether something was removed since the last compaction began."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (_MARKED,)).fetchone()
        return row is None or row[0] == "1"

    def lower(self) -> bool:
        """Remove empty levels of the index: FTS5 adds two at each compaction, and fails above 2,000.

        Returns:
            Whether there were any; then `look_again` must be called after the transaction.
        """
        row = self._db.execute("SELECT block FROM words_data WHERE id=?", (_STRUCTURE,)).fetchone()
        record = None if row is None else lowered(row[0])
        if record is not None:
            self._db.execute("UPDATE words_data SET block=? WHERE id=?", (record, _STRUCTURE))
        return record is not None

    def look_again(self) -> None:
        """Make FTS5 reload its list of segments, which it does after a rollback."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._merge(1)
        finally:
            self._db.execute("ROLLBACK")

    def begin_compaction(self) -> None:
        """Start rewriting the index without removed terms."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,'0')", (_MARKED,))
        self._noted = False
        self._merge(-_PAGES)

    def compact(self) -> bool:
        """Continue rewriting; false when it is complete."""
        return self._merge(_PAGES) > 1

    def _merge(self, pages: int) -> int:
        """Merge about this many pages of the index; a negative number starts a merge of all. Returns changes made."""
        before = self._db.total_changes
        self._db.execute("INSERT INTO words (words, rank) VALUES ('merge',?)", (pages,))
        return self._db.total_changes - before

    def forget_terms(self) -> None:
        """Clear the cache of terms after an erasure."""
        self._hashed.clear()

    @property
    def kept_bytes(self) -> int:
        """Estimated bytes of the cached terms."""
        return self._hashed.weight

    def clear(self) -> None:
        """Delete the words of all collections."""
        self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        self._db.execute("DELETE FROM terms")

    def _hashes(self, collection: int, terms: Iterable[str]) -> str:
        return " ".join([self._hash(collection, term) for term in terms])

    def _hash(self, collection: int, term: str) -> str:
        found = self._hashed.get((collection, term))
        if found is None:
            found = hash_of(collection, term)
            self._hashed.put((collection, term), found)
        return found


def _bytes_of(term: tuple[int, str], hashed: str) -> int:
    return _A_HASH + getsizeof(term[1])


def hash_of(collection: int, term: str) -> str:
    """The hash of a term of a collection, used in the index."""
    return hashlib.blake2b(f"{collection} {term}".encode(), digest_size=8).hexdigest()
