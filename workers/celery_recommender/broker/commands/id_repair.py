"""Rewrites a commands stream whose ids are not trusted.

An id cannot be taken back: the server gives no lower one than the highest that a stream ever had. So a new stream is
written under another key and renamed in one transaction, under the lease. Entries with trusted ids keep them. Those
behind them get the next ids, in their order, and are decided like any other: once, since at each moment they are in one
stream only, also after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from celery_recommender.broker.commands.continuity import facts
from celery_recommender.broker.commands.read_size import ReadSize
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.keys import GROUP, PartitionKeys
from celery_recommender.broker.redis.ranges import Fields, entries_behind
from celery_recommender.broker.redis.received import size_of
from recommender_engine.items import START, EntryId

_MOST_AT_ONCE = 1000
_TRIES = 20  # while producers append
_LOWERED_FROM, _LOWERED_TO = "lowered_from", "lowered_to"


class RepairedIds(NamedTuple):
    """What was done.

    Attributes:
        moved: entries that have another id now.
        dropped: decided entries that were kept for a backup, under ids that are not trusted.
        first: the first id that was not trusted, if an entry had it.
    """

    moved: int
    dropped: int
    first: EntryId | None


class _Appended(Exception):
    """A producer has appended meanwhile."""


class _Done(Exception):
    """The new stream has been renamed already."""


class Renumbering:
    """Which entries keep their ids, which get new ones, and which are dropped.

    Args:
        last: the highest id that is trusted.
        position: up to which everything is decided: what is behind ``last`` as well is dropped.
        behind: the highest position that has been read; new ids come behind it.
        now_ms: the server's time, which new ids have.

    Attributes:
        top: the highest id of the new stream so far.
        moved, dropped, first: see `RepairedIds`.
    """

    def __init__(self, *, last: EntryId, position: EntryId, behind: EntryId, now_ms: int) -> None:
        self._last = last
        self._position = position
        self._now_ms = now_ms
        self.top = behind
        self.moved = self.dropped = 0
        self.first: EntryId | None = None

    @property
    def start(self) -> EntryId:
        """Up to here all entries are decided, and their ids trusted."""
        return min(self._position, self._last)

    def new_id(self, id_: EntryId) -> EntryId | None:
        """The id of the next entry; ``None``: it is dropped, as it has been decided."""
        if id_ <= self._last:
            self.top = max(self.top, id_)
            return id_
        self.first = self.first or id_
        if id_ <= self._position:
            self.dropped += 1
            return None
        self.moved += 1
        self.top = self.top.next_at(self._now_ms)
        return self.top


class IdRepair:
    """Writes the new stream; to be used once.

    Args:
        redis: the server.
        keys: of the partition.
        lease: without which nothing is written.
        ids: gives the entries their ids.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, lease: Lease, ids: Renumbering) -> None:
        self._redis = redis
        self._keys = keys
        self._lease = lease
        self._ids = ids
        self._read = START  # of the old one
        self._size = ReadSize(_MOST_AT_ONCE)

    def carry_out(self, note: dict[str, str]) -> RepairedIds:
        """Do it.

        Args:
            note: what to note of the trimmed stream at the same instant.

        Raises:
            LeaseLost: another process owns the partition; the stream is as it was.
            WatchError: so much is appended that it was not possible; the stream is as it was.
        """
        self._begin()
        for _ in range(_TRIES):
            self._copy()
            try:
                self._swap(note)
            except (_Appended, WatchError):
                continue
            except _Done:
                pass
            return RepairedIds(self._ids.moved, self._ids.dropped, self._ids.first)
        raise WatchError("the commands stream kept changing")

    def _begin(self) -> None:
        start = str(self._ids.start)

        def fill(pipe: Pipeline) -> None:
            pipe.delete(self._keys.rewritten)
            pipe.xgroup_create(self._keys.rewritten, GROUP, id=start, mkstream=True)

        self._lease.execute(fill)

    def _copy(self) -> None:
        """Write what has not been written yet."""
        while entries := entries_behind(self._redis, self._keys.commands, self._read, count=self._size.count):
            self._size.saw([size_of(fields) for _, fields in entries])
            self._write(entries)
            self._read = entries[-1][0]

    def _write(self, entries: Sequence[tuple[EntryId, Fields]]) -> None:
        moved = [(new, fields) for id_, fields in entries if (new := self._ids.new_id(id_)) is not None]

        def fill(pipe: Pipeline) -> None:
            for new, fields in moved:
                pipe.xadd(self._keys.rewritten, dict(fields), id=str(new))  # type: ignore[arg-type]

        if moved:
            for result in self._lease.execute(fill, raise_on_error=False):
                if isinstance(result, Exception) and "equal or smaller" not in str(result):  # written before
                    raise result

    def _swap(self, note: dict[str, str]) -> None:
        commands, rewritten = self._keys.commands, self._keys.rewritten
        added: list[Any] = []  # how many were ever added, so that it is known how many are gone

        def check(redis: Redis) -> None:
            if not redis.exists(rewritten):
                raise _Done
            if entries_behind(redis, commands, self._read, count=1):
                raise _Appended
            removed = facts(redis, commands).removed
            length = redis.xlen(rewritten)
            added[:] = [] if removed is None else ["ENTRIESADDED", int(length) + removed + self._ids.dropped]

        def fill(pipe: Pipeline) -> None:
            pipe.execute_command("XSETID", rewritten, str(self._ids.top), *added)  # type: ignore[no-untyped-call]
            pipe.rename(rewritten, commands)
            if note:
                pipe.hset(self._keys.trimmed, mapping=note)  # type: ignore[arg-type]

        self._lease.execute(fill, watch=(commands,), check=check)


def last_given(redis: Redis, key: str) -> EntryId | None:
    """The highest id that a stream ever had; ``None`` where there is no stream."""
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    return EntryId.parse(info["last-generated-id"].decode())


def lowering(state: str, position: EntryId, to: EntryId) -> dict[str, str]:
    """The note that the position of a state is another now, with the other facts of the trimmed stream.

    Args:
        state: its identity.
        position: as the state has it.
        to: what it is to be.
    """
    return {
        "state": state,
        "position": str(to),
        "held": "",
        "counted": str(to),
        "number": "",
        _LOWERED_FROM: str(position),
        _LOWERED_TO: str(to),
    }


def lowered(redis: Redis, keys: PartitionKeys, state: str) -> tuple[EntryId, EntryId] | None:
    """From where to where the position of a state is to be lowered, as far as that was noted."""
    noted: dict[bytes, bytes] = redis.hgetall(keys.trimmed)  # type: ignore[assignment]
    if noted.get(b"state") != state.encode() or _LOWERED_FROM.encode() not in noted:
        return None
    return EntryId.parse(noted[_LOWERED_FROM.encode()].decode()), EntryId.parse(noted[_LOWERED_TO.encode()].decode())
