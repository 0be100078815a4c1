"""The server's time: ids of entries are given by it.

A worker's own clock may be set wrongly, jump or stand still. Ages, due times and what is late are therefore measured
against the server's, extrapolated between two readings by the monotonic clock.
"""

from __future__ import annotations

import time
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError


class ServerClock:
    """Milliseconds since 1970 by the server's clock; before the first reading, by this machine's.

    Args:
        redis: the server.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ahead_s = time.time() - time.monotonic()

    def adjust(self) -> None:
        """Read the server's clock: from ``INFO``, or with ``TIME`` (before Redis 7). Where our user may do neither, the
        time of this machine is taken."""
        asked_s = time.monotonic()
        info: Any = self._redis.info("server")
        answered_s = time.monotonic()
        server_us = info.get("server_time_usec")
        at_server_s = self._time_s() if server_us is None else int(server_us) / 1_000_000
        self._ahead_s = at_server_s - (asked_s + answered_s) / 2

    def _time_s(self) -> float:
        try:
            found: Any = self._redis.time()
        except NoPermissionError:
            return time.time()
        return int(found[0]) + int(found[1]) / 1_000_000

    def now_ms(self) -> int:
        """The time now."""
        return int((time.monotonic() + self._ahead_s) * 1000)
