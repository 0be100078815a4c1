"""How common each term of a collection is: committed counts and those of the running batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sys import getsizeof

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recent import Recent

EVERY_ITEM = ""
"""A term that no text has, and every item is counted under."""

_NO_ITEM = "\n"
"""A term that no text has and that is never counted: represents all terms without an item."""

# Bytes kept of the numbers of terms, by item; they are read whenever the item is a candidate.
_TERMS_KEPT = 32 * 2**20
_AN_ITEM, _A_TERM = 450, 16  # bytes, beside letters of terms
# Terms without an item may take as many numbers as those with one plus this many, before all are renumbered.
_UNUSED = 1024


Numbers = Recent[tuple[object, tuple[str, ...]], NDArray[np.int64]]


def numbers_kept() -> Numbers:
    """The numbers of terms that the counts of all collections keep together."""
    return Recent(_TERMS_KEPT, _bytes_of)


def _bytes_of(key: tuple[object, tuple[str, ...]], numbers: NDArray[np.int64]) -> int:
    return _AN_ITEM + _A_TERM * len(numbers) + sum(map(getsizeof, key[1]))


class Counts:
    """Document frequencies of one collection.

    Each term has a number, so that the frequencies of an item's terms are read in one step.

    Args:
        frequencies: in how many items each term occurs, as committed.
        kept: shared with the counts of other collections.

    Attributes:
        changes: of the running batch, by term.
    """

    def __init__(self, frequencies: Mapping[str, int], kept: Numbers | None = None) -> None:
        self.changes: Counter[str] = Counter()
        self._kept = numbers_kept() if kept is None else kept
        self._renumber(frequencies)

    @property
    def documents(self) -> int:
        """How many items there are."""
        return self.frequency(EVERY_ITEM)

    def frequency(self, term: str) -> int:
        """In how many items a term occurs."""
        number = self._number.get(term)
        return 0 if number is None else int(self._frequencies[number])

    def frequencies(self, terms: tuple[str, ...]) -> NDArray[np.float64]:
        """In how many items each of several terms occurs, shape (terms,)."""
        numbers = self._kept.get((self._numbering, terms))
        if numbers is None:
            number, unknown = self._number, self._number[_NO_ITEM]
            numbers = np.fromiter([number.get(term, unknown) for term in terms], np.int64, len(terms))
            if unknown not in numbers:
                self._kept.put((self._numbering, terms), numbers)
        return self._frequencies[numbers]

    def change(self, terms: tuple[str, ...], by: int) -> None:
        """One item more (1) or less (-1) with these terms, each given once."""
        numbers = self._numbered(terms)  # first: it may replace the array
        self._frequencies[numbers] += by
        self._frequencies[self._number[EVERY_ITEM]] += by
        if by < 0:
            left = self._frequencies[numbers].tolist()
            self._unused.update([term for term, frequency in zip(terms, left, strict=True) if not frequency])
        changes = self.changes
        for term in (EVERY_ITEM, *terms):
            changes[term] += by

    @contextmanager
    def supposed(self, terms: tuple[str, ...]) -> Iterator[None]:
        """Count one item more with these terms, each given once, while the context lasts; nothing is written."""
        numbers = self._numbered(terms)
        every = self._number[EVERY_ITEM]
        self._frequencies[numbers] += 1
        self._frequencies[every] += 1
        try:
            yield
        finally:
            self._frequencies[numbers] -= 1
            self._frequencies[every] -= 1
            left = self._frequencies[numbers].tolist()
            self._unused.update([term for term, frequency in zip(terms, left, strict=True) if not frequency])

    def flushed(self) -> None:
        """The changes are written."""
        self.changes = Counter()
        used = np.count_nonzero(self._frequencies)
        if len(self._number) > 2 * used + _UNUSED:
            frequencies = self._frequencies.tolist()
            found = ((term, frequencies[number]) for term, number in self._number.items())
            self._renumber({term: int(frequency) for term, frequency in found if frequency})

    def forget_unused(self) -> None:
        """Drop the terms that no item has: some were erased. Their numbers stay taken until all are renumbered."""
        if not self._unused:
            return
        self._kept.clear()  # a term that comes back gets another number
        for term in self._unused:
            number = self._number.get(term)
            if number is not None and not self._frequencies[number]:
                del self._number[term]
                self._number[f"{_NO_ITEM}{number}"] = number
        self._unused.clear()

    def _renumber(self, frequencies: Mapping[str, int]) -> None:
        self._unused: set[str] = set()
        self._numbering = object()  # numbers kept under another one are not found any more
        self._number = {EVERY_ITEM: 0, _NO_ITEM: 1}
        self._frequencies = np.zeros(2)
        terms = tuple(frequencies)
        numbers = self._new_numbers(terms)
        self._frequencies[numbers] = np.fromiter(frequencies.values(), np.float64, len(terms))

    def _numbered(self, terms: tuple[str, ...]) -> NDArray[np.int64]:
        """Numbers of terms, shape (terms,)."""
        found = self._kept.get((self._numbering, terms))
        if found is None:
            found = self._new_numbers(terms)
            self._kept.put((self._numbering, terms), found)
        return found

    def _new_numbers(self, terms: tuple[str, ...]) -> NDArray[np.int64]:
        number = self._number
        found = np.fromiter([number.setdefault(term, len(number)) for term in terms], np.int64, len(terms))
        if len(number) > len(self._frequencies):
            room = np.zeros(2 * len(number))
            room[: len(self._frequencies)] = self._frequencies
            self._frequencies = room
        return found
