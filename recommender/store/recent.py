"""What was read of late and still holds: bounded, and forgotten whenever it may have changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A bounded mapping that drops what was put there longest ago.

    Whoever changes what it tells of drops the key in the same call; a transaction that is undone clears all of it.

    Args:
        most: how many entries are kept.
    """

    __slots__ = ("_kept", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._kept)

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
        self._kept[key] = value
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def drop(self, key: K) -> None:
        """The value holds no longer."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Nothing of it may hold any longer."""
        self._kept.clear()
