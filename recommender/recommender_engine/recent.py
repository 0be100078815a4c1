"""A bounded cache of recent reads that is cleared on changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A bounded mapping that drops what was put there longest ago.

    A change of cached data drops the key in the same call; a rollback clears the whole cache.

    Args:
        most: how much is kept: entries, or what they weigh together.
        weigh: what a key weighs with its value, each time the same; by default 1.
    """

    __slots__ = ("_kept", "_most", "_weigh", "_weight")

    def __init__(self, most: int, weigh: Callable[[K, V], int] = lambda key, value: 1) -> None:
        self._most = most
        self._weigh = weigh
        # A dict that its oldest key is asked for looks through all that was dropped before.
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def weight(self) -> int:
        """What all that is kept weighs."""
        return self._weight

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def get(self, key: K) -> V | None:
        """The value, while it is kept."""
        return self._kept.get(key)

    def among(self, keys: Iterable[K]) -> dict[K, V]:
        """Those of the keys that are kept, with their values."""
        kept = self._kept
        return {key: kept[key] for key in keys if key in kept}

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self.drop(key)
        self._kept[key] = value
        self._weight += self._weigh(key, value)
        while self._weight > self._most:
            self._weight -= self._weigh(*self._kept.popitem(last=False))

    def drop(self, key: K) -> None:
        """The value holds no longer."""
        if key in self._kept:
            self._weight -= self._weigh(key, self._kept.pop(key))

    def clear(self) -> None:
        """Nothing of it may hold any longer."""
        self._kept.clear()
        self._weight = 0
