"""The events stream and the dead letters: written by the owner under ids that were committed first, so that nothing
stands there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.events.pending import release_gone
from celery_recommender.broker.events.retention import event_groups
from celery_recommender.broker.events.stream_bytes import StreamBytes, memory_of
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import Settings
from recommender_engine.errors import RecommenderError
from recommender_engine.items import START, CommandRejected, EntryId

if TYPE_CHECKING:
    from recommender_engine.store import OutboxRow

# Of a server's maxmemory, whatever the settings say: commands, results and whatever else is there need the rest.
_SHARE_OF_EVENTS, _SHARE_OF_LETTERS = 3, 8
_SPARE_BYTES = 1 << 20


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
        event_bytes: about how many bytes the events stream takes on the server …
        letter_bytes: … and the dead letters.
    """

    events: int
    letters: int
    event_bytes: int = 1 << 30
    letter_bytes: int = 1 << 27

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """What the settings say."""
        return cls(
            settings.events_max_length,
            settings.dead_letters_max_length,
            settings.events_max_bytes,
            settings.dead_letters_max_bytes,
        )


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
        self._keys = keys
        self._key = keys.events
        self._letters_key = keys.dead_letters
        self._bounds = bounds
        self._event_bytes = StreamBytes(redis, keys.events, lease)
        self._letter_bytes = StreamBytes(redis, keys.dead_letters, lease)

    def publish(self, rows: Sequence[OutboxRow], after: EntryId) -> None:
        """Append events under their own ids; one that is already there is not written again.

        Args:
            rows: the events.
            after: the event before them. Nothing is written into a stream that ends earlier: what is missing there
                could not be put before it any more.

        Raises:
            EventsSetBack: the stream ends before ``after``; nothing was published.
            EventsConflict: another entry has the id, or a higher one.
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
                pipe.xadd(self._letters_key, _letter(row), id=str(row.id))  # type: ignore[arg-type]
            pipe.xtrim(self._key, maxlen=self._bounds.events, approximate=True)
            if letters:
                pipe.xtrim(self._letters_key, maxlen=self._bounds.letters, approximate=True)

        results = self._lease.execute(fill, watch=(self._key,), check=check, raise_on_error=False)
        self._check_results(rows, letters, results)
        self._event_bytes.added(*(len(row.event) for row in rows))
        self._letter_bytes.added(*(len(row.event) + len(row.payload or b"") for row in letters))

    def keep_bounds(self) -> None:
        """Drop the oldest entries of either stream where they take more bytes than they may, and notes on such."""
        _, most = memory_of(self._redis)
        shares = (most // share if most else 1 << 62 for share in (_SHARE_OF_EVENTS, _SHARE_OF_LETTERS))
        for stream, bound, share in zip(
            (self._event_bytes, self._letter_bytes),
            (self._bounds.event_bytes, self._bounds.letter_bytes),
            shares,
            strict=True,
        ):
            stream.shrink(min(bound, share))
        release_gone(self._redis, self._key)

    def make_room(self, bytes_: int) -> int:
        """Drop the oldest events from a server that they have filled; first those that every group has acknowledged.

        Args:
            bytes_: for which there has to be room.

        Returns:
            How many were dropped, or released (`release_gone`); 0 where it is others that fill the server.
        """
        released = release_gone(self._redis, self._key, all_=True)
        used, most = memory_of(self._redis)
        missing = used - most + bytes_ + _SPARE_BYTES
        ours = self._event_bytes.measured()
        if not most or missing <= 0 or missing > ours:
            return released
        surplus = max(missing, ours // 10)
        before = self.length()
        if groups := event_groups(self._redis, self._keys):
            self.drop_before(min(group.needs_from for group in groups), all_=True)
            surplus -= ours - self._event_bytes.measured()
        if surplus > 0:
            self._event_bytes.drop(surplus)
        return before - self.length() + release_gone(self._redis, self._key, all_=True) + released

    def last_id(self) -> EntryId:
        """Id of the newest entry it ever had, ``0-0`` for a stream that does not exist."""
        return _last_id(self._redis, self._key)

    def length(self) -> int:
        """Entries in the stream."""
        return int(self._redis.xlen(self._key))

    def drop_before(self, first: EntryId, *, all_: bool = False) -> None:
        """Drop entries with lower ids, by and large: whole nodes of the stream, which is cheap.

        Args:
            first: the first that stays.
            all_: however many they are; else some thousands at a time.
        """

        def fill(pipe: Pipeline) -> None:
            pipe.xtrim(self._key, minid=str(first), approximate=True, limit=0 if all_ else None)

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
            # One that was written before is there, or was dropped since.
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


def _letter(row: OutboxRow) -> dict[str, str | bytes]:
    return {"event": row.event} if row.payload is None else {"event": row.event, "payload": row.payload}


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
