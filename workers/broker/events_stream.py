"""The events stream and the dead letters: written by the owner under ids that were committed first, so that nothing
stands there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from recommender.errors import RecommenderError
from recommender.items import START, CommandRejected, EntryId
from recommender.store import OutboxRow
from workers.broker.keys import PartitionKeys
from workers.broker.lease import Lease
from workers.settings import Settings


class EventsConflict(RecommenderError):
    """The events stream holds something that this owner did not put there.

    Somebody else writes to it, or the state directory is older than the stream.
    """


class EventsSetBack(Exception):
    """The events stream ends before what was published last: it was lost, or its server came back with older data."""


class Bounds(NamedTuple):
    """How much is kept.

    Attributes:
        events: about how many entries of the events stream …
        letters: … and how many dead letters.
    """

    events: int
    letters: int

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """What the settings say."""
        return cls(settings.events_max_length, settings.dead_letters_max_length)


class EventsStream:
    """Publishes, removes, trims. A rejection is a dead letter as well, under the same id.

    Args:
        redis: the server.
        keys: of the partition.
        bounds: how much is kept.
        lease: without which nothing is written.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, bounds: Bounds, lease: Lease) -> None:
        self._redis = redis
        self._lease = lease
        self._key = keys.events
        self._letters_key = keys.dead_letters
        self._bounds = bounds

    def publish(self, rows: Sequence[OutboxRow], after: EntryId) -> None:
        """Append events under their own ids; one that stands there already is not written again.

        Args:
            rows: the events.
            after: the event before them. Nothing is written into a stream that ends earlier: what is missing there
                could not be put before it any more.

        Raises:
            EventsSetBack: the stream ends before ``after``; nothing was published.
            EventsConflict: another entry stands under the id, or behind it.
            LeaseLost: another process owns the partition; nothing was published.
        """
        letters = [row for row in rows if row.type == CommandRejected.type]

        def check(redis: Redis) -> None:
            if (last := _last_id(redis, self._key)) < after:
                raise EventsSetBack(f"the events stream ends at {last} and not at {after}")

        def fill(pipe: Pipeline) -> None:
            for row in rows:
                pipe.xadd(self._key, {"type": row.type, "event": row.event}, id=str(row.id))
            for row in letters:
                pipe.xadd(self._letters_key, {"event": row.event}, id=str(row.id))
            pipe.xtrim(self._key, maxlen=self._bounds.events, approximate=True)
            if letters:
                pipe.xtrim(self._letters_key, maxlen=self._bounds.letters, approximate=True)

        results = self._lease.execute(fill, watch=(self._key,), check=check, raise_on_error=False)
        self._check_results(rows, letters, results)

    def last_id(self) -> EntryId:
        """Id of the newest entry it ever had, ``0-0`` for a stream that does not exist."""
        return _last_id(self._redis, self._key)

    def length(self) -> int:
        """Entries in the stream."""
        return int(self._redis.xlen(self._key))

    def drop_before(self, first: EntryId) -> None:
        """Drop entries with lower ids, by and large: whole nodes of the stream, which is cheap."""

        def fill(pipe: Pipeline) -> None:
            pipe.xtrim(self._key, minid=str(first), approximate=True)

        (dropped,) = self._lease.execute_in_need(fill)
        if isinstance(dropped, Exception):
            raise dropped

    def remove(self, ids: Sequence[EntryId]) -> None:
        """Delete entries and the dead letters among them (erasure)."""
        if ids:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.xdel(self._key, *map(str, ids))
                pipe.xdel(self._letters_key, *map(str, ids))
                pipe.execute()

    def _check_results(self, rows: Sequence[OutboxRow], letters: Sequence[OutboxRow], results: Sequence[Any]) -> None:
        for row, result in zip(rows, results, strict=False):
            if isinstance(result, Exception):
                self._check_published(row, result)
        for result in results[len(rows) : len(rows) + len(letters)]:
            # One that was written before is there, or somebody has dropped it since.
            if isinstance(result, Exception) and not _is_not_new(result):
                raise result

    def _check_published(self, row: OutboxRow, error: Exception) -> None:
        if not _is_not_new(error):
            raise error
        found: Any = self._redis.xrange(self._key, min=str(row.id), max=str(row.id))
        if not found:
            raise EventsConflict(f"the events stream is ahead of {row.id}, which was never published") from error
        if found[0][1].get(b"event") != row.event.encode():
            raise EventsConflict(f"the events stream holds another event under {row.id}") from error


def _is_not_new(error: Exception) -> bool:
    """Whether the server has refused an id because it is not behind the last one."""
    return isinstance(error, ResponseError) and "equal or smaller" in str(error)


def _last_id(redis: Redis, key: str) -> EntryId:
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return START
        raise
    return EntryId.parse(info["last-generated-id"].decode())
