"""Whether a commands stream is the one that has been read so far."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from recommender_engine.items import START, EntryId


class Continuity(Enum):
    """What has happened to a stream since it was read."""

    WHOLE = "whole"
    WITHOUT_GROUP = "without_group"
    """The group is gone: deleted, or the stream has been lost and its new ids are past the old ones already."""
    SET_BACK = "set_back"
    """It ends earlier than it did: its server came back with older data."""
    ANEW = "anew"
    """It was lost; what is in it now came since."""


class Facts(NamedTuple):
    """What the server knows of a stream.

    Attributes:
        group: whether it has a group.
        last: the highest id it ever had; ``None`` where there is no stream.
        removed: how many entries have been removed from it; ``None`` before Redis 7, which does not count.
    """

    group: bool
    last: EntryId | None
    removed: int | None


def facts(redis: Redis, key: str) -> Facts:
    """What the server knows of the stream under a key."""
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return Facts(group=False, last=None, removed=None)
    added = info.get("entries-added")
    removed = None if added is None else int(added) - int(info["length"])
    return Facts(bool(info["groups"]), EntryId.parse(info["last-generated-id"].decode()), removed)


def group_and_last_id(redis: Redis, key: str) -> tuple[bool, EntryId | None]:
    """Whether the stream has a group, and the highest id it ever had; ``None`` where there is no stream."""
    found = facts(redis, key)
    return found.group, found.last


def continuity(group: bool, last: EntryId | None, read: EntryId) -> Continuity:
    """What the stream is.

    Args:
        group: whether it has a group.
        last: the highest id it ever had; ``None``: there is no stream.
        read: position of the last entry that has been read.
    """
    if read == START or (group and last is not None and last >= read):
        return Continuity.WHOLE
    if last is not None and last >= read:
        return Continuity.WITHOUT_GROUP
    return Continuity.SET_BACK if group else Continuity.ANEW
