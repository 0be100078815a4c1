"""Maximal marginal relevance (Carbonell & Goldstein 1998): good, and unlike what is in the list already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POOL = 50
"""So many of the best are looked at for one list of ten; five times the list in general."""


def diverse(scores: NDArray[np.float64], vectors: NDArray[np.float32], limit: int, diversity: float) -> list[int]:
    """Places of a list, best first.

    Args:
        scores: shape (n,), descending, at least 0.
        vectors: shape (n, dimension), of unit length.
        limit: length of the list.
        diversity: in [0, 1]: how much likeness to what is in the list counts against the score.
    """
    count = min(limit, len(scores))
    if diversity <= 0.0 or count <= 1:
        return list(range(count))
    best = float(scores[0])
    relevance = (1.0 - diversity) * (scores / best if best > 0.0 else scores)
    likeness = np.zeros(len(scores))
    left = np.ones(len(scores), np.bool_)
    chosen: list[int] = []
    for _ in range(count):
        marginal = np.where(left, relevance - diversity * likeness, -np.inf)
        place = int(np.argmax(marginal))
        chosen.append(place)
        left[place] = False
        likeness = np.maximum(likeness, (vectors @ vectors[place]).astype(np.float64).round(6))
    return chosen
