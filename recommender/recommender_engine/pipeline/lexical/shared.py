"""How much of a question's wording each item shares: the rarer a word, the more it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.matching import TermStatistics
from recommender_engine.matching.pair.profile import ItemTerms
from recommender_engine.matching.pair.statistics import rarities

# A question reads its rarest terms, and of those only the ones that few items have: both bound its cost.
TERMS_READ = 8
MOST_ITEMS = 1000
# Two words that are half as rare say less than one rare word.
_SHARPNESS = 2

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]


class SharedWords(NamedTuple):
    """The items that share words with a question.

    Attributes:
        numbers: arrival numbers, ascending, shape (n,).
        scores: share of the question's wording, by rarity, that the item has, in (0, 1]; shape (n,).
    """

    numbers: Numbers
    scores: Scores

    def of(self, numbers: Numbers) -> Scores:
        """The shares of some items, 0 for those that share nothing; shape (items,)."""
        if not len(self.numbers):
            return np.zeros(len(numbers))
        places = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return np.where(self.numbers[places] == numbers, self.scores[places], 0.0)

    def best(self, count: int) -> tuple[Numbers, float]:
        """The items that share most, of equals the first to arrive, and the largest share of those left out."""
        order = np.lexsort((self.numbers, -self.scores))
        return self.numbers[order[:count]], float(self.scores[order[count]]) if len(order) > count else 0.0


NOTHING_SHARED = SharedWords(np.empty(0, np.int64), np.empty(0))


def shared_words(
    terms: ItemTerms, statistics: TermStatistics, having: Callable[[str], Numbers], keep: Callable[[Numbers], Numbers]
) -> SharedWords:
    """Score the items that share the rarest terms of a question.

    Each term weighs its rarity squared. The score is the weight of the terms that are shared, divided by that of all
    terms of the question: everyday words hardly count, and one rare word in a long question counts little.

    Args:
        terms: of the question.
        statistics: of the items that are searched.
        having: numbers of the items that have a term, shape (items,).
        keep: chooses of some numbers, ascending, those that count.
    """
    frequencies = statistics.frequencies(terms.distinct)
    weights = rarities(frequencies, terms.background, statistics.documents) ** _SHARPNESS
    total = float(weights.sum())
    known = np.flatnonzero((frequencies >= 1) & (frequencies <= MOST_ITEMS) & (weights > 0)).tolist()
    rarest = sorted((-float(weights[one]), terms.distinct[one]) for one in known)[:TERMS_READ]
    if not rarest:
        return NOTHING_SHARED
    found = [having(term) for _, term in rarest]
    each = np.repeat([-weight / total for weight, _ in rarest], [len(numbers) for numbers in found])
    distinct, positions = np.unique(np.concatenate(found), return_inverse=True)
    scores = np.minimum(np.bincount(positions, each), 1.0)
    kept = np.isin(distinct, keep(distinct))
    return SharedWords(distinct[kept], scores[kept])
