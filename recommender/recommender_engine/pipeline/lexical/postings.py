"""Postings: which items have a term; read from the store once, and kept up to date in memory."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable
from sys import getsizeof

import numpy as np
from numpy.typing import NDArray

from recommender_engine.store import SqliteStore

# Bytes kept in all, and arrival numbers of one term at most. Most terms have one item, so the bytes of the term itself
# count as well.
KEPT_BYTES = 64 * 2**20
LONGEST_KEPT = 512
_A_TERM = 256  # bytes, beside its letters
_NUMBER, _NUMBER_BYTES = "q", 8

Numbers = NDArray[np.int64]


class Postings:
    """The arrival numbers of the items that have a term, for recently read terms.

    The oldest terms are dropped first. A term of very many items is read each time.

    Args:
        store: has all of them.
        most: how many bytes are kept.
    """

    def __init__(self, store: SqliteStore, most: int = KEPT_BYTES) -> None:
        self._store = store
        self._most = most
        # To find its oldest key a plain dict walks over every key that was dropped; an OrderedDict does not.
        self._kept: OrderedDict[tuple[int, str], array[int]] = OrderedDict()
        self._bytes = 0
        store.on_rollback(self.clear)

    @property
    def kept_bytes(self) -> int:
        """About how many bytes are kept."""
        return self._bytes

    def having(self, collection: int, term: str) -> Numbers:
        """Arrival numbers of the items that have the term, ascending or in order of arrival here, shape (items,)."""
        found = self._kept.get((collection, term))
        if found is None:
            found = array(_NUMBER, self._store.words.having(collection, term))
            self._keep((collection, term), found)
        return np.array(found, np.int64)  # a copy: an array that is exported cannot grow

    def add(self, collection: int, seq: int, terms: Iterable[str], first: Iterable[str]) -> None:
        """Add an item.

        Args:
            terms: of the item.
            first: those of them that no other item has.
        """
        self._store.words.add(collection, seq, terms)
        for term in terms:
            kept = self._kept.get((collection, term))
            if kept is not None:
                kept.append(seq)
                self._bytes += _NUMBER_BYTES
                if len(kept) > LONGEST_KEPT:
                    self._drop((collection, term))
        for term in first:
            self._keep((collection, term), array(_NUMBER, (seq,)))
        self._make_room()

    def remove(self, collection: int, seq: int, terms: Iterable[str]) -> None:
        """Remove an item."""
        self._store.words.remove(collection, seq, terms)
        for term in terms:
            kept = self._kept.get((collection, term))
            if kept is None:
                continue
            if len(kept) == 1:  # no item has it any more, so nothing of it stays in memory
                self._drop((collection, term))
            else:
                kept.remove(seq)
                self._bytes -= _NUMBER_BYTES

    def clear(self) -> None:
        """Forget what is in memory; it is read again at need."""
        self._kept.clear()
        self._bytes = 0

    def _keep(self, key: tuple[int, str], numbers: array[int]) -> None:
        self._drop(key)
        if len(numbers) > LONGEST_KEPT:
            return
        self._kept[key] = numbers
        self._bytes += _size_of(key, numbers)
        self._make_room()

    def _make_room(self) -> None:
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[int, str]) -> None:
        if key in self._kept:
            self._bytes -= _size_of(key, self._kept.pop(key))


def _size_of(key: tuple[int, str], numbers: array[int]) -> int:
    return _A_TERM + getsizeof(key[1]) + _NUMBER_BYTES * len(numbers)
