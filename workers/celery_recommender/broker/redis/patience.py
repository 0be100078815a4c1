"""How long an answer of the server is waited for: a limit for all attempts, and a shorter one at the end.

redis-py counts attempts, at several levels one inside of the other: against a server that takes connections and does
not answer, four attempts of ten seconds become sixteen.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError, TimeoutError  # noqa: A004
from redis.retry import Retry

T = TypeVar("T")

_IN_ALL_S = 15.0
_ATTEMPTS = 3
_LOOK_S = 2.0
_HURRIED_S = 0.5


class BoundedRetry(Retry):
    """A few more attempts, which begin within 15 seconds of the first one, over all levels of the call.

    Each connection has one of its own.
    """

    def __init__(self) -> None:
        super().__init__(ExponentialBackoff(cap=1.0, base=0.05), _ATTEMPTS)
        self._in_all_s = _IN_ALL_S
        self._begun_s: float | None = None

    def call_with_retry(self, do: Callable[[], T], fail: Callable[..., Any], *others: Any, **options: Any) -> T:
        """As in redis-py."""
        outermost = self._begun_s is None
        begun_s = self._begun_s = time.monotonic() if self._begun_s is None else self._begun_s

        def failed(error: Exception, *count: int) -> None:
            fail(error, *count)
            if time.monotonic() - begun_s >= self._in_all_s:
                raise error

        try:
            return super().call_with_retry(do, failed, *others, **options)
        finally:
            if outermost:
                self._begun_s = None

    def end(self) -> None:
        """The attempt under way is the last."""
        self._in_all_s = 0.0


class Connections:
    """The clients of one owner: once it is to end, none of its threads waits long for a server that does not answer.

    Args:
        connect: makes one.
    """

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect
        self._made: list[Redis] = []
        self._lock = Lock()
        self.hurried = False

    def __call__(self) -> Redis:
        """A client."""
        client = self._connect()
        with self._lock:
            self._made.append(client)
            if self.hurried:
                hurry(client)
        return client

    def await_end(self, thread: Thread, timeout_s: float) -> None:
        """Wait until a thread has ended that uses the clients."""
        deadline_s = time.monotonic() + timeout_s
        while thread.is_alive() and time.monotonic() < deadline_s:
            self._hurry_if_silent()
            thread.join(_LOOK_S)

    def _hurry_if_silent(self) -> None:
        if not self.hurried and is_silent(self._connect()):
            with self._lock:
                self.hurried = True
                for client in self._made:
                    hurry(client)


def is_silent(client: Redis) -> bool:
    """Whether a server neither answers within two seconds nor refuses the connection; the client is closed."""
    client.set_retry(Retry(NoBackoff(), 0))
    client.connection_pool.connection_kwargs |= {"socket_connect_timeout": _LOOK_S, "socket_timeout": _LOOK_S}
    try:
        client.ping()
    except TimeoutError:
        return True
    except (RedisError, OSError):
        return False
    finally:
        client.close()
    return False


def hurry(client: Redis) -> None:
    """What a client waits for fails now, and later requests fail within half a second."""
    pool = client.connection_pool
    timeouts = {"socket_connect_timeout": _HURRIED_S, "socket_timeout": _HURRIED_S}
    pool.connection_kwargs |= {**timeouts, "retry": Retry(NoBackoff(), 0)}
    for connection in (*pool._in_use_connections, *pool._available_connections):  # noqa: SLF001 (nothing public has them)
        if isinstance(connection.retry, BoundedRetry):
            connection.retry.end()
        for name, value in timeouts.items():
            setattr(connection, name, value)
        # The socket alone: closing what another thread reads from would look like a defect there.
        if (sock := connection._sock) is not None:  # noqa: SLF001
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
