"""The events stream: written by the owner under ids that were committed first, so that nothing stands there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from recommender.errors import RecommenderError
from recommender.items import START, EntryId
from recommender.store import OutboxRow
from workers.broker.keys import PartitionKeys
from workers.broker.lease import Lease


class EventsConflict(RecommenderError):
    """The events stream holds something that this owner did not put there.

    Somebody else writes to it, or the state directory is older than the stream.
    """


class EventsSetBack(Exception):
    """The events stream ends before what was published last: it was lost, or its server came back with older data."""


class EventsStream:
    """Publishes, removes, trims.

    Args:
        redis: the server.
        keys: of the partition.
        max_length: about how many entries are kept.
        lease: without which nothing is written.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, max_length: int, lease: Lease) -> None:
        self._redis = redis
        self._lease = lease
        self._key = keys.events
        self._max_length = max_length

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

        def check(pipe: Pipeline) -> None:
            if (last := _last_id(pipe, self._key)) < after:
                raise EventsSetBack(f"the events stream ends at {last} and not at {after}")

        def fill(pipe: Pipeline) -> None:
            for row in rows:
                pipe.xadd(self._key, {"type": row.type, "event": row.event}, id=str(row.id))
            pipe.xtrim(self._key, maxlen=self._max_length, approximate=True)

        results = self._lease.execute(fill, watch=(self._key,), check=check, raise_on_error=False)
        for row, result in zip(rows, results, strict=False):
            if isinstance(result, Exception):
                self._check_published(row, result)

    def last_id(self) -> EntryId:
        """Id of the newest entry it ever had, ``0-0`` for a stream that does not exist."""
        return _last_id(self._redis, self._key)

    def remove(self, ids: Sequence[EntryId]) -> None:
        """Delete entries (erasure)."""
        if ids:
            self._redis.xdel(self._key, *map(str, ids))

    def _check_published(self, row: OutboxRow, error: Exception) -> None:
        if not (isinstance(error, ResponseError) and "equal or smaller" in str(error)):
            raise error
        found: Any = self._redis.xrange(self._key, min=str(row.id), max=str(row.id))
        if not found:
            raise EventsConflict(f"the events stream is ahead of {row.id}, which was never published") from error
        if found[0][1].get(b"event") != row.event.encode():
            raise EventsConflict(f"the events stream holds another event under {row.id}") from error


def _last_id(redis: Redis, key: str) -> EntryId:
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return START
        raise
    return EntryId.parse(info["last-generated-id"].decode())
