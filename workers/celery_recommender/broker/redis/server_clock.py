"""What time it is at the server: the one clock by which ids of entries are given.

A worker's own clock may be set wrongly, jump or stand still. Ages, due times and what is late are therefore measured
against the server's, carried on between two readings by the monotonic clock.
"""

from __future__ import annotations

import time
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError


class ServerClock:
    """Milliseconds since 1970 as the server sees them; until it has been asked, as this machine does.

    Args:
        redis: the server.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ahead_s = time.time() - time.monotonic()

    def adjust(self) -> None:
        """Ask the server. One that does not tell (before Redis 7) is asked with ``TIME``; where our user may not, it is
        taken to have the time of this machine."""
        asked_s = time.monotonic()
        info: Any = self._redis.info("server")
        answered_s = time.monotonic()
        said_us = info.get("server_time_usec")
        at_server_s = self._told_s() if said_us is None else int(said_us) / 1_000_000
        self._ahead_s = at_server_s - (asked_s + answered_s) / 2

    def _told_s(self) -> float:
        try:
            told: Any = self._redis.time()
        except NoPermissionError:
            return time.time()
        return int(told[0]) + int(told[1]) / 1_000_000

    def now_ms(self) -> int:
        """The time now."""
        return int((time.monotonic() + self._ahead_s) * 1000)
