"""How far the commands stream has been trimmed, and by which state: noted in Redis with every trim.

What was trimmed cannot be read again. A state that is older than that must not go on as if nothing were missing.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.client import Pipeline

from recommender.errors import StateError
from recommender.items import START, EntryId
from workers.broker.keys import GROUP, PartitionKeys
from workers.broker.lease import Lease

_COUNT_AT_ONCE = 10_000
# How many entries lie between two ids, a block at a time, without sending them here.
_COUNT = """
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return {#entries, #entries > 0 and entries[#entries][1] or ''}
"""


class OlderThanTrimmed(StateError):
    """Commands that this state has not seen are gone from the stream."""


class Trimming:
    """Trims, and remembers it.

    Args:
        redis: the server.
        keys: of the partition.
        lease: without which nothing is trimmed.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, lease: Lease) -> None:
        self._redis = redis
        self._lease = lease
        self._keys = keys
        self._up_to = START
        self.held = 0

    def begin(self, state: str, position: EntryId) -> bool:
        """See to it that nothing is missing behind ``position``, and count what is kept up to it.

        Args:
            state: identity of the state.
            position: of the last command whose effects it holds.

        Returns:
            Whether this very state has trimmed the stream before.

        Raises:
            OlderThanTrimmed: commands behind the position are gone; the message says what to do.
        """
        noted: dict[bytes, bytes] = self._redis.hgetall(self._keys.trimmed)  # type: ignore[assignment]
        ours = noted.get(b"state") == state.encode()
        if ours:
            trimmed = EntryId.parse(noted[b"position"].decode())
            if trimmed > position:
                raise OlderThanTrimmed(
                    f"this state knows the commands up to {position}, and they have been trimmed up to {trimmed}: it is"
                    " an older copy, or has lost its newest transactions. Put the newest backup in its place with"
                    " `recommender restore`"
                )
            self._up_to = trimmed
        self.held = self._count(position)
        return ours

    def trim(self, state: str, position: EntryId, keep_from: EntryId | None) -> None:
        """Drop entries whose effects are durable, and move the consumer group along.

        Args:
            state: identity of the state.
            position: up to which effects are committed.
            keep_from: up to which they are in a backup as well; ``None``: there is none that anybody waits for.

        Raises:
            LeaseLost: another process owns the partition; nothing was dropped.
        """
        up_to = max(self._up_to, position if keep_from is None else min(position, keep_from))

        def fill(pipe: Pipeline) -> None:
            pipe.hset(self._keys.trimmed, mapping={"state": state, "position": str(up_to)})
            pipe.xtrim(self._keys.commands, minid=str(_successor(up_to)), approximate=False)
            pipe.xgroup_setid(self._keys.commands, GROUP, str(position))

        noted, trimmed, _ = self._lease.execute(fill, raise_on_error=False)  # the group may be gone; it is made again
        for result in (noted, trimmed):
            if isinstance(result, Exception):
                raise result
        self._up_to = up_to
        self.held = 0 if up_to == position else max(0, self.held - int(trimmed))

    def committed(self, entries: int) -> None:
        """So many more entries are durable and still in the stream."""
        self.held += entries

    def _count(self, position: EntryId) -> int:
        count, start = 0, "-"
        while True:
            found: Any = self._redis.eval(_COUNT, 1, self._keys.commands, start, str(position), str(_COUNT_AT_ONCE))
            number, last = int(found[0]), found[1].decode()
            count += number
            if number < _COUNT_AT_ONCE:
                return count
            start = f"({last}"


def _successor(position: EntryId) -> EntryId:
    return position.next_at(position.ms) if position.n < _MAX_PART else EntryId(min(position.ms + 1, _MAX_PART), 0)


_MAX_PART = 2**64 - 1
