"""What an item may be compared with: items on the nearest points, and others that its text leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from recommender_engine.pipeline.vectors.nearest_points import Similarities
from recommender_engine.store import Member, SqliteStore

# How many points are turned into items at a time; most items need no more than these.
_POINTS_AT_ONCE = 14
# Beyond the points at hand so many times more are looked at, each time.
_WIDER = 4
_BEYOND_AT_ONCE = 200


class Wider(NamedTuple):
    """Where more points are to be had.

    Attributes:
        at_hand: how many of the nearest points are at hand for sure.
        most: how many are looked at.
        nearest: gives the nearest so many.
    """

    at_hand: int
    most: int
    nearest: Callable[[int], Similarities]


class Candidates:
    """What was found for one item, from the search to the verdict.

    Args:
        store: the items.
        similarity: cosine by point, best first.
        twin: the item with the same text.
        others: items that other sources than the vectors have found; their points are in ``similarity``.
        wider: where more is to be had for recommendations.
        hidden_ms: items that arrived up to this stream time are not to be seen; ``None`` where all are.

    Attributes:
        similarity, twin, others: the same.
    """

    def __init__(
        self,
        store: SqliteStore,
        similarity: Similarities,
        twin: Member | None = None,
        others: Sequence[Member] = (),
        wider: Wider | None = None,
        hidden_ms: int | None = None,
    ) -> None:
        self.similarity = similarity
        self.twin = twin
        self.others = others
        self._store = store
        self._wider = wider
        self._hidden_ms = hidden_ms
        self._points = list(similarity)
        self._read_points = 0
        self._members: list[Member] = []

    def regrouped(self) -> Candidates:
        """The same under the groups of now."""
        return Candidates(self._store, self.similarity, self.twin, self.others, self._wider, self._hidden_ms)

    def members(self) -> Iterator[Member]:
        """The earliest items on the points at hand, the nearest first; read as far as they are asked for."""
        position = 0
        while position < len(self._members) or self._read():
            yield self._members[position]
            position += 1

    def nearest(self) -> Iterator[tuple[Member, float]]:
        """Items with their cosine, the nearest first, without a gap; beyond the points at hand as far as asked for."""
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
        while len(self._members) == read and self._read_points < len(self._points):
            end = min(self._read_points + _POINTS_AT_ONCE, len(self._points))
            last = self.similarity[self._points[end - 1]]
            while end < len(self._points) and self.similarity[self._points[end]] == last:
                end += 1
            self._members += self._on(self._points[self._read_points : end], self.similarity)
            self._read_points = end
        return len(self._members) > read

    def _on(self, points: Sequence[int], similarity: Similarities) -> list[Member]:
        found = self._store.items.members(points, self._hidden_ms)
        return sorted(found, key=lambda member: (-similarity[member.point], member.seq))


def _reach(similarity: Similarities, count: int) -> float:
    """The cosine down to which nothing is missing among the nearest ``count`` and a few besides."""
    values = list(similarity.values())
    return values[count - 1] if len(values) >= count else -inf
