"""Processor time of some work against that of a reference, measured in turns, so that a busy machine slows both."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST_PAIRS = 6


def times_as_long(work: Callable[[], object], reference: Callable[[], object], most: float) -> float:
    """How many times as long ``work`` takes: the least ratio of several pairs, or the first one up to ``most``."""
    least = float("inf")
    for _ in range(_MOST_PAIRS):
        least = min(least, _spent_s(work) / _spent_s(reference))
        if least <= most:
            break
    return least


def _spent_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return max(time.process_time() - started, 1e-6)
