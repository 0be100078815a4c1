"""Weights that halve with time, kept as sums that grow: nothing is touched that an interaction does not concern.

An interaction at time t adds ``w * 2 ** ((t - base) / half_life)`` to a sum whose base is fixed. Today's value of the
sum is the sum times ``2 ** ((base - now) / half_life)``.
"""

from __future__ import annotations

from math import log2

DAY_MS = 24 * 3600 * 1000
HALF_LIFE_MS = 90 * DAY_MS
"""Of what is learned of items and users."""

POPULAR_HALF_LIFE_MS = 7 * DAY_MS
TRENDING_HALF_LIFE_MS = DAY_MS

REBASE_MS = 20 * HALF_LIFE_MS
"""A row is scaled to a new base when it is written so long after its base: a function of stream time alone."""


def growth(at_ms: int, base_ms: int, half_life_ms: int = HALF_LIFE_MS) -> float:
    """What a weight of 1 at ``at_ms`` adds to a sum with this base; also the factor between two bases."""
    exponent = (at_ms - base_ms) / half_life_ms
    return float(2.0 ** max(-1000.0, min(exponent, 1000.0)))


def added(level: float | None, weight: float, at_ms: int, half_life_ms: int) -> float:
    """A decaying sum as a level: the binary logarithm of the sum at base 0, which compares at any time.

    Args:
        level: of the sum until now; ``None`` of an empty one.
        weight: what is added, above 0.
        at_ms: its time, in milliseconds since 1970.
        half_life_ms: of the sum.
    """
    new = log2(weight) + at_ms / half_life_ms
    if level is None:
        return new
    high, low = max(level, new), min(level, new)
    return high + log2(1.0 + 2.0 ** max(low - high, -1000.0))
