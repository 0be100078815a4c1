"""Which ids of entries are trusted.

A producer may give an entry any id, and the server gives the next one an id behind it. An id far
ahead of the clock would become a position for good, and the highest one ends the stream: nothing can be appended behind
it. Redis has no rule against such an id, so the owner does not accept it: see ``id_repair``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recommender_engine.items import START, EntryId

CLOCK_TOLERANCE_MS = 60_000
"""So far ahead of the server's clock an id may lie: clocks differ, and servers take over from each other."""

CLOCK_JUMP_MS = 7 * 24 * 3600 * 1000
"""A position that lies further ahead than this is not due to a clock that was set back."""

_MOST_N = 2**64 - 1


def last_trusted(now_ms: int, read: EntryId) -> EntryId:
    """The highest id that is trusted behind ``read``.

    Args:
        now_ms: the server's time.
        read: position of the last entry that has been read. A server whose clock was set back goes on from there, with
            the same milliseconds, or the next when it runs out of sequence numbers.
    """
    ahead_ms = now_ms + CLOCK_TOLERANCE_MS
    return EntryId(max(ahead_ms, read.ms + 1) if read != START else ahead_ms, _MOST_N)


def is_lost(position: EntryId, now_ms: int) -> bool:
    """Whether a position lies so far ahead of the clock that no new id can follow it."""
    return position.ms > now_ms + CLOCK_JUMP_MS


class TrustedIds:
    """The bound that one thread uses while it reads, and another while it repairs ids: never a higher one.

    Args:
        now_ms: the server's time.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._in_use = START  # by the thread that reads
        self._held: EntryId | None = None

    def reading(self, read: EntryId) -> EntryId:
        """The highest id that is trusted of the next entries behind ``read``; to be called before they are read."""
        with self._lock:
            last = last_trusted(self._now_ms(), read)
            self._in_use = last if self._held is None else min(last, self._held)
            return self._in_use

    @contextmanager
    def held(self, read: EntryId) -> Iterator[EntryId]:
        """The highest id that is trusted; for readers it does not rise within the block, as time goes on."""
        with self._lock:
            self._held = last = max(last_trusted(self._now_ms(), read), self._in_use)
        try:
            yield last
        finally:
            self._held = None
