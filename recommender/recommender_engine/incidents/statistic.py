"""How surprising a count is under a negative binomial distribution."""

from __future__ import annotations

from math import lgamma, log

SHAPE = 0.7
"""Dispersion of the counts: reports echo each other, and days differ; a Poisson count would have an infinite shape."""

# Terms of the tail that are added up; the rest is bounded by a geometric series.
_TERMS = 256


def surprise(items: int, expected: float) -> float:
    """Score of a count: ``-log10 P(K >= items)``, with K negative binomial with mean ``expected`` and ``SHAPE``.

    Args:
        items: the count, from 0.
        expected: mean, above 0.

    Returns:
        The score, from 0; 0 for a count that is not above the mean.
    """
    if items <= expected:
        return 0.0
    ratio = expected / (expected + SHAPE)
    exact = lgamma(items + SHAPE) - lgamma(items + 1) - lgamma(SHAPE) + SHAPE * log(1.0 - ratio) + items * log(ratio)
    term = total = 1.0
    for count in range(items, items + _TERMS):
        term *= ratio * (count + SHAPE) / (count + 1)
        total += term
    total += term * ratio / (1.0 - ratio)
    return max(0.0, -(exact + log(total)) / log(10.0))
