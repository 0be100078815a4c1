"""Where ``review`` begins in a collection that has answers, and how its probabilities compare with earlier ones.

Answers move the probabilities of all pairs: where people mostly answer "different", nothing reaches the 0.25 at which
``review`` begins, though the likeliest pairs are still those worth a look. So ``review`` also holds what the model that
a collection starts with states at 0.25 or more, as it did before the answers; the answers decide the order.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

from recommender_engine.matching.model.operating_points import upper_bound
from recommender_engine.matching.model.pair_model import PairModel, ReviewScale
from recommender_engine.matching.trees import Booleans, Floats

WORTH = 0.02
"""Answers that leave no room for so large a share of repeats end what ``review`` holds beyond the learned model."""

# Stated probabilities have four digits.
_LEAST = 0.00005


def with_review(learned: PairModel, start: PairModel, rows: Floats, labels: Booleans) -> PairModel:
    """The learned model, with what its probabilities mean for ``review``.

    Args:
        learned: by these answers.
        start: the model before any answer.
        rows: the answered pairs, shape (n, len(FEATURES)), NaN where a value is missing.
        labels: shape (n,), true for duplicates.
    """
    if not len(labels):
        return learned
    shift = float((start.log_odds(rows) - learned.log_odds(rows)).mean())
    return replace(learned, review=ReviewScale(shift, upper_bound(int(labels.sum()), len(labels)) >= WORTH))


def review_rank(model: PairModel, probability: float) -> float:
    """A probability stated by a model, on the scale of the model before any answer, in (0, 1).

    Probabilities from before and after an answer can be compared on it.
    """
    if model.review is None:
        return probability
    bounded = min(max(probability, _LEAST), 1.0 - _LEAST)
    return 1.0 / (1.0 + exp(-log(bounded / (1.0 - bounded)) - model.review.shift))


def stated_now(model: PairModel, rank: float) -> float:
    """The probability that a model states of a pair with this rank, on the mean of the answered pairs, in (0, 1).

    The inverse of `review_rank`.
    """
    if model.review is None:
        return rank
    bounded = min(max(rank, _LEAST), 1.0 - _LEAST)
    return round(1.0 / (1.0 + exp(-log(bounded / (1.0 - bounded)) + model.review.shift)), 4)
