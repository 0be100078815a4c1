"""Which state directory a partition belongs to."""

from __future__ import annotations

from typing import Any

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import StateError


class NotOurs(StateError):
    """The partition belongs to another state directory."""


class Ownership:
    """The partition's identity in Redis: that of the state directory which owns it.

    It keeps a worker with an empty or a foreign state directory from deciding what another one has decided, and from
    trimming what that one has not read. A second process on the same directory is kept out by the directory's lock.

    Args:
        redis: the server.
        keys: of the partition.
        identity: of our state directory.
    """

    def __init__(self, redis: Redis, keys: PartitionKeys, identity: str) -> None:
        self._redis = redis
        self._key = keys.state
        self._identity = identity

    def claim(self) -> None:
        """Take the partition if it is nobody's.

        Raises:
            NotOurs: it is another's; the message says what to do.
        """
        found: Any = self._redis.get(self._key)
        if found is None:  # only then: a full server refuses what writes
            self._redis.set(self._key, self._identity, nx=True)
            found = self._redis.get(self._key)
        if found != self._identity.encode():
            raise NotOurs(
                "the partition belongs to another state directory: use that one (RECOMMENDER_STATE_DIR), or choose "
                "another RECOMMENDER_PARTITION. If that state is lost, put its newest backup in place with "
                f"`recommender restore`. Only if there is none: DEL {self._key}, and this one takes over with what is "
                "still in the commands stream"
            )
