"""The owner's status: for the health endpoint, and in Redis for the command line."""

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
from celery_recommender.threads import WorkerThread

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
        """Change some of its fields."""
        with self._lock:
            self._fields.update(fields)

    def rest(self) -> None:
        """The batch is done."""
        with self._lock:
            self._waiting_since = None

    def working(self) -> None:
        """A batch is begun: from now on it may stall."""
        with self._lock:
            self._waiting_since = self._waiting_since or time.monotonic()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether it does its part, as the owner or as a standby, and which of the two it is.

        An owner is ready once it decides, and as long as it makes progress. A standby is ready once its model is
        loaded: it takes over as soon as the place is free. In between, while it takes over, it is not.
        """
        healthy, fields = self.health()
        state = fields["state"]
        role = {"running": "owner", "standby": "standby"}.get(state)
        reason = None if healthy and role else f"state is {state}" if healthy else "commands wait, and none is decided"
        return reason is None, {"role": role, "state": state, **({"reason": reason} if reason else {})}

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether there is progress, and the fields."""
        with self._lock:
            stalled_s = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
            return stalled_s < self._stall_after_s, {**self._fields, "waiting_s": round(stalled_s, 1)}


def bounded(fields: Mapping[str, Any], most: int = MOST_BYTES) -> str:
    """A status as JSON of at most ``most`` characters; its longest fields are left out, and listed in ``left_out``."""
    kept = dict(fields)
    left_out: list[str] = []
    while len(text := json.dumps(kept)) > most:
        longest = max((name for name in kept if name != _LEFT_OUT), key=lambda name: len(json.dumps(kept[name])))
        left_out.append(longest)
        del kept[longest]
        kept[_LEFT_OUT] = left_out
    return text


class StatusPublisher(WorkerThread):
    """Keeps the status in Redis fresh, on a thread of its own: during a long batch the owner is still seen.

    Args:
        status: what is published.
        redis: a connection of its own.
        keys: of the partition.
    """

    def __init__(self, status: Status, redis: Redis, keys: PartitionKeys) -> None:
        super().__init__("status")
        self._status = status
        self._redis = redis
        self._keys = keys
        self._key = keys.status

    def work(self) -> None:
        """Publish it again and again until stopped, then delete it."""
        while not self._stopping.is_set():
            healthy, fields = self._status.health()
            with suppress(RedisError):  # the engine thread notices it and logs it
                self._publish(bounded({"healthy": healthy, **fields}))
            self._stopping.wait(_EVERY_S)
        with suppress(RedisError):
            self._withdraw()
        self._redis.close()

    def _withdraw(self) -> None:
        """Delete it, unless it is a successor's by now."""
        _, ours = self._status.health()
        found = read_status(self._redis, self._keys)
        if found is not None and (found.get("pid"), found.get("host")) == (ours["pid"], ours["host"]):
            self._redis.delete(self._key)

    def _publish(self, text: str) -> None:
        try:
            self._redis.set(self._key, text, ex=_EXPIRES_S)
        except OutOfMemoryError:  # the older status still shows that there is an owner
            self._redis.expire(self._key, _EXPIRES_S)
