"""What recommendations are compared with: one signal alone each, over the same candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender_engine.evaluation.pairs import tfidf
from recommender_engine.evaluation.recommendations.figures import LIMIT
from recommender_engine.evaluation.recommendations.history import Past, Places
from recommender_engine.evaluation.recommendations.judging import Catalogue, Method

HALF_LIFE_MS = 30 * 24 * 3600 * 1000
"""After so long a use counts half for popularity."""

PAIR_HALF_LIFE_MS = 90 * 24 * 3600 * 1000

Scores = NDArray[np.float64]


class Popular:
    """The most popular items of late; the order of what other methods score alike."""

    def __init__(self, candidates: NDArray[np.bool_], half_life_ms: float = HALF_LIFE_MS) -> None:
        self.candidates = candidates
        self._half_life_ms = half_life_ms
        self._scores = np.zeros(len(candidates))
        self._counted, self._at_ms = 0, 0

    def scores(self, past: Past) -> Scores:
        """Decayed uses of each item, shape (items,); quick where the pasts get longer from question to question."""
        counted = len(past.items)
        if counted < self._counted:
            self._scores, self._counted = np.zeros(len(self.candidates)), 0
        if counted > self._counted:
            now_ms = int(past.times_ms[-1])
            new = slice(self._counted, counted)
            weights = np.exp2((past.times_ms[new] - now_ms) / self._half_life_ms)
            if self._counted:
                self._scores = self._scores * np.exp2((self._at_ms - now_ms) / self._half_life_ms)
            self._scores = self._scores + np.bincount(past.items[new], weights, minlength=len(self.candidates))
            self._counted, self._at_ms = counted, now_ms
        return self._scores

    def best(self, past: Past, scores: Scores, but: Places) -> list[int]:
        """The ten candidates with the highest scores, without some; of those scored alike, the most popular."""
        allowed = self.candidates.copy()
        allowed[but] = False
        places = np.flatnonzero(allowed)
        mine = scores[places]
        if len(places) > LIMIT:
            enough = np.partition(mine, len(mine) - LIMIT)[len(mine) - LIMIT]
            places, mine = places[mine >= enough], mine[mine >= enough]
        order = np.lexsort((places, -self.scores(past)[places], -mine))
        found: list[int] = places[order[:LIMIT]].tolist()
        return found


class _Scored:
    """A method that scores all items, for an item or for the profile of a user."""

    def __init__(self, popular: Popular) -> None:
        self._popular = popular
        self._last: tuple[tuple[int, int], Scores] = ((-1, -1), np.zeros(0))

    def for_item(self, past: Past, item: int) -> list[int]:
        """For an item."""
        profile = np.zeros(len(self._popular.candidates))
        profile[item] = 1.0
        return self._popular.best(past, self.scores(past, profile), np.array([item]))

    def for_user(self, past: Past, user: int, *, known: bool) -> list[int]:
        """For a user."""
        used = past.of_user(user)
        if self._last[0] != (past.size, user):  # asked for twice, with what the user knows and without
            profile = np.bincount(used, minlength=len(self._popular.candidates)).astype(np.float64)
            self._last = ((past.size, user), self.scores(past, profile))
        return self._popular.best(past, self._last[1], np.zeros(0, np.int64) if known else used)

    def scores(self, past: Past, profile: Scores) -> Scores:
        """Of all items, shape (items,), for so many uses of each item."""
        raise NotImplementedError


class _Popularity(_Scored):
    def scores(self, past: Past, profile: Scores) -> Scores:
        return self._popular.scores(past)


class _OwnFrequency(_Scored):
    """What the user used most often, and then what is popular."""

    def scores(self, past: Past, profile: Scores) -> Scores:
        return profile


class _Likeness(_Scored):
    """Cosine of a vector of the text to the mean of the profile, weighted by uses.

    Args:
        vectors: a matrix with a row of unit length for each item, dense or sparse.
    """

    def __init__(self, popular: Popular, vectors: Any) -> None:
        super().__init__(popular)
        self._vectors = vectors

    def scores(self, past: Past, profile: Scores) -> Scores:
        used = np.flatnonzero(profile)
        mean = self._vectors[used].T @ profile[used].astype(self._vectors.dtype)
        return np.asarray(self._vectors @ mean, np.float64)


class _CoOccurrence(_Scored):
    """Sum over the profile of n_ab / sqrt(n_a n_b), over baskets."""

    def scores(self, past: Past, profile: Scores) -> Scores:
        return _cosines(past, profile, np.ones(len(past.items)), 0.0)


class _RecentCoOccurrence(_Scored):
    """The same with baskets that count by 1 / sqrt(size), half as much after 90 days, and shrunk by one use."""

    def scores(self, past: Past, profile: Scores) -> Scores:
        if not len(past.items):
            return np.zeros(len(profile))
        fresh = np.exp2((past.times_ms - past.times_ms[-1]) / PAIR_HALF_LIFE_MS)
        sizes = np.bincount(past.baskets)
        return _cosines(past, profile, fresh / np.sqrt(sizes[past.baskets]), 1.0)


def _cosines(past: Past, profile: Scores, weights: Scores, shrink: float) -> Scores:
    """Cosines of uses in baskets, summed over a profile.

    Args:
        past: with n items of baskets.
        profile: uses of each item, shape (items,).
        weights: of each item of each basket, shape (n,).
        shrink: added to the uses of each item.
    """
    uses = np.bincount(past.items, weights, minlength=len(profile))
    scale = np.divide(1.0, np.sqrt(uses + shrink), out=np.zeros(len(uses)), where=uses > 0.0)
    wanted = profile * scale
    in_basket = np.bincount(past.baskets, wanted[past.items])
    joint = np.bincount(past.items, in_basket[past.baskets] * weights, minlength=len(profile))
    scored: Scores = (joint - wanted * uses) * scale  # an item is no partner of its own
    return scored


class _Random:
    """Drawn from a seed, the same in every run."""

    def __init__(self, candidates: NDArray[np.bool_]) -> None:
        self._candidates = np.flatnonzero(candidates)

    def for_item(self, past: Past, item: int) -> list[int]:
        """For an item."""
        return self._drawn((0, item), np.array([item]))

    def for_user(self, past: Past, user: int, *, known: bool) -> list[int]:
        """For a user."""
        return self._drawn((1, past.size), np.zeros(0, np.int64) if known else past.of_user(user))

    def _drawn(self, seed: tuple[int, int], but: Places) -> list[int]:
        places = np.setdiff1d(self._candidates, but)
        drawn = np.random.default_rng(seed).choice(places, min(LIMIT, len(places)), replace=False)
        found: list[int] = drawn.tolist()
        return found


def baselines(candidates: NDArray[np.bool_], catalogue: Catalogue) -> Mapping[str, Method]:
    """The baselines by name.

    Args:
        candidates: which items may be recommended, shape (items,).
        catalogue: their texts and vectors.
    """
    popular = Popular(candidates)
    return {
        "popularity": _Popularity(popular),
        "text": _Likeness(popular, catalogue.vectors),
        "tfidf": _Likeness(popular, tfidf(catalogue.items)),
        "co_occurrence": _CoOccurrence(popular),
        "recent_co_occurrence": _RecentCoOccurrence(popular),
        "own_frequency": _OwnFrequency(popular),
        "random": _Random(candidates),
    }
