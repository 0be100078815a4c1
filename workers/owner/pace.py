"""How fast the owner goes: told to producers that are refused, so that they come back when there is room."""

from __future__ import annotations

import time

_SMOOTHING_S = 10.0


class Pace:
    """Commands per second while there is something to do, smoothed over some seconds of that."""

    def __init__(self) -> None:
        self._per_s = 0.0
        self._since_s = time.monotonic()
        self._counted = 0

    def count(self, commands: int) -> None:
        """So many have been committed."""
        self._counted += commands

    def per_s(self) -> float:
        """The pace so far. Called about once a second; a second without commands does not count."""
        now_s = time.monotonic()
        elapsed_s = now_s - self._since_s
        if self._counted and elapsed_s > 0:
            share = 1.0 if not self._per_s else min(1.0, elapsed_s / _SMOOTHING_S)
            self._per_s += share * (self._counted / elapsed_s - self._per_s)
        self._since_s, self._counted = now_s, 0
        return self._per_s
