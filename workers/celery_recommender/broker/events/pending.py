"""What consumer groups were given and have not acknowledged: the server notes each, also of events that are gone."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

MOST_GONE = 10_000
"""Notes on events that are gone, kept for each group beside those on events that are there."""

_AT_ONCE = 1000
_MOST_AT_ONCE = 100_000


def groups_of(redis: Redis, key: str) -> list[dict[str, Any]]:
    """The consumer groups of a stream, as the server lists them; none where there is no stream."""
    try:
        found: Any = redis.xinfo_groups(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return []
        raise
    return list(found)


def release_gone(redis: Redis, key: str, *, all_: bool = False) -> int:
    """Acknowledge for each group events that are gone from the stream; how many.

    A consumer that never acknowledges, or died, leaves a note of every event that it was given. Trimming drops events
    and leaves the notes.

    Args:
        redis: the server.
        key: of the stream.
        all_: also the `MOST_GONE` that may stay in each group.
    """
    groups = [group for group in groups_of(redis, key) if group["pending"]]
    if not groups:
        return 0
    info: Any = redis.xinfo_stream(key)
    first = info["first-entry"]
    last_gone = f"({first[0].decode()}" if first else info["last-generated-id"].decode()
    released = 0
    for group in groups:
        surplus = int(group["pending"]) - int(info["length"]) - MOST_GONE  # of those that are gone, at least
        wanted = min(int(group["pending"]) if all_ else surplus, _MOST_AT_ONCE)
        if wanted > 0:
            released += _release(redis, key, group["name"], last_gone, wanted)
    return released


def _release(redis: Redis, key: str, group: bytes, last_gone: str, wanted: int) -> int:
    """The first note stays: it shows from where on the group has missed events."""
    noted: Any = redis.xpending_range(key, group, "-", last_gone, 1)
    released = 0
    while noted and released < wanted:
        behind, count = f"({noted[0]['message_id'].decode()}", min(wanted - released, _AT_ONCE)
        some: Any = redis.xpending_range(key, group, behind, last_gone, count)
        if not some:
            break
        released += int(redis.xack(key, group, *(one["message_id"] for one in some)))
    return released
