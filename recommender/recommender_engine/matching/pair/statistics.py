"""How common a term is: in the collection, and, while the collection is small, in language at large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Protocol

import numpy as np

from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS
from recommender_engine.matching.trees import Floats

# The collection's own counts are read as if so many documents of ordinary language had been counted before.
_BACKGROUND_DOCUMENTS = 30
_FUNCTION_WORD_RATE = 0.3
_SHORT_WORD_RATE = 0.03
_WORD_RATE = 0.005
_SHORT_WORD = 3


class TermStatistics(Protocol):
    """Document frequencies of one collection, kept as items come and go."""

    @property
    def documents(self) -> int:
        """How many items there are."""

    def frequency(self, term: str) -> int:
        """In how many of them a term occurs."""

    def frequencies(self, terms: tuple[str, ...]) -> Floats:
        """The same of several terms, shape (terms,); quick for those of an item that is compared often."""


class CountedTerms:
    """Term statistics in memory."""

    def __init__(self, documents: Iterable[Iterable[str]] = ()) -> None:
        self._frequencies: Counter[str] = Counter()
        self._documents = 0
        for terms in documents:
            self.add(terms)

    @property
    def documents(self) -> int:
        """How many items there are."""
        return self._documents

    def frequency(self, term: str) -> int:
        """In how many of them a term occurs."""
        return self._frequencies[term]

    def frequencies(self, terms: tuple[str, ...]) -> Floats:
        """The same of several terms, shape (terms,)."""
        return np.fromiter(map(self._frequencies.__getitem__, terms), np.float64, len(terms))

    def add(self, terms: Iterable[str]) -> None:
        """Count one more item by its distinct terms."""
        self._documents += 1
        self._frequencies.update(set(terms))

    def remove(self, terms: Iterable[str]) -> None:
        """Take back what `add` counted."""
        self._documents -= 1
        self._frequencies.subtract(set(terms))


def rarity(statistics: TermStatistics, terms: Iterable[str]) -> dict[str, float]:
    """Inverse document frequency of each term, scaled to [0, 1]: near 0 in every document, 1 in a single one.

    Scaled, so that figures of a small and of a large collection mean the same.
    """
    listed = tuple(terms)
    found = rarities(statistics.frequencies(listed), background(listed), statistics.documents)
    return dict(zip(listed, found.tolist(), strict=True))


def rarities(frequencies: Floats, beforehand: Floats, documents: int) -> Floats:
    """The same of terms that occur in so many of the documents, and in so many of those of `background`, shape (n,)."""
    # An item is counted before it is compared, or not: one occurrence is the least.
    seen = np.maximum(frequencies, 1.0) + beforehand
    scale = 1.0 / log(documents + _BACKGROUND_DOCUMENTS + 1)
    weights: Floats = np.maximum(1.0 - scale * np.log(seen), 0.0)
    return weights


def background(terms: Sequence[str]) -> Floats:
    """In how many of the documents of ordinary language that were counted before each term occurs, shape (terms,)."""
    return np.fromiter(map(_background, terms), np.float64, len(terms))


def _background(term: str) -> float:
    if term in FUNCTION_WORDS:
        return _BACKGROUND_DOCUMENTS * _FUNCTION_WORD_RATE
    return _BACKGROUND_DOCUMENTS * (_SHORT_WORD_RATE if len(term) <= _SHORT_WORD and term.isalpha() else _WORD_RATE)
