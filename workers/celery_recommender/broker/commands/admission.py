"""Whether a partition takes one more command: producers are refused before the server is full."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import RecommenderError

_SOONEST_S, _LATEST_S = 1.0, 60.0
_UNKNOWN_S = 10.0  # without an owner, or before its first batch
_SHARE = 0.1  # of the limit: when so much has been decided, it is worth another try


class Overloaded(RecommenderError):
    """Too much waits already, or the server has no memory left. Nothing was appended; worth a retry later.

    Attributes:
        depth: commands that wait; ``None`` if it is the server's memory that has run out.
        limit: how many may wait; ``None`` likewise.
        retry_after_s: seconds after which there is probably room again.
    """

    def __init__(
        self, message: str, depth: int | None = None, limit: int | None = None, retry_after_s: float = _UNKNOWN_S
    ) -> None:
        super().__init__(message, depth, limit, retry_after_s)  # Celery and pickle make a copy from its args
        self.depth = depth
        self.limit = limit
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class NotPassedOn(Overloaded):
    """A collection has moved, and what this producer sent before has not reached its new partition.

    Nothing was appended; it would overtake that. Worth a retry after ``retry_after_s``.
    """

    def __init__(self, message: str, retry_after_s: float = _SOONEST_S) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.args = (message, retry_after_s)


class Admission:
    """The limit of one producer process. It costs no round trip: how much waits comes back with each append, and the
    next one is refused. Only the first append of a process, and those that follow a refusal, ask beforehand.

    So the limit can be exceeded, by no more than what each producer sends in one call.

    Args:
        redis: the server.
        keys: of the partition.
        most_waiting: commands that may wait; 0: any number.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, most_waiting: int) -> None:
        self._redis = redis
        self._keys = keys
        self._limit = most_waiting
        self._depth = most_waiting  # nothing is known yet

    def require_room(self) -> None:
        """Pass, or refuse.

        Raises:
            Overloaded: too much waits.
        """
        if not self._limit or self._depth < self._limit:
            return
        status = read_status(self._redis, self._keys)
        self._depth = commands_waiting(self._redis, self._keys, status)
        if self._depth >= self._limit:
            retry_after_s = self._retry_after_s()
            raise Overloaded(
                f"{self._depth:,} commands wait already, and {self._limit:,} is the limit (RECOMMENDER_MOST_WAITING):"
                f" try again in {retry_after_s:.0f} s",
                self._depth,
                self._limit,
                retry_after_s,
            )

    def saw(self, depth: int) -> None:
        """So many commands waited after the last append."""
        self._depth = depth

    def out_of_memory(self) -> Overloaded:
        """The refusal when the server has no memory left."""
        retry_after_s = self._retry_after_s()
        return Overloaded(
            f"the Redis server is at its maxmemory and takes nothing: try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )

    def out_of_ids(self) -> Overloaded:
        """The refusal when an entry has the highest id that there is."""
        return Overloaded(
            f"the stream {self._keys.commands} holds the highest id that there is, and takes no entry behind it: its"
            f" owner brings it back to ids of now; try again in {_SOONEST_S:.0f} s",
            retry_after_s=_SOONEST_S,
        )

    def _retry_after_s(self) -> float:
        """How long the owner takes to make room worth another try, if it is known."""
        try:
            status = read_status(self._redis, self._keys) or {}
        except RedisError:
            return _UNKNOWN_S
        throughput = status.get("commands_per_s") or 0.0
        if throughput <= 0:
            return _UNKNOWN_S
        excess = max(0, self._depth - self._limit) if self._limit else 0
        return float(min(max((excess + _SHARE * self._limit) / throughput, _SOONEST_S), _LATEST_S))
