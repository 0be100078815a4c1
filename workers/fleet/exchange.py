"""Where owner and embed workers leave things for each other in Redis.

The texts of a batch lie in a hash of the partition until it is answered, withdrawn or forgotten; the Celery task that
asks for them carries only the batch's id (a claim check). So whatever a broker does with a task, lose it, keep it for
days or hand it out twice, concerns no text, and what is no longer wanted costs the worker one look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from workers.broker.keys import PartitionKeys

_KEPT_S = 600  # when nobody has touched it for so long; an owner that lives looks more often
_MOST_AT_ONCE = 64


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
        """Leave a request."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._requests, request_id, request)
            pipe.expire(self._requests, _KEPT_S)
            pipe.execute()

    def withdraw(self, request_ids: Sequence[str]) -> None:
        """Nobody wants an answer to these any more; what is left is kept."""
        with self._redis.pipeline(transaction=True) as pipe:
            if request_ids:
                pipe.hdel(self._requests, *request_ids)
            pipe.expire(self._requests, _KEPT_S)
            pipe.execute()

    def take_replies(self, timeout_s: float) -> list[bytes]:
        """What was answered, in order; waits for something at most ``timeout_s`` seconds."""
        first: Any = self._redis.blpop([self._replies], timeout_s)
        if first is None:
            return []
        more: Any = self._redis.lpop(self._replies, _MOST_AT_ONCE)
        return [first[1], *(more or ())]

    def clear(self) -> None:
        """Leave nothing behind."""
        self._redis.delete(self._requests, self._replies)

    # -- an embed worker -----------------------------------------------------------------------------------------------

    def request(self, request_id: str) -> bytes | None:
        """A request, ``None`` if nobody wants an answer to it any more."""
        found: Any = self._redis.hget(self._requests, request_id)
        return None if found is None else bytes(found)

    def reply(self, reply: bytes) -> None:
        """Leave a reply; what no owner takes is dropped after a while."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(self._replies, reply)
            pipe.expire(self._replies, _KEPT_S)
            pipe.execute()
