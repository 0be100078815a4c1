"""What the owner says about itself: kept for the health endpoint, and in Redis for the command line."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.keys import PartitionKeys

MOST_BYTES = 64 * 1024
_LEFT_OUT = "left_out"
_EXPIRES_S = 15
_EVERY_S = 0.5  # a producer that waits for a position looks as often


class Status:
    """Progress of the owner. Written by the engine thread, read by others.

    Args:
        stall_after_s: how long commands may wait without a commit before the owner counts as stalled.
    """

    def __init__(self, stall_after_s: float) -> None:
        self._stall_after_s = stall_after_s
        self._lock = threading.Lock()
        self._fields: dict[str, Any] = {"state": "starting", "pid": os.getpid(), "host": socket.gethostname()}
        self._waiting_since: float | None = None

    def update(self, **fields: Any) -> None:
        """Say something new."""
        with self._lock:
            self._fields.update(fields)

    def rest(self) -> None:
        """What was in hand is done."""
        with self._lock:
            self._waiting_since = None

    def working(self) -> None:
        """A batch is in hand: from now on the clock runs."""
        with self._lock:
            self._waiting_since = self._waiting_since or time.monotonic()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether there is progress, and what it says."""
        with self._lock:
            stalled_s = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
            return stalled_s < self._stall_after_s, {**self._fields, "waiting_s": round(stalled_s, 1)}


def bounded(fields: Mapping[str, Any], most: int = MOST_BYTES) -> str:
    """A status as JSON of at most so many characters: what takes most of it is left out, and named."""
    said = dict(fields)
    left_out: list[str] = []
    while len(text := json.dumps(said)) > most:
        longest = max((name for name in said if name != _LEFT_OUT), key=lambda name: len(json.dumps(said[name])))
        left_out.append(longest)
        del said[longest]
        said[_LEFT_OUT] = left_out
    return text


class Announcer(threading.Thread):
    """Keeps the status in Redis fresh, on a thread of its own: a long batch does not make the owner look gone.

    Args:
        status: what to say.
        redis: a connection of its own.
        keys: of the partition.
    """

    def __init__(self, status: Status, redis: Redis, keys: PartitionKeys) -> None:
        super().__init__(name="recommender-status", daemon=True)
        self._status = status
        self._redis = redis
        self._keys = keys
        self._key = keys.status
        self._stopping = threading.Event()

    def run(self) -> None:
        """Say it again and again until stopped; afterwards nothing of it is to be read."""
        while not self._stopping.is_set():
            healthy, fields = self._status.health()
            with suppress(RedisError):  # the engine thread notices and says so
                self._say(bounded({"healthy": healthy, **fields}))
            self._stopping.wait(_EVERY_S)
        with suppress(RedisError):
            self._withdraw()
        self._redis.close()

    def _withdraw(self) -> None:
        """Leave nothing behind, and what a successor says where it is."""
        _, ours = self._status.health()
        found = read_status(self._redis, self._keys)
        if found is not None and (found.get("pid"), found.get("host")) == (ours["pid"], ours["host"]):
            self._redis.delete(self._key)

    def _say(self, text: str) -> None:
        try:
            self._redis.set(self._key, text, ex=_EXPIRES_S)
        except OutOfMemoryError:  # what was said before still tells that there is an owner
            self._redis.expire(self._key, _EXPIRES_S)

    def stop(self) -> None:
        """Say no more."""
        self._stopping.set()
        self.join()
