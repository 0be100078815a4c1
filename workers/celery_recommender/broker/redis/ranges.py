"""Reads parts of a stream behind an id, whatever the id: nothing is behind the highest that there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis import Redis

from recommender_engine.items import EntryId

Fields = Mapping[bytes, bytes]
END = "+"


def entries_behind(
    redis: Redis, key: str, after: EntryId, last: EntryId | None = None, count: int | None = None
) -> list[tuple[EntryId, Fields]]:
    """Entries behind ``after``, in order.

    Args:
        redis: the server.
        key: of the stream.
        after: any id.
        last: up to which, it included; ``None``: to the end.
        count: limit of their number.
    """
    first = after.successor
    if first == after or (last is not None and first > last):
        return []
    reply: Any = redis.xrange(key, min=str(first), max=END if last is None else str(last), count=count)
    return [(EntryId.parse(id_.decode()), fields) for id_, fields in reply]
