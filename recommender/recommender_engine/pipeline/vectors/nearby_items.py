"""The items around a vector: those on its nearest points, and those beyond while too few of them will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf

from recommender_engine.pipeline.vectors.neighbours import Neighbourhood
from recommender_engine.store import Member, SqliteStore

# How many points are turned into items at a time; most items need no more than these.
_POINTS_AT_ONCE = 14
# Beyond its neighbourhood so many times more points are looked at, each time.
_WIDER = 4
_BEYOND_AT_ONCE = 200

Wider = tuple[int, int, Callable[[int], Neighbourhood]]
"""How many points a neighbourhood holds for sure, the most that are looked at, and what gives the nearest so many."""


class NearbyItems:
    """What an item finds when it arrives.

    Args:
        store: the items.
        similarity: cosine by point, best first.
        wider: where more is to be had.
        hidden_ms: items that arrived up to this stream time are not to be seen; ``None`` where all are.

    Attributes:
        similarity: the same.
    """

    def __init__(
        self,
        store: SqliteStore,
        similarity: Neighbourhood,
        wider: Wider | None = None,
        hidden_ms: int | None = None,
    ) -> None:
        self._hidden_ms = hidden_ms
        self.similarity = similarity
        self._store = store
        self._wider = wider
        self._points = list(similarity)
        self._asked = 0
        self._members: list[Member] = []

    def regrouped(self) -> NearbyItems:
        """The same under the groups of now."""
        return NearbyItems(self._store, self.similarity, self._wider, self._hidden_ms)

    def members(self) -> Iterator[Member]:
        """The earliest items on those points, the nearest first; read as far as they are asked for."""
        place = 0
        while place < len(self._members) or self._read():
            yield self._members[place]
            place += 1

    def nearest(self) -> Iterator[tuple[Member, float]]:
        """Items with their cosine, the nearest first, without a gap; beyond these points as far as is asked for."""
        if self._wider is None:
            yield from ((member, self.similarity[member.point]) for member in self.members())
            return
        count, most, widened = self._wider
        seen: set[int] = set()
        reach = _reach(self.similarity, count)
        for member in self.members():
            if (similarity := self.similarity[member.point]) < reach:
                break  # there may be nearer ones beyond
            seen.add(member.point)
            yield member, similarity
        while reach > -inf and count < most:
            count = min(_WIDER * count, most)
            found = widened(count)
            reach = _reach(found, count)
            beyond = [point for point in found if point not in seen]
            for start in range(0, len(beyond), _BEYOND_AT_ONCE):
                yield from (
                    (member, found[member.point]) for member in self._on(beyond[start : start + _BEYOND_AT_ONCE], found)
                )
            seen.update(beyond)

    def _read(self) -> bool:
        """Read the items of some more points; points that are equally near are read at once. Whether there are more."""
        read = len(self._members)
        while len(self._members) == read and self._asked < len(self._points):
            end = min(self._asked + _POINTS_AT_ONCE, len(self._points))
            last = self.similarity[self._points[end - 1]]
            while end < len(self._points) and self.similarity[self._points[end]] == last:
                end += 1
            self._members += self._on(self._points[self._asked : end], self.similarity)
            self._asked = end
        return len(self._members) > read

    def _on(self, points: Sequence[int], similarity: Neighbourhood) -> list[Member]:
        found = self._store.items.members(points, self._hidden_ms)
        return sorted(found, key=lambda member: (-similarity[member.point], member.seq))


def _reach(similarity: Neighbourhood, count: int) -> float:
    """The cosine down to which nothing is missing among the nearest ``count`` and a few besides."""
    values = list(similarity.values())
    return values[count - 1] if len(values) >= count else -inf
