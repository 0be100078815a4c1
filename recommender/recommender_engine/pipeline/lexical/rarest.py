"""Word search: the items that share the most of a text's rarest terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from recommender_engine.matching import TermStatistics
from recommender_engine.matching.pair.profile import ItemTerms
from recommender_engine.matching.pair.statistics import rarities

# Word search reads the rarest terms that other items have, and of those only the ones that few items have.
TERMS_READ = 6
MOST_ITEMS = 500
_WIDER = 16  # factor of further candidates if too few of the best count

Numbers = NDArray[np.int64]
Keep = Callable[[Sequence[int]], list[int]]


def sharing_rarest(
    terms: ItemTerms,
    statistics: TermStatistics,
    having: Callable[[str], Numbers],
    limit: int,
    keep: Keep | None = None,
) -> list[int]:
    """Numbers of the items that share the most of the rarest terms, by summed rarity, best first.

    Args:
        terms: of the text.
        statistics: of the items that are searched.
        having: numbers of the items that have a term, shape (items,).
        limit: how many at most, at least 1.
        keep: chooses of some numbers those that count, in their order; by default all do.
    """
    frequencies = statistics.frequencies(terms.distinct)
    weights = rarities(frequencies, terms.background, statistics.documents)
    known = np.flatnonzero((frequencies >= 1) & (frequencies <= MOST_ITEMS))
    rarest = sorted(zip((-weights[known]).tolist(), [terms.distinct[one] for one in known.tolist()], strict=True))
    rarest = rarest[:TERMS_READ]
    if not rarest:
        return []
    found = [having(term) for _, term in rarest]
    each = np.repeat([-weight for weight, _ in rarest], [len(numbers) for numbers in found])
    numbers = np.concatenate(found)
    if keep is None:
        return _best(numbers, each, limit)
    asked = limit
    while True:
        best = _best(numbers, each, asked)
        kept = keep(best)
        if len(kept) >= limit or len(best) < asked:
            return kept[:limit]
        asked *= _WIDER


def _best(numbers: Numbers, weights: NDArray[np.float64], limit: int) -> list[int]:
    """The numbers with the highest sums of weights, best first; among equals the smallest.

    Args:
        numbers: shape (n,); a number may occur several times.
        weights: shape (n,), summed in this order.
        limit: how many, at least 1.
    """
    distinct, positions = np.unique(numbers, return_inverse=True)
    scores = np.bincount(positions, weights)
    if len(scores) > limit:
        high = scores >= np.partition(scores, -limit)[-limit]
        distinct, scores = distinct[high], scores[high]
    best: list[int] = distinct[np.lexsort((distinct, -scores))[:limit]].tolist()
    return best
