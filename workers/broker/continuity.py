"""Whether a commands stream is the one that has been read so far."""

from __future__ import annotations

from enum import Enum
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from recommender.items import START, EntryId


class Continuity(Enum):
    """What has become of a stream since it was read."""

    WHOLE = "whole"
    WITHOUT_GROUP = "without_group"
    """The group is gone: deleted, or the stream has been lost and its new ids are past the old ones already."""
    SET_BACK = "set_back"
    """It ends earlier than it did: its server came back with older data."""
    ANEW = "anew"
    """It was lost; what is in it now came since."""


def group_and_last_id(redis: Redis, key: str) -> tuple[bool, EntryId | None]:
    """Whether the stream has a group, and the highest id it ever had; ``None`` where there is no stream."""
    try:
        info: Any = redis.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return False, None
    return bool(info["groups"]), EntryId.parse(info["last-generated-id"].decode())


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
