"""The items with the highest levels of one kind, kept in order as interactions come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import inf

_SPARE = 2


class Ranking:
    """The first items of all by level; levels only rise.

    Args:
        ranked: levels, negated, with numbers of items, ascending: of equal levels the smaller number first.
        most: so many are kept.
    """

    def __init__(self, ranked: Iterable[tuple[float, int]], most: int) -> None:
        first = list(islice(ranked, most + 1))
        self._most = most
        self._complete = len(first) <= most
        self._last = -inf, 0
        self._cut(first)

    def has(self, count: int) -> bool:
        """Whether the first so many are known, or all if there are fewer."""
        return count <= self._most and (self._complete or len(self._levels) >= count)

    def nums(self) -> list[int]:
        """Numbers of the items, the highest level first."""
        if self._changed:
            self._cut(sorted((-level, num) for num, level in self._levels.items()))
        return self._nums

    def rose(self, num: int, level: float) -> None:
        """The level of an item is now this."""
        if self._complete or num in self._levels or (-level, num) < self._last:
            self._levels[num] = level
            self._changed = True
            if len(self._levels) > _SPARE * self._most:
                self.nums()

    def drop(self, num: int) -> None:
        """An item has gone."""
        if self._levels.pop(num, None) is not None:
            self._changed = True

    def _cut(self, ranked: list[tuple[float, int]]) -> None:
        """Keep the first of what is known, which is in order."""
        if len(ranked) > self._most:
            del ranked[self._most :]
            self._complete = False
        if ranked:  # where all have gone, others may be ahead of one that rises now
            self._last = ranked[-1]
        self._levels = {num: -level for level, num in ranked}
        self._nums = list(self._levels)
        self._changed = False
