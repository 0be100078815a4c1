"""Which partition a collection belongs to: by its route, else by the settings, else by the hash of its name."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from redis import Redis

from celery_recommender.broker.redis.keys import ROUTES
from celery_recommender.settings import Settings
from recommender_engine.items.limits import MAX_ID_BYTES

STALE_AFTER_S = 5.0
"""For how long a process uses the routes that it has read. Commands sent by an old route are passed on by the owner."""


def by_hash(collection: str, partitions: Iterable[str]) -> str:
    """The partition by rendezvous hashing (Thaler and Ravishankar, 1998): where PARTITION, a space and COLLECTION have
    the highest SHA-256. A partition more takes over only what it is the highest for now.
    """
    return max(partitions, key=lambda partition: hashlib.sha256(f"{partition} {collection}".encode()).digest())


def collection_of(data: object) -> str | None:
    """The collection that a command is about, as far as a sender can tell; any owner may reject a malformed one."""
    if not isinstance(data, Mapping):
        return None
    name = data.get("collection", "default")
    if not isinstance(name, str) or len(name) > MAX_ID_BYTES or not name.isprintable():
        return None
    return name


class Routing:
    """Partitions of collections, as this process knows them.

    With one partition nothing is asked. Called from any thread.

    Args:
        redis: the server.
        settings: partitions and routes.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._key = settings.key_prefix + ROUTES
        self._partitions = settings.all_partitions
        self._set = settings.route_of
        self._home = settings.home
        self._known: dict[str, str] = {}
        self._until_s = 0.0
        self._lock = threading.Lock()

    @property
    def several(self) -> bool:
        """Whether there are several partitions."""
        return len(self._partitions) > 1

    def partition_of(self, collection: str | None) -> str:
        """The partition of a collection; the process's own without one.

        Raises:
            RedisError: the server is away, and what is known is too old.
        """
        if not self.several or collection is None:
            return self._home
        with self._lock:
            if time.monotonic() >= self._until_s:
                self._known = _decoded(self._redis.hgetall(self._key))
                self._until_s = time.monotonic() + STALE_AFTER_S
            known = self._known
        return self._choose(collection, known.get(collection))

    def asked_now(self, collection: str) -> str:
        """As ``partition_of``, from the server."""
        if not self.several:
            return self._home
        found: Any = self._redis.hget(self._key, collection)
        return self._choose(collection, None if found is None else found.decode())

    def keep(self, collection: str, partition: str, *, replace: bool = True) -> None:
        """Write a route: from now on the collection belongs to that partition."""
        if replace:
            self._redis.hset(self._key, collection, partition)
        else:
            self._redis.hsetnx(self._key, collection, partition)
        self.forget()

    def drop(self, collection: str, partition: str) -> None:
        """Drop the route of a collection that is gone: settings and hash count again for its name."""
        if self._redis.hget(self._key, collection) == partition.encode():
            self._redis.hdel(self._key, collection)
        self.forget()

    def forget(self) -> None:
        """Read the routes again the next time."""
        with self._lock:
            self._until_s = 0.0

    def _choose(self, collection: str, moved: str | None) -> str:
        if moved in self._partitions:
            return str(moved)
        return self._set.get(collection) or by_hash(collection, self._partitions)


def _decoded(found: Any) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in found.items()}
