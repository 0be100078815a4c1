"""What it means that a list was shown: experiments, fatigue of impressions, shares with their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from math import sqrt

from recommender_engine.recommend.behaviour.decay import DAY_MS

HIT_WINDOW_MS = DAY_MS
"""An item that is used so soon after a list has shown it is a hit of the list."""

LISTS_KEPT_MS = 28 * DAY_MS
"""For how long of stream time a shown list is kept."""

FATIGUE_HALF_LIFE_MS = 7 * DAY_MS
"""Of an impression: after that time it counts half."""

_Z = 1.959964  # of a 95 % interval
_HASH_BYTES = 8


def arm_of(collection: str, scenario: str, user: str, shares: Mapping[str, float]) -> str | None:
    """The arm of an experiment that a user is in, always the same; ``None``: in none.

    The first 8 bytes of the SHA-256 of collection, scenario and user, with a line feed between, are a number in [0, 1).
    The arms divide that range in their order, and what they leave is in none.

    Args:
        collection: name of the collection.
        scenario: name of the scenario: users are divided anew by another name.
        user: id of the user or session.
        shares: of each arm, in (0, 1].
    """
    digest = sha256(f"{collection}\n{scenario}\n{user}".encode()).digest()[:_HASH_BYTES]
    place, end = int.from_bytes(digest) / 2 ** (8 * _HASH_BYTES), 0.0
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return None


def impressions(
    shown: Iterable[tuple[int, Iterable[int]]], last_used_ms: Mapping[int, int], now_ms: int
) -> dict[int, float]:
    """How often each item was shown to a user since the user last used it, halved in a week.

    Args:
        shown: the time of each list and the numbers of its items; 0 is no item.
        last_used_ms: when the user last used an item, by its number.
        now_ms: stream time.
    """
    counts: dict[int, float] = {}
    for at_ms, items in shown:
        worth = 2.0 ** -(max(0, now_ms - at_ms) / FATIGUE_HALF_LIFE_MS)
        for num in items:
            if num and at_ms > last_used_ms.get(num, -1):
                counts[num] = counts.get(num, 0.0) + worth
    return counts


def fatigue(count: float, strength: float) -> float:
    """The factor of the score of an item that was shown so often and not used: 1 / (1 + strength * count)."""
    return 1.0 / (1.0 + strength * count)


def score_interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), in [0, 1]; all of it where nothing was counted."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
