"""Commands that end every process that decides them: noted before they are read again."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis
from redis.client import Pipeline

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.coordination.proofs import Proofs
from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.items import EntryId, QuarantineCommand
from recommender_engine.items.limits import MAX_SENTENCE_BYTES


class Quarantine:
    """Which commands of a partition are in quarantine, and why.

    Such a command is earlier in the log than the finding that it ends processes, so the findings are in a hash, which
    is read before the log. Each finding is a command on the log as well, for the record; both are written in one
    transaction.

    Args:
        redis: the server.
        keys: of the partition.
        lease: without which nothing is written.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, lease: Lease) -> None:
        self._redis = redis
        self._keys = keys
        self._lease = lease
        self._proofs = Proofs(redis, keys)

    def read(self) -> dict[EntryId, str]:
        """Reasons by position."""
        found: Any = self._redis.hgetall(self._keys.quarantined)
        return {EntryId.parse(position.decode()): reason.decode() for position, reason in found.items()}

    def add(self, position: EntryId, reason: str) -> None:
        """Put a command in quarantine, and append the finding to the log.

        Raises:
            LeaseLost: another process owns the partition; nothing was written.
        """
        reason = reason.encode()[:MAX_SENTENCE_BYTES].decode(errors="ignore")
        data = json.dumps({"entry": str(position), "reason": reason})
        key = f"quarantine {position}"
        record = self._proofs.signed({"type": QuarantineCommand.type, "data": data, "key": key})

        def fill(pipe: Pipeline) -> None:
            pipe.hset(self._keys.quarantined, str(position), reason)
            pipe.xadd(self._keys.commands, record)  # type: ignore[arg-type]

        self._lease.execute(fill)

    def forget(self) -> None:
        """Drop findings on commands that have been trimmed: they are not read again."""
        first: Any = self._redis.xrange(self._keys.commands, count=1)
        if not first:
            return
        oldest = EntryId.parse(first[0][0].decode())
        if gone := [str(position) for position in self.read() if position < oldest]:
            self._redis.hdel(self._keys.quarantined, *gone)
