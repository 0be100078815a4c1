"""How many bytes a stream takes on its server, and how to make it smaller: entries say nothing, for some are long."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoPermissionError

from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.events.pending import groups_of
from recommender_engine.items import EntryId

_MEASURE_EVERY_S = 600.0
_ENTRY_BYTES = 64  # about what an entry takes besides its values
_SAMPLES, _SAMPLE = 8, 25
_ROOM = 0.1  # of the bound is made at once, so that not each entry drops another
_TRIES = 8


class StreamBytes:
    """Measured now and then, which takes the server a tenth of a second or two for a gigabyte, and counted in between.

    Args:
        redis: the server.
        key: of the stream.
        lease: without which nothing is dropped.
    """

    def __init__(self, redis: Redis, key: str, lease: Lease) -> None:
        self._redis = redis
        self._key = key
        self._lease = lease
        self._bytes = 0
        self._measured_s: float | None = None

    def added(self, *values: int) -> None:
        """Entries of these many bytes were appended."""
        self._bytes += sum(value + _ENTRY_BYTES for value in values)

    def known(self) -> int:
        """About how many bytes it takes."""
        now_s = time.monotonic()
        if self._measured_s is None or now_s - self._measured_s > _MEASURE_EVERY_S:
            return self.measured()
        return self._bytes

    def measured(self) -> int:
        """Bytes of its entries; an estimate if the server does not report them.

        The server's figure includes notes on unacknowledged entries, which trimming does not reduce.
        """
        self._measured_s = time.monotonic()
        try:
            found: Any = self._redis.memory_usage(self._key, samples=0)
            if any(group["pending"] for group in groups_of(self._redis, self._key)):
                found = min(int(found or 0), self._estimated())
        except NoPermissionError:
            found = self._estimated()
        self._bytes = int(found or 0)
        return self._bytes

    def shrink(self, most: int) -> int:
        """Drop the oldest entries if it takes more than ``most`` bytes; how many were dropped."""
        return self.drop(self.measured() - round(most * (1 - _ROOM))) if self.known() > most else 0

    def drop(self, surplus: int) -> int:
        """Drop the oldest entries up to about this many bytes, in whole nodes; the number of dropped ones."""
        dropped, target = 0, max(0, self._bytes - surplus)
        for _ in range(_TRIES):
            entries = int(self._redis.xlen(self._key))
            if self._bytes <= target or not entries:
                break
            gone = self._trim(int(entries * target / self._bytes))
            dropped += gone
            self.measured()
            if not gone:
                break
        return dropped

    def _trim(self, keep: int) -> int:
        def fill(pipe: Pipeline) -> None:
            pipe.xtrim(self._key, maxlen=keep, approximate=True, limit=0)

        (dropped,) = self._lease.execute_in_need(fill)
        if isinstance(dropped, Exception):
            raise dropped
        return int(dropped)

    def _estimated(self) -> int:
        """By entries at several places, evenly in time."""
        ends: list[Any] = [*self._redis.xrange(self._key, count=1), *self._redis.xrevrange(self._key, count=1)]  # type: ignore[misc]
        if len(ends) < 2:
            return 0
        first, last = (EntryId.parse(id_.decode()).ms for id_, _ in ends)
        with self._redis.pipeline(transaction=False) as pipe:
            for n in range(_SAMPLES):
                pipe.xrange(self._key, min=str(first + (last - first) * n // _SAMPLES), count=_SAMPLE)
            pipe.xrevrange(self._key, count=_SAMPLE)
            entries = dict(entry for some in pipe.execute() for entry in some)
        sizes = [sum(map(len, (*fields, *fields.values()))) + _ENTRY_BYTES for fields in entries.values()]
        return round(sum(sizes) / len(sizes) * int(self._redis.xlen(self._key))) if sizes else 0


def memory_of(redis: Redis) -> tuple[int, int]:
    """Bytes that the server has used, and its ``maxmemory``; 0 where it has none."""
    memory: Any = redis.info("memory")
    return int(memory["used_memory"]), int(memory.get("maxmemory") or 0)
