"""Frequency of terms: in the collection and, while it is small, in general language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Protocol

import numpy as np

from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS
from recommender_engine.matching.trees import Floats

# The counts of a collection start as if this many documents of general language had been counted before.
_BACKGROUND_DOCUMENTS = 30
_FUNCTION_WORD_RATE = 0.3
_SHORT_WORD_RATE = 0.03
_WORD_RATE = 0.005
_SHORT_WORD = 3


class TermStatistics(Protocol):
    """Document frequencies of one collection, updated with its items."""

    @property
    def documents(self) -> int:
        """How many items there are."""

    def frequency(self, term: str) -> int:
        """In how many of them a term occurs."""

    def frequencies(self, terms: tuple[str, ...]) -> Floats:
        """Frequencies of several terms, shape (terms,); cached for items that are compared often."""


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
        """Frequencies of several terms, shape (terms,)."""
        return np.fromiter(map(self._frequencies.__getitem__, terms), np.float64, len(terms))

    def add(self, terms: Iterable[str]) -> None:
        """Count an item by its distinct terms."""
        self._documents += 1
        self._frequencies.update(set(terms))

    def remove(self, terms: Iterable[str]) -> None:
        """Undo `add`."""
        self._documents -= 1
        self._frequencies.subtract(set(terms))


def rarity(statistics: TermStatistics, terms: Iterable[str]) -> dict[str, float]:
    """Inverse document frequency of each term, scaled to [0, 1]: near 0 if in every document, 1 if in a single one.

    Scaled so that values of small and large collections are comparable.
    """
    listed = tuple(terms)
    found = rarities(statistics.frequencies(listed), background(listed), statistics.documents)
    return dict(zip(listed, found.tolist(), strict=True))


def rarities(frequencies: Floats, beforehand: Floats, documents: int) -> Floats:
    """Rarity of terms from their document frequencies in the collection and in `background`, shape (n,)."""
    # An item may be compared before it is counted: one occurrence is the minimum.
    seen = np.maximum(frequencies, 1.0) + beforehand
    scale = 1.0 / log(documents + _BACKGROUND_DOCUMENTS + 1)
    weights: Floats = np.maximum(1.0 - scale * np.log(seen), 0.0)
    return weights


def background(terms: Sequence[str]) -> Floats:
    """Document frequency of each term in general language, the initial counts of a collection, shape (terms,)."""
    return np.fromiter(map(_background, terms), np.float64, len(terms))


def _background(term: str) -> float:
    if term in FUNCTION_WORDS:
        return _BACKGROUND_DOCUMENTS * _FUNCTION_WORD_RATE
    return _BACKGROUND_DOCUMENTS * (_SHORT_WORD_RATE if len(term) <= _SHORT_WORD and term.isalpha() else _WORD_RATE)
