"""What people said of pairs of items: it holds for ever, through all that follows from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from recommender.store import Answer, SqliteStore


class Answers:
    """Follows answers through the items they connect.

    Answers are on ids, so they hold for an item that was edited, or deleted and sent again. Two items are the same if a
    chain of "same" connects them; they are different if one such chain, one "different" and another such chain do.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._counts: dict[int, int] = {}

    def same(self, collection: int, item_id: str) -> frozenset[str]:
        """The item and all ids that are the same by what people said."""
        return frozenset(self._reached(collection, item_id)) if self._any(collection) else frozenset((item_id,))

    def different(self, collection: int, item_id: str) -> frozenset[str]:
        """All ids that are not the same as the item, by what people said."""
        if not self._any(collection):
            return frozenset()
        apart = {
            _far_end(answer, one)
            for one in self._reached(collection, item_id)
            for answer in self._store.answers.of(collection, one)
            if not answer.same
        }
        return frozenset(id_ for start in apart for id_ in self._reached(collection, start))

    def apart(self, collection: int, ids: Iterable[str]) -> frozenset[str]:
        """All ids that are not the same as one of these."""
        if not self._any(collection):
            return frozenset()
        return frozenset().union(*(self.different(collection, id_) for id_ in ids))

    def chain_of_same(self, collection: int, one: str, other: str) -> str | None:
        """How people's answers make the two the same, in words; ``None`` if they do not."""
        path = self._reached(collection, one)
        return _spelled(path, other) if other in path else None

    def chain_of_different(self, collection: int, one: str, other: str) -> str | None:
        """How people's answers make the two different, in words; ``None`` if they do not."""
        here, there = self._reached(collection, one), self._reached(collection, other)
        for near in here:
            for answer in self._store.answers.of(collection, near):
                far = _far_end(answer, near)
                if not answer.same and far in there:
                    back = " = ".join(repr(id_) for id_ in _path(there, far))
                    return f"{_spelled(here, near)} ≠ {back}"
        return None

    def put(self, collection: int, answer: Answer) -> None:
        """Record an answer that contradicts no other one."""
        self._store.answers.put(collection, answer)
        self._counts.pop(collection, None)

    def take_back(self, collection: int, one: str, other: str) -> None:
        """The answer on these two holds no longer."""
        self._store.answers.remove(collection, *sorted((one, other)))
        self._counts.pop(collection, None)

    def forget(self, collection: int, item_id: str) -> None:
        """Every trace of an item goes."""
        self._store.answers.forget(collection, item_id)
        self._counts.pop(collection, None)

    def count(self, collection: int) -> int:
        """How many answers there are."""
        found = self._counts.get(collection)
        if found is None:
            found = self._counts[collection] = self._store.answers.count(collection)
        return found

    def reload(self) -> None:
        """Forget what is in memory: a transaction was rolled back."""
        self._counts.clear()

    def _any(self, collection: int) -> bool:
        return self.count(collection) > 0

    def _reached(self, collection: int, start: str) -> dict[str, str]:
        """What "same" connects with an item: each id with the one before it on the way; the nearest first."""
        before = {start: start}
        waiting = deque([start])
        while waiting:
            near = waiting.popleft()
            for answer in self._store.answers.of(collection, near):
                far = _far_end(answer, near)
                if answer.same and far not in before:
                    before[far] = near
                    waiting.append(far)
        return before


def _far_end(answer: Answer, near: str) -> str:
    return answer.other if answer.one == near else answer.one


def _path(before: dict[str, str], end: str) -> list[str]:
    """From ``end`` back to where the search started."""
    path = [end]
    while before[path[-1]] != path[-1]:
        path.append(before[path[-1]])
    return path


def _spelled(before: dict[str, str], end: str) -> str:
    return " = ".join(repr(id_) for id_ in reversed(_path(before, end)))
