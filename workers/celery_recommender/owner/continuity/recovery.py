"""A state that is behind its own events stream: restored from a backup, it decides again what it has decided since.

What it decided then is in the events stream, and is the record: consumers have read it. The commands are still in
the commands stream, so deciding them again gives the same events under the same ids, and none is published twice: what
is behind the last entry of the stream is new, everything else has been published. Two things are not the same by
themselves. When a command was first read is taken from the record. And texts embedded since the backup are embedded
again, which moves a vector a little: where that changes a decision, the record is kept and the log counts it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis

from celery_recommender.broker.events.stream import EventsConflict
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.ranges import entries_behind
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, CommandForwarded, CommandRejected, Entry, EntryId
from recommender_engine.store import OutboxRow

log = event_log(__name__)

_AT_ONCE = 1000
_NOISE = 0.01  # by which numbers may differ when vectors were computed again
# Not compared: what no replay repeats, and what an erasure empties.
_UNSTABLE = frozenset({"timings", "reasons", "explanation"})

Event = Mapping[str, Any]


class Recovery:
    """Follows the engine through the commands whose events are in the stream already.

    Args:
        engine: whose state may be behind.
        redis: the server.
        keys: of the partition.
    """

    def __init__(self, engine: Recommender, redis: Redis, keys: PartitionKeys) -> None:
        self._engine = engine
        self._redis = redis
        self._keys = keys
        self._last_event = START
        self._until = START
        self._read_at: dict[EntryId, int | None] = {}
        self._passed_on: dict[EntryId, str] = {}
        self._misrouted: set[EntryId] = set()
        self._unlisted: set[EntryId] = set()
        self._compared = START
        self.counts = dict.fromkeys(("same", "different", "absent", "unknown"), 0)

    @property
    def running(self) -> bool:
        """Whether commands are being decided that have been decided before."""
        return self._until != START

    def begin(self, last: EntryId) -> None:
        """Find out what lies between the state and the stream.

        Args:
            last: the last entry of the events stream.

        Raises:
            EventsConflict: the events there cannot come from the commands that this state has yet to decide.
        """
        engine, position = self._engine, self._engine.position
        event = self._event(last)
        until = _command_of(event) if event is not None else self._command_before(last)
        if event is not None and until == position:  # the end of an interrupted recovery
            engine.continue_after(last)
            return
        if until is None or until <= position or not self._redis.xrange(self._keys.commands, str(until), str(until)):
            raise EventsConflict(
                f"the events stream is at {last}, and this state knows events up to {engine.last_event} only; the"
                " commands between them are gone, so it cannot catch up: it is an older copy. Put the newest backup in"
                " its place with `recommender restore`"
            )
        self._until, self._last_event, self._compared = until, last, engine.last_event
        for id_, event in self._events(engine.last_event, last):
            self._note_time(id_, event)
        log.warning("recovery.begun", extra={"position": str(position), "until": str(until), "last_event": str(last)})

    def read_at_ms(self, entry: EntryId, now_ms: int) -> int:
        """When a command was read first, as far as it made a difference; ``now_ms`` if it is read for the first time.

        May be called by another thread than the engine's.
        """
        if entry > self._until:
            return now_ms
        noted = self._read_at.get(entry, entry.ms)
        return now_ms if noted is None else noted

    def passed_on(self, entry: Entry, partition: str | None) -> str | None:
        """The partition that a command went to when it was read first; ``partition`` if that is now.

        One that was rejected as misrouted would have gone back to where it came from.
        """
        if entry.id > self._until:
            return partition
        back = entry.via[-1] if entry.via and entry.id in self._misrouted else None
        return self._passed_on.get(entry.id, back)

    def listed(self, entry: EntryId, now: bool) -> bool:
        """Whether the partitions of a move were listed when the command was read first; ``now`` if that is now."""
        return now if entry > self._until else entry not in self._unlisted

    def parts(self, entries: Sequence[Entry]) -> list[list[Entry]]:
        """The entries, split where the recovery ends."""
        until = sum(entry.id <= self._until for entry in entries) if self.running else 0
        return [list(part) for part in (entries[:until], entries[until:]) if part]

    def follow(self) -> None:
        """Compare what has been decided again with the record; at the end, go on behind it."""
        if not self.running:
            return
        try:
            self._compare()
        except AWAY as error:  # the comparison is for the log only
            log.warning("recovery.not_compared", extra={"error": str(error)})
        if self._engine.position >= self._until:
            self._engine.continue_after(max(self._engine.last_event, self._last_event))
            level = logging.ERROR if self.counts["different"] + self.counts["unknown"] else logging.WARNING
            log.log(level, "recovery.finished", extra={"position": str(self._until), **self.counts})
            self._until = START

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _command_before(self, last: EntryId) -> EntryId | None:
        """The last command that an event under the id ``last`` can answer: no event is older than its command.

        For an entry that was deleted (an erasure).
        """
        found: Any = self._redis.xrevrange(self._keys.commands, max=str(last.ms), count=1)
        return EntryId.parse(found[0][0].decode()) if found else None

    def _event(self, id_: EntryId) -> Event | None:
        """One entry of the events stream."""
        found: Any = self._redis.xrange(self._keys.events, str(id_), str(id_))
        return _parsed(found[0][1].get(b"event", b"")) if found else None

    def _events(self, after: EntryId, last: EntryId) -> Iterator[tuple[EntryId, Event]]:
        """Entries of the events stream behind ``after`` up to ``last``."""
        while True:
            entries = entries_behind(self._redis, self._keys.events, after, last, _AT_ONCE)
            for id_, fields in entries:
                yield id_, _parsed(fields.get(b"event", b""))
            if len(entries) < _AT_ONCE:
                return
            after = entries[-1][0]

    def _note_time(self, id_: EntryId, event: Event) -> None:
        """Commands that were late or another partition's, or whose own id lay ahead of the clock, when they were read
        first."""
        command = _command_of(event)
        if command is None:
            return
        if event.get("type") == CommandForwarded.type:
            self._passed_on[command] = event["data"]["to"]
        rejected = event["data"].get("code") if event.get("type") == CommandRejected.type else None
        if rejected == "misrouted":
            self._misrouted.add(command)
        if rejected == "unknown_partition":
            self._unlisted.add(command)
        if rejected == "expired":
            self._read_at[command] = None
        elif id_.ms < command.ms:
            self._read_at[command] = id_.ms

    def _compare(self) -> None:
        up_to = min(self._engine.last_event, self._last_event)
        if up_to <= self._compared:
            return
        record = dict(self._events(self._compared, up_to))
        for row in _rows(self._engine, self._compared, up_to):
            event = record.pop(row.id, None)
            if event is None:  # erased since, or trimmed
                self.counts["absent"] += 1
                continue
            same = _alike(_decision(json.loads(row.event)), _decision(event))
            self.counts["same" if same else "different"] += 1
            if not same:
                log.warning("recovery.decided_otherwise", extra={"event": str(row.id), "type": row.type})
        self.counts["unknown"] += len(record)
        self._compared = up_to


def _rows(engine: Recommender, after: EntryId, up_to: EntryId) -> Iterator[OutboxRow]:
    while rows := engine.outbox.after(after, _AT_ONCE):
        for row in rows:
            if row.id > up_to:
                return
            yield row
        after = rows[-1].id


def _parsed(event: bytes) -> Event:
    try:
        parsed = json.loads(event)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _command_of(event: Event) -> EntryId | None:
    """The command that an event answers, if it has one."""
    try:
        return EntryId.parse(event["data"]["command"]["id"])
    except (KeyError, TypeError, ValueError):
        return None


def _decision(event: Event) -> Event:
    data = event.get("data", {})
    return {**event, "data": {name: value for name, value in data.items() if name not in _UNSTABLE}}


def _alike(one: Any, other: Any) -> bool:
    """Equal, but for what noise in a vector does to numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=_NOISE)
    return bool(one == other)
