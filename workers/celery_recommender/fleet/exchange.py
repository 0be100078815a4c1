"""Requests and replies between owner and embed workers in Redis.

The texts of a batch are in a hash of the partition until it is answered, withdrawn or forgotten; the Celery task that
asks for them carries only the batch's id (a claim check). So a broker that loses a
task, keeps it for days or delivers it twice never holds texts, and a task that is no longer wanted costs a worker one
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys

_KEPT_S = 600  # without use; a running owner extends it more often
MOST_REPLIES = 1024
"""So many replies wait at most, more than any fleet produces. Then all are dropped, and their requests sent again."""


class Exchange:
    """The owner's requests and the workers' replies of one partition.

    Args:
        redis: the server that holds the partition's streams.
        keys: of the partition.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys) -> None:
        self._redis = redis
        self._requests = keys.embed_requests
        self._replies = keys.embed_replies

    # -- the owner -----------------------------------------------------------------------------------------------------

    def put(self, request_id: str, request: bytes) -> None:
        """Store a request."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._requests, request_id, request)
            pipe.expire(self._requests, _KEPT_S)
            pipe.execute()

    def withdraw(self, request_ids: Sequence[str]) -> None:
        """Remove requests that need no answer any more; keep the others alive."""
        with self._redis.pipeline(transaction=True) as pipe:
            if request_ids:
                pipe.hdel(self._requests, *request_ids)
            pipe.expire(self._requests, _KEPT_S)
            pipe.execute()

    def take_reply(self, timeout_s: float) -> bytes | None:
        """The next reply; waits for one at most ``timeout_s`` seconds. One at a time: each may be as long as the server
        takes a value to be."""
        found: Any = self._redis.blpop([self._replies], timeout_s)
        return None if found is None else bytes(found[1])

    def drop_flood(self) -> bool:
        """Drop the replies if there are more than any fleet produces; whether there were."""
        flood = int(self._redis.llen(self._replies)) > MOST_REPLIES
        if flood:
            self._redis.delete(self._replies)
        return flood

    def clear(self) -> None:
        """Delete all requests and replies."""
        self._redis.delete(self._requests, self._replies)

    # -- an embed worker -----------------------------------------------------------------------------------------------

    def request(self, request_id: str) -> bytes | None:
        """A request, ``None`` if it needs no answer any more."""
        found: Any = self._redis.hget(self._requests, request_id)
        return None if found is None else bytes(found)

    def reply(self, reply: bytes) -> None:
        """Store a reply; it expires if no owner takes it."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(self._replies, reply)
            pipe.expire(self._replies, _KEPT_S)
            pipe.execute()
