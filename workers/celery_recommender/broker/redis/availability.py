"""What the errors of a Redis server mean: it is away for a while, or something is wrong that no waiting mends.

=====================================================  ===============================================================
away: wait and try again                               wrong: end with the message
=====================================================  ===============================================================
refused, reset, timed out, garbled connections         ``WRONGPASS``, ``NOAUTH``, ``NOPERM``: the user or its rights
``LOADING``, ``MASTERDOWN``, ``BUSY``, ``CLUSTERDOWN``  ``WRONGTYPE``: another type is under one of our keys
``READONLY``, ``UNBLOCKED``: no longer the master      an unknown command: the server is too old
``NOREPLICAS``, ``MISCONF``, ``OOM``: takes no writes  any other answer: a defect
=====================================================  ===============================================================

redis-py retries what it calls a connection error and hands everything else on. So an answer of a server that is no
longer the master becomes one: the connection is closed, and the next attempt looks for the master anew.
"""

from __future__ import annotations

from typing import Any

from redis import exceptions
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection


class NotNow(exceptions.ResponseError):
    """The server is there and does not take the command at the moment."""


class Denied(exceptions.RedisError):
    """The server does not know us: wrong user or password."""


AWAY: tuple[type[exceptions.RedisError], ...] = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    NotNow,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.WatchError,
)
"""Errors after which waiting helps. Of connections that were made here: see `UNDERSTANDING`."""

_NOT_NOW = frozenset({"BUSY", "MISCONF", "NOREPLICAS"})
_ELSEWHERE = frozenset({"UNBLOCKED"})


class _Understanding:
    """Reads what the server answers as one of the kinds above."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        """As in redis-py."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except (exceptions.ResponseError, exceptions.AuthenticationError) as error:
            meant = _meant(error)
            if isinstance(meant, exceptions.ConnectionError):
                self.disconnect()  # type: ignore[attr-defined]
            if meant is error:
                raise
            raise meant from error


def _meant(error: exceptions.RedisError) -> exceptions.RedisError:
    code = str(error).partition(" ")[0]
    if isinstance(error, exceptions.ReadOnlyError | exceptions.MasterDownError) or code in _ELSEWHERE:
        return exceptions.ConnectionError(f"not the master (any more): {error}")
    if isinstance(error, exceptions.AuthenticationError):
        return Denied(str(error))
    return NotNow(str(error)) if code in _NOT_NOW else error


class _TcpConnection(_Understanding, Connection):
    pass


class _TlsConnection(_Understanding, SSLConnection):
    pass


class _UnixConnection(_Understanding, UnixDomainSocketConnection):
    pass


class _SentinelConnection(_Understanding, SentinelManagedConnection):
    pass


class _SentinelTlsConnection(_Understanding, SentinelManagedSSLConnection):
    pass


UNDERSTANDING: dict[str, type] = {
    "tcp": _TcpConnection,
    "tls": _TlsConnection,
    "unix": _UnixConnection,
    "sentinel": _SentinelConnection,
    "sentinel-tls": _SentinelTlsConnection,
}
"""The class of connection for each kind of address."""
