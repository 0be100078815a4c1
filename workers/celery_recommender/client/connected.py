"""What all parts of a client share: the settings, one connection, the partitions."""

from __future__ import annotations

from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import redis_url
from celery_recommender.broker.routing.partitions import Partitions
from celery_recommender.settings import Settings


class Connected:
    """A connection to the server, and the partitions there.

    Args:
        settings: which server and partition; the environment's by default.
        redis: a connection to use instead of one of our own.

    Raises:
        ConfigurationError: the settings name no server, and no worker with a private one runs; none is started.
    """

    def __init__(self, settings: Settings | None = None, redis: Redis | None = None) -> None:
        self._settings = settings or Settings.from_environment()
        self._redis = redis or connect(redis_url(self._settings))
        self.partitions = Partitions(self._redis, self._settings)
        self.home, self.keys, self.log, self.pacing, _ = self.partitions.of(self._settings.home)

    @property
    def redis(self) -> Redis:
        """The connection."""
        return self._redis

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
