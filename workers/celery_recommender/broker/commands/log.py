"""The commands stream: appended to by producers, read in bulk by position."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError, ResponseError

from celery_recommender.broker.commands.admission import Admission
from celery_recommender.broker.commands.continuity import Continuity, continuity, group_and_last_id
from celery_recommender.broker.commands.trusted_ids import CLOCK_TOLERANCE_MS
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.coordination.proofs import PROOF, Proofs, is_privileged, nobody
from celery_recommender.broker.redis.connections import BLOCK_MS
from celery_recommender.broker.redis.keys import GROUP, PartitionKeys
from celery_recommender.broker.redis.ranges import Fields, entries_behind
from celery_recommender.broker.redis.received import size_of
from celery_recommender.tracing import valid_traceparent
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Entry, EntryId, RejectedCommand, decode_entry, rejected_command
from recommender_engine.items.commands import claimed_type
from recommender_engine.items.limits import MAX_KEY_BYTES, MAX_MESSAGE_BYTES

_FOLLOWING = (b'"callbacks"', b'"errbacks"', b'"chain"', b'"chord"')

MOST_REQUESTS = 1_000_000
"""Celery requests that are kept; as many as commands may wait."""


class CommandsLog:
    """Reads and appends; holds no state but the connection, how much waited when it last appended, and by what is
    proven who appended.

    Args:
        redis: the server.
        keys: of the partition.
        most_waiting: commands that may wait before an append is refused; 0: any number.

    Attributes:
        proofs: of commands that only owners and movers may give.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, most_waiting: int = 0) -> None:
        self._redis = redis
        self._keys = keys
        self._admission = Admission(redis, keys, most_waiting)
        self.proofs = Proofs(redis, keys)

    def append(
        self, commands: Iterable[Mapping[str, str | int]], requests: Mapping[str, str] | None = None
    ) -> list[EntryId]:
        """Append commands in one round trip; all of them or, if the server dies between, none.

        Those of owners and movers get their proof here.

        Args:
            commands: stream fields: ``type``, ``data``, and optionally ``key``, ``reply_to``, ``expires_ms``.
            requests: Celery requests by task id, to be found again when the outcome is there.

        Raises:
            Overloaded: too many wait already, or the server has no memory left; nothing was appended.
            InvalidCommand: a request is too large.
            NotPermitted: one is a command of owners and movers, and this process has no right to give it.
        """
        self._admission.require_room()
        for request in (requests or {}).values():
            if len(request) > MAX_MESSAGE_BYTES:
                raise InvalidCommand(
                    "too_large",
                    f"what Celery keeps of the task, its links and headers, takes {len(request)} bytes; at most"
                    f" {MAX_MESSAGE_BYTES} are accepted",
                )
        entries = [self.proofs.signed(command) for command in commands]
        with self._redis.pipeline(transaction=True) as pipe:
            for task_id, request in (requests or {}).items():
                pipe.hset(self._keys.replies, task_id, request)
            for entry in entries:
                pipe.xadd(self._keys.commands, entry)  # type: ignore[arg-type]
            pipe.xlen(self._keys.commands)
            try:
                *results, depth = pipe.execute()
            except OutOfMemoryError as error:
                raise self._admission.out_of_memory() from error
            except ResponseError as error:
                if _NO_IDS not in str(error):
                    raise
                raise self._admission.out_of_ids() from error
        self._admission.saw(depth)
        return [EntryId.parse(id_.decode()) for id_ in results[len(requests or {}) :]]

    def read(self, after: EntryId, count: int) -> list[tuple[EntryId, Fields]]:
        """Entries behind ``after``, at most ``count``; waits up to a second for the first."""
        reply: Any = self._redis.xread({self._keys.commands: str(after)}, count=count, block=BLOCK_MS)
        return [(EntryId.parse(id_.decode()), fields) for _, entries in reply or [] for id_, fields in entries]

    def between(self, after: EntryId, last: EntryId, count: int | None = None) -> list[tuple[EntryId, Fields]]:
        """Entries behind ``after`` up to ``last``, at most ``count``."""
        return entries_behind(self._redis, self._keys.commands, after, last, count)

    def known_requests(self, task_ids: Sequence[str]) -> dict[str, bool]:
        """Those of the tasks whose Celery requests are kept; whether other tasks follow, which needs the broker."""
        kept: Any = self._redis.hmget(self._keys.replies, list(task_ids))
        return {
            task_id: any(name in request for name in _FOLLOWING)
            for task_id, request in zip(task_ids, kept, strict=True)
            if request is not None
        }

    def forget_request(self, task_id: str) -> None:
        """Drop the Celery request of a task: it gets no result."""
        self._redis.hdel(self._keys.replies, task_id)

    def drop_requests(self, most: int = MOST_REQUESTS) -> int:
        """Drop kept requests where there are more than ``most``, of any tasks; how many.

        Each belongs to a command that waits or has just been decided, so the surplus belongs to no command, or to a
        producer that sends far too many.
        """
        surplus = int(self._redis.hlen(self._keys.replies)) - most
        if surplus <= 0:
            return 0
        _, found = self._redis.hscan(self._keys.replies, count=surplus)
        return int(self._redis.hdel(self._keys.replies, *list(found)[:surplus]))

    def length(self) -> int:
        """Entries in the stream."""
        return int(self._redis.xlen(self._keys.commands))

    def oldest_waiting_ms(self, after: EntryId) -> int | None:
        """Milliseconds part of the first entry behind ``after``, or ``None``."""
        found = entries_behind(self._redis, self._keys.commands, after, count=1)
        return found[0][0].ms if found else None

    def keep_above(self, position: EntryId) -> Continuity:
        """Make sure that stream and group exist, and that new entries come behind ``position``.

        Args:
            position: of the last entry that has been read.

        Returns:
            What has happened to the stream since.
        """
        group, last = group_and_last_id(self._redis, self._keys.commands)
        if last is None or not group:
            self._redis.xgroup_create(self._keys.commands, GROUP, id=str(position), mkstream=True)
        if last is None or last < position:
            self._raise_to(position)
        return continuity(group, last, position)

    def _raise_to(self, position: EntryId) -> None:
        try:
            self._redis.execute_command("XSETID", self._keys.commands, str(position))  # type: ignore[no-untyped-call]
        except ResponseError as error:  # a producer was faster, or it is gone again: the next check notices
            if "smaller than" not in str(error) and "no such key" not in str(error):
                raise

    def move_to_end(self, entries: Sequence[tuple[EntryId, Fields]], lease: Lease) -> None:
        """Append entries again behind all others, in their order, and delete them where they were.

        Each keeps or gets a key, so that being moved twice has one effect.

        Raises:
            LeaseLost: another process owns the partition; nothing was moved.
        """

        def fill(pipe: Pipeline) -> None:
            for id_, fields in entries:
                pipe.xadd(self._keys.commands, {b"key": f"moved {id_}", **fields})  # type: ignore[dict-item]
            pipe.xdel(self._keys.commands, *(str(id_) for id_, _ in entries))

        lease.execute(fill)


def decode(
    entry_id: EntryId,
    fields: Fields,
    now_ms: int,
    quarantined: str | None = None,
    permits: Callable[[EntryId, Fields], bool] = nobody,
) -> Entry:
    """One stream entry as the engine takes it; an error is part of it, never raised.

    Args:
        entry_id: its position.
        fields: as the producer wrote them.
        now_ms: the time, for commands that are too late.
        quarantined: why it may not be decided, if it is known to end the process.
        permits: whether an entry was appended by an owner or a mover.
    """
    if size_of(fields) > _MAX_ENTRY_BYTES:
        return _oversized(entry_id, fields, now_ms)
    reply_to = fields.get(b"reply_to", b"").decode(errors="replace") or None
    via = fields.get(b"via", b"").decode(errors="replace")
    type_ = fields.get(b"type", b"item.upsert")
    entry = decode_entry(entry_id, type_, fields.get(b"data", b""), fields.get(b"key"), reply_to)
    passed = tuple(via.split(",")) if via else ()
    entry = replace(
        entry,
        at_ms=_trusted_ms(entry_id, now_ms),
        via=passed,
        traceparent=valid_traceparent(fields.get(b"traceparent", b"")),
    )
    refusal = _refusal(fields, now_ms) if quarantined is None else InvalidCommand("quarantined", quarantined)
    if refusal is None and is_privileged(type_) and not permits(entry_id, fields):
        # Without its key: a producer without the right must not use up a key of one that has it.
        return replace(entry, command=_not_permitted(fields, type_), key=None)
    if refusal is None:
        return entry
    # It keeps its key, so that a write that was retried is rejected once.
    raw = fields.get(b"data", _shown(fields))
    original = None if isinstance(entry.command, RejectedCommand) else entry.command
    return replace(entry, command=rejected_command(refusal, raw, claimed_type(type_[:64])), original=original)


def _not_permitted(fields: Fields, type_: bytes) -> RejectedCommand:
    claimed = claimed_type(type_[:64])
    error = InvalidCommand(
        "not_permitted",
        f"{claimed} is taken from owners and movers only, and the entry does not prove that one of them appended it",
        "type",
    )
    return rejected_command(error, fields.get(b"data", b""), claimed)


_MAX_ENTRY_BYTES = MAX_MESSAGE_BYTES + 1024
_MAX_REPLY_TO_BYTES = 512
_NO_IDS = "exhausted the last possible ID"
_VIA = re.compile(rb"[A-Za-z0-9_-]{1,64}(,[A-Za-z0-9_-]{1,64}){0,15}")
_KNOWN = frozenset({b"type", b"data", b"key", b"reply_to", b"expires_ms", b"via", b"traceparent"})


def _refusal(fields: Fields, now_ms: int) -> InvalidCommand | None:
    known = _KNOWN | {PROOF} if is_privileged(fields.get(b"type", b"")[:64]) else _KNOWN
    unknown = sorted(set(fields) - known)
    if unknown:
        name = unknown[0][:64].decode(errors="backslashreplace")
        return InvalidCommand("unknown_field", f"an entry has no field {name!r}; there are type, data and key", name)
    expires = fields.get(b"expires_ms")
    if expires is not None and (not expires.isdigit() or len(expires) > 15):
        return InvalidCommand("invalid_value", "expires_ms must be milliseconds since 1970", "expires_ms")
    if expires is not None and int(expires) < now_ms:
        return InvalidCommand("expired", "the command had expired when it was read")
    if len(fields.get(b"reply_to", b"")) > _MAX_REPLY_TO_BYTES:
        return InvalidCommand("too_large", f"reply_to is longer than {_MAX_REPLY_TO_BYTES} bytes", "reply_to")
    if b"via" in fields and not _VIA.fullmatch(fields[b"via"]):
        return InvalidCommand("invalid_value", "only owners that pass a command on write via: leave it out", "via")
    if b"data" not in fields:
        return InvalidCommand("missing_field", "the entry has no field data", "data")
    return None


def _trusted_ms(entry_id: EntryId, now_ms: int) -> int | None:
    """Stream time of an entry whose id lies further ahead than clocks differ, ``None`` where it does not: keys expire
    and summaries fall due by it. Such ids are given where a server's clock was set back."""
    return now_ms if entry_id.ms > now_ms + CLOCK_TOLERANCE_MS else None


def _oversized(entry_id: EntryId, fields: Fields, now_ms: int) -> Entry:
    """An entry of which only the beginning is kept: a message can be as large as the server accepts."""
    size = size_of(fields)
    error = InvalidCommand("too_large", f"{size} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    # As any other, it keeps its key and the address for its outcome, where they are valid.
    key, reply_to = (fields.get(name, b"") for name in (b"key", b"reply_to"))
    kept = decode_entry(entry_id, b"", b"", key if 0 < len(key) <= MAX_KEY_BYTES else None)
    type_ = fields.get(b"type", b"item.upsert")[:64].decode(errors="replace")
    data = fields.get(b"data")
    payload = _shown(fields) if data is None else data[:MAX_MESSAGE_BYTES]
    return replace(
        kept,
        command=RejectedCommand(error, payload, size if data is None else len(data), type_),
        reply_to=reply_to.decode(errors="replace") or None if len(reply_to) <= _MAX_REPLY_TO_BYTES else None,
        at_ms=_trusted_ms(entry_id, now_ms),
    )


def _shown(fields: Fields) -> bytes:
    shown = b""
    for name, value in fields.items():
        if name == PROOF:
            continue
        shown += b" " * bool(shown) + name[:MAX_MESSAGE_BYTES] + b"=" + value[:MAX_MESSAGE_BYTES]
        if len(shown) >= MAX_MESSAGE_BYTES:
            break
    return shown[:MAX_MESSAGE_BYTES]
