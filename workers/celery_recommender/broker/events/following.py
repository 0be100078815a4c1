"""Reads events streams: of one partition, or of several as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from redis import Redis

from celery_recommender.broker.redis.connections import BLOCK_MS
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.broker.redis.ranges import entries_behind
from recommender_engine.items import START, EntryId

_AT_ONCE = 500


class Read(NamedTuple):
    """An event and where it was read."""

    partition: str
    id: EntryId
    event: dict[str, Any]


def follow(
    redis: Redis, after: Mapping[str, EntryId], until: Callable[[], bool], key_prefix: str = ""
) -> Iterator[Read]:
    """Events of partitions after the given ids, in order within each, without end or until ``until()`` is true."""
    positions = dict(after)
    keys = {partition: PartitionKeys.of(partition, key_prefix).events for partition in positions}
    names = {key.encode(): partition for partition, key in keys.items()}
    while not until():
        streams = {keys[partition]: str(id_) for partition, id_ in positions.items()}
        reply: Any = redis.xread(streams, count=_AT_ONCE, block=BLOCK_MS)  # type: ignore[arg-type]
        for key, entries in reply or []:
            partition = names[key]
            for id_, fields in entries:
                positions[partition] = EntryId.parse(id_.decode())
                yield Read(partition, positions[partition], json.loads(fields[b"event"]))


def so_far(redis: Redis, keys: PartitionKeys, after: EntryId) -> Iterator[dict[str, Any]]:
    """Events of a partition behind ``after`` that are there now."""
    while True:
        found = entries_behind(redis, keys.events, after, count=_AT_ONCE)
        for _, fields in found:
            yield json.loads(fields[b"event"])
        if not found:
            return
        after = found[-1][0]


def last_event(redis: Redis, keys: PartitionKeys) -> EntryId:
    """Id of the newest event of a partition so far."""
    reply: Any = redis.xrevrange(keys.events, count=1)
    return EntryId.parse(reply[0][0].decode()) if reply else START
