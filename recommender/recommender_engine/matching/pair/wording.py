"""Shared and differing terms of an item and each of its candidates, computed for all candidates at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.matching.pair.profile import RARE, Profile
from recommender_engine.matching.trees import Floats, Integers

_NONE = np.zeros(1)


class RarestTerm(NamedTuple):
    """The rarest term of an item that the other lacks; the first of equally rare ones.

    Attributes:
        rarity: in [0, 1]; 0 if there is none.
        term: empty if there is none.
    """

    rarity: float
    term: str


class Wording(NamedTuple):
    """Shared and differing terms of a pair, by rarity.

    Attributes:
        cosine: of the tf-idf weights, in [0, 1].
        weight: sum of the rarity of the shared terms.
        rarest: the highest of them; 0 if nothing is shared.
        rare_shared: number of shared terms that are rare.
        mine: the rarest term of the item that the candidate lacks.
        theirs: the rarest term of the candidate that the item lacks.
    """

    cosine: float
    weight: float
    rarest: float
    rare_shared: int
    mine: RarestTerm
    theirs: RarestTerm


def wordings(one: Profile, others: Sequence[Profile]) -> list[Wording]:
    """Compare an item with several others, in the order given.

    The terms of all items are concatenated in one array. Each sum is over the terms of one item in reading order, so it
    does not depend on the other items.

    Args:
        one: the item.
        others: at least one, weighed by the same statistics.
    """
    lengths = np.array([len(other.terms.distinct) for other in others])
    of = np.repeat(np.arange(len(others)), lengths)  # shape (terms of all,), as are those that follow
    weights = np.concatenate([other.weights for other in others])
    theirs = np.concatenate([other.terms.multiplicities for other in others])
    terms = chain.from_iterable([other.terms.distinct for other in others])
    indices = np.fromiter(map(one.terms.index_of.get, terms, repeat(-1)), np.int64, len(weights))  # in the item
    is_shared = indices >= 0
    mine = np.concatenate((one.terms.multiplicities, _NONE))[indices]  # 0 where the item lacks the term
    shared = np.where(is_shared, weights, 0.0)

    def by_item(of_terms: NDArray[np.float64 | np.bool_]) -> Floats:
        sums: Floats = np.asarray(np.bincount(of, of_terms, len(others)), np.float64)
        return sums

    norms = np.array([other.norm for other in others]) * one.norm
    cosines = np.minimum(by_item(weights * weights * theirs * mine) / norms, 1.0)
    rarest, _ = _highest(shared, lengths)
    rarest_lacking, firsts = _highest(np.where(is_shared, -1.0, weights), lengths)
    rare_shared = by_item(shared > RARE)
    columns = [column.tolist() for column in (cosines, by_item(shared), rarest, rare_shared, rarest_lacking, firsts)]
    rows = zip(*columns, strict=True)
    return [
        Wording(
            cosine,
            weight,
            max(highest, 0.0),
            int(rare),
            _rarest_lacking(one, other),
            RarestTerm(rarity, other.terms.distinct[index]) if rarity >= 0 else RarestTerm(0.0, ""),
        )
        for other, (cosine, weight, highest, rare, rarity, index) in zip(others, rows, strict=True)
    ]


def _highest(figures: Floats, lengths: Integers) -> tuple[Floats, Integers]:
    """The highest figure of each item, -1 for one without terms, and the first index of it within the item."""
    table = np.full((len(lengths), max(int(lengths.max()), 1)), -1.0)
    table[np.arange(table.shape[1]) < lengths[:, np.newaxis]] = figures
    indices = table.argmax(axis=1)
    return table[np.arange(len(table)), indices], indices


def _rarest_lacking(mine: Profile, theirs: Profile) -> RarestTerm:
    others = theirs.terms.whole.counts
    for term in mine.ranked:
        if term not in others:
            return RarestTerm(mine.rarity(term), term)
    return RarestTerm(0.0, "")


def shared_terms(one: Profile, other: Profile) -> Iterator[str]:
    """The shared terms, in the reading order of the item with fewer terms."""
    mine, theirs = one.terms.whole.counts, other.terms.whole.counts
    fewer, more = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    return (term for term in fewer if term in more)
