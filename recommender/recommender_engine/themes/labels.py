"""Words that tell one theme from the others: class-based TF-IDF (Grootendorst 2022)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS

MOST_WORDS = 4
_SHORTEST = 3


def words_of(terms: Iterable[str]) -> list[str]:
    """Those terms of a text that may stand in a label: no function words, numbers or measures."""
    return [term for term in terms if len(term) >= _SHORTEST and term not in FUNCTION_WORDS and _is_word(term)]


def labels(themes: Sequence[Counter[str]]) -> list[tuple[str, ...]]:
    """Up to `MOST_WORDS` words for each theme, those that tell most first; no two themes have the same.

    A word weighs its share of the words of the theme, times ``log(1 + a / f)``: ``a`` is the mean number of words of a
    theme, ``f`` how often the word occurs in all.

    Args:
        themes: of each, how many of its items have a word.
    """
    total: Counter[str] = Counter()
    for words in themes:
        total.update(words)
    mean = total.total() / max(len(themes), 1)
    found: list[tuple[str, ...]] = []
    for words in themes:
        weights = {word: -count * log(1.0 + mean / total[word]) for word, count in words.items()}
        label = _distinct(sorted(weights, key=lambda word: (weights[word], word)), set(found))
        found.append(label)
    return found


def _distinct(ranked: Sequence[str], taken: set[tuple[str, ...]]) -> tuple[str, ...]:
    """The first words, without a plural beside its singular; with more words where another theme has the same."""
    chosen: list[str] = []
    stems: set[str] = set()
    for word in ranked:
        if len(chosen) >= MOST_WORDS and tuple(chosen) not in taken:
            break
        if (stem := word.rstrip("s")) not in stems:
            chosen.append(word)
            stems.add(stem)
    label = tuple(chosen)
    number = 2
    while label in taken:
        label, number = (*chosen, f"({number})"), number + 1
    return label


def _is_word(term: str) -> bool:
    return any(character.isalpha() for character in term) and " " not in term
