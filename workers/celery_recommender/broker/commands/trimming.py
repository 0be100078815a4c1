"""How far the commands stream has been trimmed, and by which state: noted in Redis with every trim.

What was trimmed cannot be read again. A state that is older than that must not go on as if nothing were missing.

Others can drop entries as well: ``XADD`` takes ``MAXLEN`` and ``MINID``, and Redis has no right to append without them.
The server counts what was ever added to a stream, so it is known how many are gone; how many its owner has dropped, it
knows itself. The difference is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError, WatchError

from celery_recommender.broker.commands.continuity import Continuity, continuity, facts
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.keys import GROUP, PartitionKeys
from celery_recommender.broker.redis.ranges import entries_behind
from recommender_engine.errors import StateError
from recommender_engine.items import START, EntryId

_COUNT_AT_ONCE = 1000
_TRIES = 5


class OlderThanTrimmed(StateError):
    """Commands that this state has not decided are gone from the stream."""


class _Changed(Exception):
    """Another stream is under the key."""


class TakenAway(NamedTuple):
    """Entries that another program has dropped: the oldest of the stream.

    Attributes:
        commands: how many.
        decided: how many of them had been decided, and were kept until the next trim or backup.
    """

    commands: int
    decided: int


class _Count(NamedTuple):
    """What is in the stream, and what is not.

    Attributes:
        number: how many entries were ever added up to the committed position; ``None`` where the server does not count.
        held: how many of them are there.
        taken: what another program has dropped since the last look.
    """

    number: int | None
    held: int
    taken: TakenAway


class Trimming:
    """Trims the stream, and notes how far.

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
        self._number: int | None = None
        self._taken = _NOTHING
        self.held = 0

    def begin(self, state: str, position: EntryId) -> bool:
        """Make sure that nothing is missing behind ``position``, and count what is kept up to it.

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
            self._number = 0 if not noted and position == START else None  # nothing has been dropped yet
            return False
        trimmed = EntryId.parse(noted[b"position"].decode())
        if trimmed > position:
            raise OlderThanTrimmed(
                f"this state knows the commands up to {position}, and they have been trimmed up to {trimmed}: it is an"
                " older copy, or has lost its newest transactions. Put the newest backup in its place with"
                " `recommender restore`"
            )
        self._up_to = trimmed
        self.held, self._number = self._still_held(noted, position)
        return True

    def trim(self, state: str, position: EntryId, read: EntryId, keep_from: EntryId | None) -> bool:
        """Drop entries whose effects are durable, and move the consumer group along.

        Args:
            state: identity of the state.
            position: up to which effects are committed.
            read: of the last entry that has been read.
            keep_from: up to which they are in a backup as well; ``None``: no backups are made.

        Returns:
            False if this is not the stream that was read any more: nothing was dropped then.

        Raises:
            LeaseLost: another process owns the partition; nothing was dropped.
        """
        up_to = max(self._up_to, position if keep_from is None else min(position, keep_from))

        count = _Count(self._number, self.held, _NOTHING)

        def fill(pipe: Pipeline) -> None:
            # How many are dropped is known only afterwards; then what is left is not noted, and is counted again.
            held = "0" if up_to == position else str(count.held) if up_to == self._up_to else ""
            pipe.hset(self._keys.trimmed, mapping=_note(state, up_to, held, position, count.number))
            pipe.xtrim(self._keys.commands, minid=str(up_to.successor), approximate=False)
            pipe.xgroup_setid(self._keys.commands, GROUP, str(position))

        def check(redis: Redis) -> None:
            nonlocal count
            found = facts(redis, self._keys.commands)
            if continuity(found.group, found.last, read) is not Continuity.WHOLE:
                raise _Changed
            count = self._counted(found.removed, position)

        try:
            noted, trimmed, _ = self._execute(fill, check)  # the group may be gone; it is made again
        except _Changed:
            return False
        for result in (noted, trimmed):
            if isinstance(result, Exception) and not isinstance(result, OutOfMemoryError):
                raise result
        self._number, self._taken = count.number, _sum(self._taken, count.taken)
        if isinstance(trimmed, OutOfMemoryError):
            self.held = count.held
            return True
        self.held = 0 if up_to == position else max(0, count.held - int(trimmed))
        if not isinstance(noted, OutOfMemoryError):  # else there is room now: the next trim notes it
            self._up_to = up_to
        return True

    def taken_away(self) -> TakenAway:
        """What another program has dropped since the last call."""
        taken, self._taken = self._taken, _NOTHING
        return taken

    def broken(self, state: str, position: EntryId) -> None:
        """The server has lost some of what was kept up to ``position``: no older state can catch up any more.

        Args:
            state: identity of the state.
            position: up to which effects are committed.

        Raises:
            LeaseLost: another process owns the partition.
        """
        self._up_to, self._number = max(self._up_to, position), None

        def fill(pipe: Pipeline) -> None:
            pipe.hset(self._keys.trimmed, mapping=_note(state, self._up_to, "", position, None))

        (noted,) = self._lease.execute_in_need(fill)
        if isinstance(noted, Exception) and not isinstance(noted, OutOfMemoryError):  # else the next trim notes it
            raise noted
        self.held = self._count(START, position)

    def committed(self, entries: int) -> None:
        """So many more entries are durable and still in the stream."""
        self.held += entries
        if self._number is not None:
            self._number += entries

    def _counted(self, removed: int | None, position: EntryId) -> _Count:
        """Compare what is gone with what was dropped here."""
        if removed is None:
            return _Count(None, self.held, _NOTHING)
        surplus = 0 if self._number is None else removed - (self._number - self.held)
        if surplus <= 0:  # nothing has been counted yet, or the server has come back with older data
            return _Count(removed + self.held, self.held, _NOTHING)
        held = self._count(START, position)
        return _Count(removed + held, held, TakenAway(surplus, max(0, self.held - held)))

    def _execute(self, fill: Callable[[Pipeline], None], check: Callable[[Redis], None]) -> list[Any]:
        try:
            return self._lease.execute_in_need(fill, watch=(self._keys.commands,), check=check, tries=_TRIES)
        except WatchError:  # producers append all the time: trim without watching the stream
            return self._lease.execute_in_need(fill, check=check)

    def _still_held(self, noted: dict[bytes, bytes], position: EntryId) -> tuple[int, int | None]:
        """How many are held, and the number of the last, from what was noted last, corrected by what has been committed
        since, or is to be decided again."""
        if b"counted" not in noted:
            return self._count(START, position), None
        number, counted = noted.get(b"number"), EntryId.parse(noted[b"counted"].decode())
        since = self._count(counted, position) if counted <= position else -self._count(position, counted)
        held = max(0, int(noted[b"held"]) + since) if noted.get(b"held") else self._count(START, position)
        return held, int(number) + since if number else None

    def _count(self, after: EntryId, last: EntryId) -> int:
        """Entries of the commands stream behind ``after`` up to ``last``."""
        count = 0
        while True:
            entries = entries_behind(self._redis, self._keys.commands, after, last, _COUNT_AT_ONCE)
            count += len(entries)
            if len(entries) < _COUNT_AT_ONCE:
                return count
            after = entries[-1][0]


_NOTHING = TakenAway(0, 0)


def _note(state: str, up_to: EntryId, held: str, counted: EntryId, number: int | None) -> Mapping[Any, Any]:
    note = {"state": state, "position": str(up_to), "held": held, "counted": str(counted)}
    return {**note, "number": "" if number is None else str(number)}


def _sum(one: TakenAway, other: TakenAway) -> TakenAway:
    return TakenAway(one.commands + other.commands, one.decided + other.decided)
