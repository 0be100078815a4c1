"""How long events stay in their stream, and which consumer groups have not read them yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.items import EntryId

Rule = Literal["size", "age", "groups"]

MOST_SHOWN = 10
"""Of the groups, the slowest ones, which are looked at more closely."""

_MOST_GAPS = 100
_MOST_NAME_CHARS = 128


class EventGroup(NamedTuple):
    """A consumer group of the events stream.

    Attributes:
        name: as its consumers chose it, the beginning of a long one.
        needs_from: the first event that it has not acknowledged has this id or a higher one.
        unread: the oldest such event that is still in the stream, if there is one; of the slowest groups only.
    """

    name: str
    needs_from: EntryId
    unread: EntryId | None


class Gap(NamedTuple):
    """Events that were dropped from the stream before a consumer group had acknowledged them.

    Attributes:
        first: the first of them.
        up_to: the first event that is still there, or the next one.
        at_ms: when that was noticed, by the server's clock.
    """

    first: EntryId
    up_to: EntryId
    at_ms: int


def note_gaps(redis: Redis, keys: PartitionKeys, gaps: Mapping[str, Gap]) -> None:
    """Note in a hash beside the stream which events groups have missed; the last gap of each, of a bounded number."""
    gaps_by_group = {
        name: json.dumps({"first": str(gap.first), "up_to": str(gap.up_to), "at_ms": gap.at_ms})
        for name, gap in gaps.items()
    }
    with redis.pipeline(transaction=True) as pipe:
        pipe.hset(keys.events_trimmed, mapping=gaps_by_group)  # type: ignore[arg-type]
        pipe.hlen(keys.events_trimmed)
        _, groups = pipe.execute()
    if groups > _MOST_GAPS:
        others = [name for name in redis.hkeys(keys.events_trimmed) if name.decode() not in gaps]  # type: ignore[union-attr]
        redis.hdel(keys.events_trimmed, *others[: groups - _MOST_GAPS])


def first_event(redis: Redis, keys: PartitionKeys) -> EntryId | None:
    """Id of the oldest event in the stream, ``None`` where there is none."""
    found: Any = redis.xrange(keys.events, count=1)
    return EntryId.parse(found[0][0].decode()) if found else None


def event_groups(redis: Redis, keys: PartitionKeys) -> list[EventGroup]:
    """The registered groups, the slowest first."""
    try:
        found: Any = redis.xinfo_groups(keys.events)
    except ResponseError as error:
        if "no such key" in str(error):
            return []
        raise
    needs = _needs(redis, keys, found)
    slowest = sorted(needs, key=lambda name: (needs[name], name))
    with redis.pipeline(transaction=False) as pipe:
        for name in slowest[:MOST_SHOWN]:
            pipe.xrange(keys.events, min=str(needs[name]), count=1)
        rest = pipe.execute()
    unread = {
        name: EntryId.parse(entries[0][0].decode()) for name, entries in zip(slowest, rest, strict=False) if entries
    }
    groups = [
        EventGroup(name.decode(errors="replace")[:_MOST_NAME_CHARS], needs[name], unread.get(name)) for name in slowest
    ]
    return sorted(groups, key=lambda group: group.unread is None)


def first_needed(rule: Rule, groups: Sequence[EventGroup], now_ms: int, hours: int) -> EntryId | None:
    """The first event that the rule keeps; ``None`` if it drops none.

    Args:
        rule: ``age``: up to an age in hours; ``groups``: what a group has not acknowledged; ``size``: drops none.
        groups: the registered ones; with none at all nothing is dropped for having been read.
        now_ms: wall clock.
        hours: how old an event may become.
    """
    if rule == "age":
        return EntryId(max(0, now_ms - hours * 3_600_000), 0)
    if rule == "groups" and groups:
        return min(group.needs_from for group in groups)
    return None


def _needs(redis: Redis, keys: PartitionKeys, found: Any) -> dict[bytes, EntryId]:
    """By group, the first id that it has not acknowledged."""
    needs = {info["name"]: EntryId.parse(info["last-delivered-id"].decode()).successor for info in found}
    pending = [info["name"] for info in found if info["pending"]]
    with redis.pipeline(transaction=False) as pipe:
        for name in pending:
            pipe.xpending(keys.events, name)
        for name, summary in zip(pending, pipe.execute(), strict=True):
            if summary["min"] is not None:
                needs[name] = EntryId.parse(summary["min"].decode())
    return needs
