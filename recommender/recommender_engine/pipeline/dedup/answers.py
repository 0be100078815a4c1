"""Answers of people on pairs of items, and what follows from them; they hold for ever."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection as Some
from collections.abc import Iterable, Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.store import Answer, SqliteStore

Chain = list[tuple[str, str]]
"""Ids, each with its relation to the one before it: ``=`` or ``\u2260``."""

Links = dict[str, dict[str, bool]]
"""By id, the other items of its answers, and whether the two are the same."""


MOST_ANSWERS = 100_000
"""How many answers of a collection are kept …"""

MOST_IN_ALL = 1_000_000
"""… and of all collections of a partition."""

MOST_IN_MEMORY = 200_000
"""How many are kept in memory, of the collections that were read last; those of one collection at least."""


class Answers:
    """Follows answers through the items they connect.

    Answers are on ids, so they hold for an item that was edited, or deleted and sent again. Two items are the same if a
    chain of "same" connects them; they are different if one such chain, one "different" and another such chain do.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._links: OrderedDict[int, Links] = OrderedDict()  # the collection that was read last comes last
        store.on_rollback(self.reload)
        store.on_retire(self._retire)

    def same(self, collection: int, item_id: str) -> frozenset[str]:
        """The item and all ids that the answers make the same as it."""
        return frozenset(_reached(self._of(collection), item_id))

    def different(self, collection: int, item_id: str) -> frozenset[str]:
        """All ids that the answers make different from the item."""
        return self.apart(collection, (item_id,))

    def apart(self, collection: int, ids: Iterable[str]) -> frozenset[str]:
        """All ids that the answers make different from one of these."""
        links = self._of(collection)
        if not links:
            return frozenset()
        near: set[str] = set()
        for id_ in ids:
            if id_ not in near:
                near.update(_reached(links, id_))
        far: set[str] = set()
        for id_ in near:
            for other, same in links.get(id_, {}).items():
                if not same and other not in far:
                    far.update(_reached(links, other))
        return frozenset(far)

    def settled(self, collection: int, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether the answers make the two of each pair of ids the same or different; each chain is followed once."""
        links = self._of(collection)
        reached: dict[str, frozenset[str]] = {}
        different: dict[str, set[str]] = {}
        for id_ in {id_ for pair in pairs for id_ in pair}:
            if id_ in reached:
                continue
            together = frozenset(_reached(links, id_))
            reached |= dict.fromkeys(together, together)
            apart = {other for near in together for other, same in links.get(near, {}).items() if not same}
            different |= dict.fromkeys(together, apart)
        return [other in reached[one] or not different[one].isdisjoint(reached[other]) for one, other in pairs]

    def chain_of_same(self, collection: int, one: str, other: str) -> Chain | None:
        """The answers that make the two the same; ``None`` if none do."""
        path = _reached(self._of(collection), one)
        return _linked(_path(path, other)[::-1]) if other in path else None

    def chain_of_different(self, collection: int, one: str, other: str) -> Chain | None:
        """The answers that make the two different; ``None`` if none do."""
        links = self._of(collection)
        here, there = _reached(links, one), _reached(links, other)
        for near in here:
            for far, same in links.get(near, {}).items():
                if not same and far in there:
                    (_, first), *rest = _linked(_path(there, far))
                    return [*_linked(_path(here, near)[::-1]), ("\u2260", first), *rest]
        return None

    def put(self, collection: int, answer: Answer) -> None:
        """Record an answer that contradicts no other one."""
        links = self._of(collection)
        self._store.answers.put(collection, answer)
        self._make_room()
        _link(links, answer.one, answer.other, same=answer.same)

    def take_back(self, collection: int, one: str, other: str) -> None:
        """Remove the answer on these two."""
        links = self._of(collection)
        self._store.answers.remove(collection, *sorted((one, other)))
        _unlink(links, one, other)

    def forget(self, collection: int, item_id: str) -> bool:
        """Remove every answer on an item; whether there was one."""
        links = self._of(collection)
        self._store.answers.forget_item(collection, item_id)
        others = list(links.get(item_id, {}))
        for other in others:
            _unlink(links, item_id, other)
        return bool(others)

    def answered(self, collection: int, one: str, other: str) -> bool:
        """Whether there is an answer on these two."""
        return other in self._of(collection).get(one, {})

    def require_room(self, collection: int) -> None:
        """Make sure that one more answer can be kept: none is ever dropped.

        Raises:
            InvalidCommand: the limit is reached.
        """
        here, all_ = self._store.answers.count(collection), self._store.answers.count()
        if here < MOST_ANSWERS and all_ < MOST_IN_ALL:
            return
        full = (
            f"the collection has {here} answers, and {MOST_ANSWERS} are kept"
            if here >= MOST_ANSWERS
            else f"the partition has {all_} answers, and {MOST_IN_ALL} are kept"
        )
        raise InvalidCommand(
            "too_many_answers",
            f"answer: {full}; all of them stay. Take back with 'unsure' what is no longer needed, or spread the"
            " items over more collections",
            "answer",
        )

    def ids(self, collection: int) -> Some[str]:
        """Ids of all items that have an answer."""
        return self._of(collection).keys()

    def count(self, collection: int) -> int:
        """How many answers there are."""
        return self._store.answers.count(collection)

    def reload(self) -> None:
        """Forget what is in memory; it is read again at need."""
        self._links.clear()

    def _retire(self, collection: int) -> None:
        self._links.pop(collection, None)

    def _of(self, collection: int) -> Links:
        found = self._links.get(collection)
        if found is None:
            found = self._links[collection] = {}
            for one, other, same in self._store.answers.pairs(collection):
                _link(found, one, other, same=same)
            self._make_room()
        self._links.move_to_end(collection)
        return found

    def _make_room(self) -> None:
        """Drop those of the collections that were read longest ago; they are read again at need."""
        if self._store.answers.count() <= MOST_IN_MEMORY:
            return
        kept = {collection: self._store.answers.count(collection) for collection in self._links}
        excess = sum(kept.values()) - MOST_IN_MEMORY
        for collection in list(self._links)[:-1]:
            if excess <= 0:
                return
            excess -= kept[collection]
            del self._links[collection]


def _unlink(links: Links, one: str, other: str) -> None:
    for near, far in ((one, other), (other, one)):
        of_near = links.get(near, {})
        of_near.pop(far, None)
        if not of_near:
            links.pop(near, None)


def _link(links: Links, one: str, other: str, *, same: bool) -> None:
    for near, far in ((one, other), (other, one)):
        of_near = links.setdefault(near, {})
        of_near.pop(far, None)  # the last answer on a pair comes last
        of_near[far] = same


def _reached(links: Links, start: str) -> dict[str, str]:
    """What "same" connects with an item: each id with the one before it on the path; the nearest first."""
    before = {start: start}
    waiting = deque([start])
    while waiting:
        near = waiting.popleft()
        for far, same in links.get(near, {}).items():
            if same and far not in before:
                before[far] = near
                waiting.append(far)
    return before


def _path(before: dict[str, str], end: str) -> list[str]:
    """From ``end`` back to where the search started."""
    path = [end]
    while before[path[-1]] != path[-1]:
        path.append(before[path[-1]])
    return path


def _linked(path: list[str]) -> Chain:
    return [("=", id_) for id_ in path]
