"""The score of a listed item: a weighted sum of its terms, with learned weights for an item, fixed ones for a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.recommend.weights import FEW

_UNLIKE_FROM, _UNLIKE = 0.6, 1.0

_WHY = {
    "together": ("often used together with {}", "often used together with what you used"),
    "text": ("similar to {}", "similar text"),
    "bridge": ("used together with similar items", "used together with similar items"),
    "own": ("used before", "used before"),
    "users": ("used by users with the same taste", "used by users with the same taste"),
    "sessions": ("used in visits like this one", "used in visits like this one"),
    "interests": ("like {}", "like what you used"),
    "popular": ("popular this week", "used lately"),
    "trending": ("popular today", "used lately"),
    "newest": ("new", "new"),
    "pinned": ("pinned", "pinned"),
}
_WHY_OF_EXAMPLES = {**_WHY, "together": ("often used together with {}", "often used together with these items")}


def weights_of(asked: ResolvedRequest) -> dict[str, float]:
    """The weights of the terms: text counts where behaviour says little."""
    if asked.like:
        return asked.serving.weights(asked.evidence)
    cold = FEW / (asked.evidence + FEW)
    return {
        "own": 0.7,
        "users": 0.3,
        "sessions": 0.01,
        "together": 0.01,
        "interests": 0.005 + 0.2 * cold,
        "popular": 0.003 + 0.1 * cold,
        "trending": 0.002 + 0.05 * cold,
        "newest": 0.001 + 0.01 * cold,
    }


def scored(
    weights: Mapping[str, float], pool: Pool, seqs: Sequence[int], dislike: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The scores of candidates, shape (n,).

    Args:
        weights: of the terms, by name.
        pool: has the values of the terms.
        seqs: arrival numbers of the candidates.
        dislike: see ``disliked``.
    """
    scores = np.zeros(len(seqs))
    for term, values in pool.terms.items():
        if weight := weights.get(term, 0.0):
            scores += weight * np.fromiter(map(values.get, seqs, repeat(0.0)), np.float64, len(seqs))
    return scores if dislike is None else scores - _UNLIKE * dislike


def disliked(cosines: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """How much candidates are like what is not wanted, at least 0, shape (n,): the most by any example.

    Args:
        cosines: to what is not wanted, shape (n, examples).
        weights: of the examples.
    """
    most: NDArray[np.float64] = (np.maximum(0.0, cosines - _UNLIKE_FROM) * np.array(weights)).max(axis=1)
    return most


def why(asked: ResolvedRequest, pool: Pool, seq: int) -> str:
    """The terms of a score for people, strongest first."""
    terms = pool.terms_of(seq)
    if "pinned" in terms:
        return _WHY["pinned"][1]
    weights = weights_of(asked)
    counting = [term for term in terms if weights.get(term, 0.0) > 0.0] or list(terms)
    strongest = sorted(counting, key=lambda term: (-weights.get(term, 0.0) * terms[term], term))
    because = {term: named[seq] for term, named in pool.because.items() if seq in named}
    said = _WHY_OF_EXAMPLES if asked.like else _WHY
    sentences = [said[term][0].format(because[term]) if term in because else said[term][1] for term in strongest[:2]]
    return "; ".join(dict.fromkeys(sentences))
