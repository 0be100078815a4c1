"""The commands stream: appended to by producers, read in bulk by position, trimmed when its effects are durable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from recommender.errors import InvalidCommand
from recommender.items import START, Entry, EntryId, decode_entry, malformed
from recommender.items.limits import MAX_MESSAGE_BYTES
from workers.broker.connections import BLOCK_MS
from workers.broker.keys import GROUP, PartitionKeys
from workers.broker.lease import Lease

Fields = Mapping[bytes, bytes]


class Continuity(Enum):
    """Whether a commands stream is the one that has been read so far."""

    WHOLE = "whole"
    WITHOUT_GROUP = "without_group"
    """The group is gone: deleted, or the stream has been lost and its new ids are past the old ones already."""
    SET_BACK = "set_back"
    """It ends earlier than it did: its server came back with older data."""
    ANEW = "anew"
    """It was lost; what is in it now came since."""


class CommandsLog:
    """Reads and appends; holds no state but the connection.

    Args:
        redis: the server.
        keys: of the partition.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys) -> None:
        self._redis = redis
        self._keys = keys

    def append(
        self, commands: Iterable[Mapping[str, str | int]], requests: Mapping[str, str] | None = None
    ) -> list[EntryId]:
        """Append commands in one round trip; all of them or, if the server dies between, none.

        Args:
            commands: stream fields: ``type``, ``data``, and optionally ``key``, ``reply_to``, ``expires_ms``.
            requests: Celery requests by task id, to be found again when the outcome is there.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            for task_id, request in (requests or {}).items():
                pipe.hset(self._keys.replies, task_id, request)
            for command in commands:
                pipe.xadd(self._keys.commands, dict(command))  # type: ignore[arg-type]
            results = pipe.execute()
        return [EntryId.parse(id_.decode()) for id_ in results[len(requests or {}) :]]

    def read(self, after: EntryId, count: int) -> list[tuple[EntryId, Fields]]:
        """Entries behind ``after``, at most ``count``; waits up to a second for the first."""
        reply: Any = self._redis.xread({self._keys.commands: str(after)}, count=count, block=BLOCK_MS)
        return [(EntryId.parse(id_.decode()), fields) for _, entries in reply or [] for id_, fields in entries]

    def known_requests(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks whose Celery requests are kept."""
        with self._redis.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hexists(self._keys.replies, task_id)
            return {task_id for task_id, known in zip(task_ids, pipe.execute(), strict=True) if known}

    def length(self) -> int:
        """Entries in the stream."""
        return int(self._redis.xlen(self._keys.commands))

    def oldest_waiting_ms(self, after: EntryId) -> int | None:
        """Milliseconds part of the first entry behind ``after``, or ``None``."""
        reply: Any = self._redis.xrange(self._keys.commands, min=f"({after}", count=1)
        return EntryId.parse(reply[0][0].decode()).ms if reply else None

    def trim(self, position: EntryId, read: EntryId, lease: Lease) -> bool:
        """Drop entries up to ``position``, whose effects are durable, and move the group along.

        Args:
            position: of the last command whose effects are durable.
            read: of the last command that has been read.
            lease: without which nothing is dropped.

        Returns:
            False if this is not the stream that was read any more: nothing was dropped then.

        Raises:
            LeaseLost: another process owns the partition; nothing was dropped.
        """

        def fill(pipe: Pipeline) -> None:
            pipe.xtrim(self._keys.commands, minid=str(_successor(position)), approximate=False)
            pipe.xgroup_setid(self._keys.commands, GROUP, str(position))

        def check(pipe: Pipeline) -> None:
            if _continuity(*_group_and_last_id(pipe, self._keys.commands), read) is not Continuity.WHOLE:
                raise _Changed

        try:
            lease.execute(fill, watch=(self._keys.commands,), check=check, tries=_TRIM_TRIES)
        except _Changed:
            return False
        except WatchError:  # so many append that there is no moment without; to be trimmed it must, all the more
            lease.execute(fill, check=check)
        return True

    def keep_above(self, position: EntryId) -> Continuity:
        """See to it that stream and group are there, and that new entries come behind ``position``.

        Args:
            position: of the last entry that has been read.

        Returns:
            What has become of the stream since.
        """
        group, last = _group_and_last_id(self._redis, self._keys.commands)
        if last is None or not group:
            self._redis.xgroup_create(self._keys.commands, GROUP, id=str(position), mkstream=True)
        if last is None or last < position:
            self._redis.execute_command("XSETID", self._keys.commands, str(position))  # type: ignore[no-untyped-call]
        return _continuity(group, last, position)

    def between(self, after: EntryId, up_to: EntryId) -> Iterator[list[tuple[EntryId, Fields]]]:
        """Entries behind ``after`` and not behind ``up_to``, a block at a time."""
        while after < up_to:
            reply: Any = self._redis.xrange(self._keys.commands, f"({after}", str(up_to), count=_BLOCK)
            if not reply:
                return
            yield [(EntryId.parse(id_.decode()), fields) for id_, fields in reply]
            after = EntryId.parse(reply[-1][0].decode())

    def move_to_end(self, entries: Sequence[tuple[EntryId, Fields]], lease: Lease) -> None:
        """Give entries new places behind all others, in their order.

        Each keeps or gets a key, so that being moved twice has one effect.

        Raises:
            LeaseLost: another process owns the partition; nothing was moved.
        """

        def fill(pipe: Pipeline) -> None:
            for id_, fields in entries:
                pipe.xadd(self._keys.commands, {b"key": f"moved {id_}", **fields})  # type: ignore[dict-item]
            pipe.xdel(self._keys.commands, *(str(id_) for id_, _ in entries))

        lease.execute(fill)


class _Changed(Exception):
    """Another stream stands under the key."""


def _group_and_last_id(redis: Redis, key: str) -> tuple[bool, EntryId | None]:
    """Whether there is a group, and the highest id ever; ``None`` where there is no stream."""
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return False, None
    return bool(info["groups"]), EntryId.parse(info["last-generated-id"].decode())


def _continuity(group: bool, last: EntryId | None, read: EntryId) -> Continuity:
    if read == START or (group and last is not None and last >= read):
        return Continuity.WHOLE
    if last is not None and last >= read:
        return Continuity.WITHOUT_GROUP
    return Continuity.SET_BACK if group else Continuity.ANEW


def _successor(position: EntryId) -> EntryId:
    return position.next_at(position.ms) if position.n < _MAX_PART else EntryId(min(position.ms + 1, _MAX_PART), 0)


def decode(entry_id: EntryId, fields: Fields, now_ms: int) -> Entry:
    """One stream entry as the engine takes it; whatever is wrong with it is inside, never raised.

    Args:
        entry_id: its position.
        fields: as the producer gave them.
        now_ms: wall clock, for commands that are too late.
    """
    reply_to = fields.get(b"reply_to", b"").decode(errors="replace") or None
    type_ = fields.get(b"type", b"item.upsert")
    entry = decode_entry(entry_id, type_, fields.get(b"data", b""), fields.get(b"key"), reply_to)
    if entry_id.ms > now_ms + _CLOCK_TOLERANCE_MS:
        entry = replace(entry, at_ms=now_ms)
    refusal = _refusal(fields, now_ms)
    if refusal is None:
        return entry
    # The key stays with it, so that a write that was retried is rejected once.
    raw = fields.get(b"data", _shown(fields))
    return replace(entry, command=malformed(refusal, raw, type_[:64].decode(errors="replace")))


def size_of(fields: Fields) -> int:
    """Bytes of an entry."""
    return sum(len(name) + len(value) for name, value in fields.items())


_MAX_PART = 2**64 - 1
_BLOCK = 100
_TRIM_TRIES = 5
_MAX_REPLY_TO_BYTES = 512
# A producer may give ids of its own. One that lies further ahead than clocks differ does not move stream time, by which
# keys expire and summaries fall due.
_CLOCK_TOLERANCE_MS = 60_000
_KNOWN = frozenset({b"type", b"data", b"key", b"reply_to", b"expires_ms"})


def _refusal(fields: Fields, now_ms: int) -> InvalidCommand | None:
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        name = unknown[0][:64].decode(errors="backslashreplace")
        return InvalidCommand("unknown_field", f"an entry has no field {name!r}; there are type, data and key", name)
    if size_of(fields) > MAX_MESSAGE_BYTES + 1024:
        return InvalidCommand("too_large", f"{size_of(fields)} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    expires = fields.get(b"expires_ms")
    if expires is not None and (not expires.isdigit() or len(expires) > 15):
        return InvalidCommand("invalid_value", "expires_ms must be milliseconds since 1970", "expires_ms")
    if expires is not None and int(expires) < now_ms:
        return InvalidCommand("expired", "nobody came for the command before it expired")
    if len(fields.get(b"reply_to", b"")) > _MAX_REPLY_TO_BYTES:
        return InvalidCommand("too_large", f"reply_to is longer than {_MAX_REPLY_TO_BYTES} bytes", "reply_to")
    if b"data" not in fields:
        return InvalidCommand("missing_field", "the entry has no field data", "data")
    return None


def _shown(fields: Fields) -> bytes:
    return b" ".join(name + b"=" + value for name, value in fields.items())[:MAX_MESSAGE_BYTES]
