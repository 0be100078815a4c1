"""What the owner of a partition last said about itself."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from workers.broker.keys import PartitionKeys


def read_status(redis: Redis, keys: PartitionKeys) -> dict[str, Any] | None:
    """What the owner last said, or ``None`` when there is no owner."""
    text: Any = redis.get(keys.status)
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    return fields
