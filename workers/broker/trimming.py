"""How far the commands stream has been trimmed, and by which state: noted in Redis with every trim.

What was trimmed cannot be read again. A state that is older than that must not go on as if nothing were missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError, WatchError

from recommender.errors import StateError
from recommender.items import START, EntryId
from workers.broker.continuity import Continuity, continuity, group_and_last_id
from workers.broker.keys import GROUP, PartitionKeys
from workers.broker.lease import Lease
from workers.broker.ranges import entries_behind

_COUNT_AT_ONCE = 1000
_TRIES = 5


class OlderThanTrimmed(StateError):
    """Commands that this state has not seen are gone from the stream."""


class _Changed(Exception):
    """Another stream stands under the key."""


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
        if noted.get(b"state") != state.encode():
            self.held = self._count(START, position)
            return False
        trimmed = EntryId.parse(noted[b"position"].decode())
        if trimmed > position:
            raise OlderThanTrimmed(
                f"this state knows the commands up to {position}, and they have been trimmed up to {trimmed}: it is an"
                " older copy, or has lost its newest transactions. Put the newest backup in its place with"
                " `recommender restore`"
            )
        self._up_to = trimmed
        self.held = self._still_held(noted, position)
        return True

    def trim(self, state: str, position: EntryId, read: EntryId, keep_from: EntryId | None) -> bool:
        """Drop entries whose effects are durable, and move the consumer group along.

        Args:
            state: identity of the state.
            position: up to which effects are committed.
            read: of the last entry that has been read.
            keep_from: up to which they are in a backup as well; ``None``: there is none that anybody waits for.

        Returns:
            False if this is not the stream that was read any more: nothing was dropped then.

        Raises:
            LeaseLost: another process owns the partition; nothing was dropped.
        """
        up_to = max(self._up_to, position if keep_from is None else min(position, keep_from))

        # How many are dropped is known only afterwards; then nobody has noted what is left, and it is counted anew.
        held = "0" if up_to == position else str(self.held) if up_to == self._up_to else ""
        note: Any = {"state": state, "position": str(up_to), "held": held, "counted": str(position)}

        def fill(pipe: Pipeline) -> None:
            pipe.hset(self._keys.trimmed, mapping=note)
            pipe.xtrim(self._keys.commands, minid=str(up_to.successor), approximate=False)
            pipe.xgroup_setid(self._keys.commands, GROUP, str(position))

        def check(redis: Redis) -> None:
            if continuity(*group_and_last_id(redis, self._keys.commands), read) is not Continuity.WHOLE:
                raise _Changed

        try:
            noted, trimmed, _ = self._execute(fill, check)  # the group may be gone; it is made again
        except _Changed:
            return False
        for result in (noted, trimmed):
            if isinstance(result, Exception) and not isinstance(result, OutOfMemoryError):
                raise result
        if isinstance(noted, OutOfMemoryError):
            return True  # there is room now: the next trim notes it
        self._up_to = up_to
        self.held = 0 if up_to == position else max(0, self.held - int(trimmed))
        return True

    def broken(self, state: str, position: EntryId) -> None:
        """The server has lost some of what was kept up to ``position``: no older state can catch up any more.

        Args:
            state: identity of the state.
            position: up to which effects are committed.

        Raises:
            LeaseLost: another process owns the partition.
        """
        self._up_to = max(self._up_to, position)
        note: Any = {"state": state, "position": str(self._up_to), "held": "", "counted": str(position)}

        def fill(pipe: Pipeline) -> None:
            pipe.hset(self._keys.trimmed, mapping=note)

        (noted,) = self._lease.execute_in_need(fill)
        if isinstance(noted, Exception) and not isinstance(noted, OutOfMemoryError):  # else the next trim notes it
            raise noted
        self.held = self._count(START, position)

    def committed(self, entries: int) -> None:
        """So many more entries are durable and still in the stream."""
        self.held += entries

    def _execute(self, fill: Callable[[Pipeline], None], check: Callable[[Redis], None]) -> list[Any]:
        try:
            return self._lease.execute_in_need(fill, watch=(self._keys.commands,), check=check, tries=_TRIES)
        except WatchError:  # so many append that there is no moment without; to be trimmed it must, all the more
            return self._lease.execute_in_need(fill, check=check)

    def _still_held(self, noted: dict[bytes, bytes], position: EntryId) -> int:
        """From what was noted last, corrected by what has been committed since, or is to be decided again."""
        if not noted.get(b"held"):
            return self._count(START, position)
        held, counted = int(noted[b"held"]), EntryId.parse(noted[b"counted"].decode())
        if counted <= position:
            return held + self._count(counted, position)
        return max(0, held - self._count(position, counted))

    def _count(self, after: EntryId, last: EntryId) -> int:
        """Entries of the commands stream behind ``after`` up to ``last``."""
        count = 0
        while True:
            entries = entries_behind(self._redis, self._keys.commands, after, last, _COUNT_AT_ONCE)
            count += len(entries)
            if len(entries) < _COUNT_AT_ONCE:
                return count
            after = entries[-1][0]
