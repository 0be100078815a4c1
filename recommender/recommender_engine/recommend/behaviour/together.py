"""How much two items belong together: the weight of the pair over the geometric mean of the weights of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.recommend.behaviour.decay import HALF_LIFE_MS, growth
from recommender_engine.recommend.behaviour.sums import largest, sums_by

SHRINK = 10.0
"""So much weight is added to each item: partners of few interactions say little (chosen on the retail set)."""

MOST_RANKED = 400
"""So many of the heaviest partners of all lists together are looked at."""


class PartnerList(NamedTuple):
    """The partners of one item.

    Attributes:
        share: how much the item counts among those asked for.
        level: of the weights of its interactions.
        base_ms: base of the weights.
        nums: numbers of its partners, shape (n,).
        weights: of the pairs, shape (n,).
    """

    share: float
    level: float
    base_ms: int
    nums: NDArray[np.int64]
    weights: NDArray[np.float64]


def current(level: float, now_ms: int, half_life_ms: int = HALF_LIFE_MS) -> float:
    """Today's value of a level."""
    return float(2.0 ** max(-1000.0, min(level - now_ms / half_life_ms, 1000.0)))


def heaviest(lists: Iterable[PartnerList], now_ms: int, most: int = MOST_RANKED) -> dict[int, float]:
    """The partners that the lists name with most weight: weights by number, not yet divided by those of the partner."""
    numbers, weights = [np.empty(0, np.int64)], [np.empty(0)]
    for one in lists:
        factor = one.share * growth(one.base_ms, now_ms) / sqrt(current(one.level, now_ms) + SHRINK)
        numbers.append(one.nums)
        weights.append(one.weights * factor)
    unique, sums = sums_by(np.concatenate(numbers), np.concatenate(weights))
    order = largest(sums, unique, most)
    return dict(zip(unique[order].tolist(), sums[order].tolist(), strict=True))


def together(weights: Mapping[int, float], levels: Mapping[int, float], now_ms: int) -> dict[int, float]:
    """Scores of partners in [0, 1], of those whose level is known.

    Args:
        weights: of ``heaviest``.
        levels: of the weights of the interactions of each partner.
        now_ms: stream time.
    """
    return {
        num: min(1.0, weight / sqrt(current(levels[num], now_ms) + SHRINK))
        for num, weight in weights.items()
        if num in levels
    }
