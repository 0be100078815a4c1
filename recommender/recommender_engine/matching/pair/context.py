"""A pair relative to the item's other candidates, from the item's side and from the candidate's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.matching.trees import Floats

if TYPE_CHECKING:
    from recommender_engine.matching.pair.comparison import Comparison

# A lead is relative to the mean of this many other candidates.
LED = 8

# Precision of cosines of float32 vectors.
_DECIMALS = 6


class Context(NamedTuple):
    """A pair relative to the item's other candidates; NaN if there is no other.

    Attributes:
        margin: cosine minus that of the best other candidate.
        lead: cosine minus the mean of the best eight others: several duplicates have no margin, but all have a lead.
        rank: number of others that are closer.
        their_margin: cosine minus that of the candidate and its closest one among the others. A candidate in a dense
            region is close to many items without being a duplicate of them. NaN if the candidates were not compared
            with each other.
        their_lead: like ``lead``, from the candidate's side.
        their_rank: number of others to which the candidate is closer than to the item.
        words_margin: like ``margin``, of `Wording.cosine`.
        words_lead: like ``lead``, of `Wording.cosine`.
    """

    margin: float = nan
    lead: float = nan
    rank: float = nan
    their_margin: float = nan
    their_lead: float = nan
    their_rank: float = nan
    words_margin: float = nan
    words_lead: float = nan


def contexts(pairs: Sequence[Comparison], among: Floats | None = None) -> list[Context]:
    """The context of each pair of one item and a candidate among all of them.

    Args:
        pairs: the item and each candidate.
        among: cosines of the candidates with each other, shape (pairs, pairs); ``None`` if not known.
    """
    if len(pairs) == 1:
        return [Context()]
    cosines, words = [pair.cosine for pair in pairs], [pair.wording.cosine for pair in pairs]
    theirs = [(nan, nan, nan)] * len(pairs) if among is None else _from_their_side(np.array(cosines), among)
    rising = sorted(cosines)
    return [
        Context(margin, lead, float(len(rising) - bisect_right(rising, cosine)), *their, *of_words)
        for cosine, (margin, lead), their, of_words in zip(
            cosines, _margins_and_leads(cosines), theirs, _margins_and_leads(words), strict=True
        )
    ]


def cosines_among(vectors: NDArray[np.float32]) -> Floats:
    """Cosines of unit vectors with each other, shape (n, n), independent of the rest of the batch.

    Args:
        vectors: shape (n, dimension).
    """
    exact = vectors.astype(np.float64)
    # einsum sums in the same order whatever the shape; a matrix product does not promise that.
    found: Floats = np.einsum("nd,md->nm", exact, exact).round(_DECIMALS)
    return found


def _margins_and_leads(values: Sequence[float]) -> list[tuple[float, float]]:
    """Margin and lead of each value: minus the best of the others, and minus the mean of the best few of them."""
    best, second, *_ = falling = sorted(values, reverse=True)
    head = falling[: LED + 1]
    total, last, others = sum(head), head[-1], len(head) - 1
    return [
        (value - (second if value == best else best), value - (total - max(last, value)) / others) for value in values
    ]


def _from_their_side(cosines: Floats, among: Floats) -> list[tuple[float, float, float]]:
    """Margin, lead and rank of the item among the neighbours of each candidate."""
    others = among.copy()
    np.fill_diagonal(others, -np.inf)  # sorted last
    falling = -np.sort(-others, axis=1)[:, : min(LED, len(others) - 1)]
    closer = (others > cosines[:, np.newaxis]).sum(axis=1)
    stacked = np.stack([cosines - falling[:, 0], cosines - falling.mean(axis=1), closer], axis=1)
    return [(margin, lead, rank) for margin, lead, rank in stacked.tolist()]
