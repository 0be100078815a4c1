"""Sessions of users who logged in, in Redis: bounded in number, each with an end."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

from redis import Redis

MOST_SESSIONS = 10_000
_ATTEMPTS, _ATTEMPTS_WITHIN_S = 10, 900


class Sessions:
    """Sessions by token. Redis holds a hash of the token, so that a reader of Redis cannot use one.

    Args:
        redis: the server.
        prefix: of the keys (``PartitionKeys.web``).
        hours: until a session ends.
    """

    def __init__(self, redis: Redis, prefix: str, hours: float) -> None:
        self._redis = redis
        self._key = f"{prefix}session:"
        self._ends = f"{prefix}sessions"
        self._attempts = f"{prefix}attempts:"
        self._seconds = max(60, int(hours * 3600))

    def begin(self, holder: str) -> str:
        """A new session of a holder; returns its token. Beyond ``MOST_SESSIONS`` the one that ends first is ended."""
        token, now = new_token(), time.time()
        named = _hashed(token)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(self._ends, 0, now)
            pipe.set(self._key + named, holder, ex=self._seconds)
            pipe.zadd(self._ends, {named: now + self._seconds})
            pipe.expire(self._ends, self._seconds)
            pipe.zcard(self._ends)
            count = int(pipe.execute()[-1])
        if count > MOST_SESSIONS:
            popped: Any = self._redis.zpopmin(self._ends, count - MOST_SESSIONS)
            self._redis.delete(*(self._key + old.decode() for old, _ in popped))
        return token

    def holder(self, token: str) -> str | None:
        """Whose a session is; ``None`` after its end."""
        name: Any = self._redis.get(self._key + _hashed(token))
        return None if name is None else name.decode()

    def end(self, token: str) -> None:
        """Log out."""
        named = _hashed(token)
        self._redis.delete(self._key + named)
        self._redis.zrem(self._ends, named)

    def may_try(self, who: str) -> bool:
        """Count an attempt to log in; whether it may be made: ten in a quarter of an hour for each name."""
        key = self._attempts + _hashed(who)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(key, 0, ex=_ATTEMPTS_WITHIN_S, nx=True)
            pipe.incr(key)
            return int(pipe.execute()[-1]) <= _ATTEMPTS

    def forget_attempts(self, who: str) -> None:
        """After a right password."""
        self._redis.delete(self._attempts + _hashed(who))


def new_token() -> str:
    """A random token of 256 bits."""
    return secrets.token_urlsafe(32)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
