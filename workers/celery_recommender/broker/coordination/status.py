"""The status that the owner of a partition publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys


def read_status(redis: Redis, keys: PartitionKeys) -> dict[str, Any] | None:
    """The owner's status; ``None`` without an owner."""
    text: Any = redis.get(keys.status)
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    return fields


def commands_waiting(redis: Redis, keys: PartitionKeys, status: Mapping[str, Any] | None) -> int:
    """Commands to be decided: those in the stream without the ones that are kept until they are in a backup.

    Args:
        redis: the server.
        keys: of the partition.
        status: of the owner, see `read_status`. Without an owner, what was noted with the last trim counts.
    """
    length: Any = redis.xlen(keys.commands)
    held: Any = redis.hget(keys.trimmed, "held") if status is None else status.get("held")
    return max(0, int(length) - int(held or 0))
