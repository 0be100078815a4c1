"""Connections to the server that a URL names, and what Celery needs to reach the same one."""

from __future__ import annotations

import socket
import time
from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError  # noqa: A004
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from celery_recommender.broker.redis.availability import UNDERSTANDING, Denied
from celery_recommender.broker.redis.naming import NamingRedis
from celery_recommender.broker.redis.patience import BoundedRetry
from celery_recommender.urls import ServerAddress, is_redis, masked

__all__ = ["backend_options", "celery_url", "connect", "is_redis", "masked", "memory_share", "transport_options"]

BLOCK_MS = 1000
"""How long a read of a stream waits at the server; below the socket timeout."""

_TIMEOUTS: dict[str, Any] = {"socket_timeout": 10.0, "socket_connect_timeout": 5.0}
_HEALTH_CHECK_INTERVAL_S = 10
# A peer that is gone without a word is noticed in about 25 seconds: by keepalive on a quiet connection, and by the last
# of these while something sent is not acknowledged yet, when keepalive does nothing.
_KEEPALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value
        for name, value in (
            *(("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)),
            ("TCP_USER_TIMEOUT", 25_000),
        )
        if hasattr(socket, name)
    },
}
# Sentinels are asked one after the other, and there are several.
_SENTINEL_TIMEOUTS: dict[str, Any] = {"socket_timeout": 2.0, "socket_connect_timeout": 1.0}
_ALL_AWAY_FOR_S = 2.0


def connect(url: str) -> Redis:
    """A client for the server at ``url``; it connects when first used.

    Writes are retried a few times, so everything that is written carries a key or an explicit id.

    Raises:
        ConfigurationError: the URL cannot be understood; says what to change, and not its password.
    """
    address = ServerAddress.parse(url)
    options: dict[str, Any] = {
        **_TIMEOUTS,
        **address.timeouts,
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "client_name": address.client_name,
        "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "protocol": 2,  # replies of one shape, whatever redis-py's default
        "retry": BoundedRetry(),
        "connection_class": UNDERSTANDING[address.kind],
        **address.tls,
    }
    if address.kind == "unix":
        return NamingRedis.from_pool(ConnectionPool(path=address.path, **options))
    options |= _KEEPALIVE
    if address.over_sentinel:
        return _from_sentinel(address, options)
    host, port = address.hosts[0]
    return NamingRedis.from_pool(ConnectionPool(host=host, port=port, **options))


class SentinelLogin:
    """Logs in at a Sentinel, with the password that it wants if it wants one.

    Many set-ups have one password for servers and Sentinels, as many have Sentinels without any, and a Sentinel that
    has none refuses one.

    Args:
        address: what the URL says.
    """

    def __init__(self, address: ServerAddress) -> None:
        self._logins: list[tuple[str, ...]]
        if address.sentinel_password is not None:
            user, password = address.sentinel_username, address.sentinel_password
            self._logins = [(user, password) if user else (password,)]
        elif address.password is not None:
            self._logins = [(address.password,)]
            if address.username:
                self._logins.append((address.username, address.password))
        else:
            self._logins = []

    def __call__(self, connection: Any) -> None:
        """Begin a connection, as redis-py does after it has connected."""
        for command in (("PING",), *(("AUTH", *login) for login in self._logins)):
            # As redis-py begins. Again each time: a parser that has raised this kind of error would read it once more.
            connection._parser.on_connect(connection)  # noqa: SLF001
            connection.send_command(*command, check_health=False)
            try:
                connection.read_response(disconnect_on_error=False)
            except AuthenticationError as error:
                refused = error
            else:
                return
        raise refused


class _Sentinel(Sentinel):
    """Names no master while a failover is under way: the old one may be up again and would lose what it is sent.

    What is wrong it says in one sentence. While no Sentinel answers, they are not all asked again for each attempt.
    """

    _asked_again_s = 0.0
    _all_away = ""

    def check_master_state(self, state: dict[str, Any], service_name: str) -> bool:
        """Whether ``state``, the sentinel's view of the master, is one to connect to."""
        fit: bool = super().check_master_state(state, service_name)  # type: ignore[no-untyped-call]
        return fit and "failover_in_progress" not in state["flags"]

    def discover_master(self, service_name: str) -> Any:
        """Address of the master.

        Raises:
            MasterNotFoundError: there is none at the moment, or no Sentinel answers.
            Denied: no Sentinel lets us in.
        """
        if time.monotonic() < self._asked_again_s:
            raise MasterNotFoundError(self._all_away)
        refusals: list[RedisError] = []
        unknown = False
        for number, sentinel in enumerate(self.sentinels):
            try:
                masters: Any = sentinel.sentinel_masters()
                state = masters.get(service_name)
            except (ConnectionError, TimeoutError) as error:
                refusals.append(error)
                continue
            if state and self.check_master_state(state, service_name):
                self.sentinels[0], self.sentinels[number] = sentinel, self.sentinels[0]
                return state["ip"], state["port"]
            unknown = unknown or not state
        raise self._why(service_name, refusals, unknown)

    def _why(self, service_name: str, refusals: list[RedisError], unknown: bool) -> RedisError:
        sentinels = ", ".join(
            f"{kwargs['host']}:{kwargs['port']}"
            for kwargs in (one.connection_pool.connection_kwargs for one in self.sentinels)
        )
        if len(refusals) < len(self.sentinels):
            what = "they do not know it: is the service's name right?" if unknown else "it is down, or being replaced"
            return MasterNotFoundError(f"the Sentinels {sentinels} name no master for {service_name!r}: {what}")
        if denied := [one for one in refusals if isinstance(one, AuthenticationError)]:
            return Denied(
                f"the Sentinels {sentinels} refuse the password, or want one: ?sentinel_password=… (and"
                f" ?sentinel_username=…) in the URL says it; they say: {denied[0]}"
            )
        self._asked_again_s = time.monotonic() + _ALL_AWAY_FOR_S
        self._all_away = f"none of the Sentinels {sentinels} answers: {refusals[0]}"
        return MasterNotFoundError(self._all_away)


def _sentinel_options(address: ServerAddress) -> dict[str, Any]:
    """Of the connections to the Sentinels themselves."""
    return {
        **_SENTINEL_TIMEOUTS,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": SentinelLogin(address),
    }


def _from_sentinel(address: ServerAddress, options: dict[str, Any]) -> Redis:
    sentinel = _Sentinel(list(address.hosts), sentinel_kwargs=_sentinel_options(address), **options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(address.service, NamingRedis)  # type: ignore[no-untyped-call]
    return client


def celery_url(url: str, *, backend: bool = False) -> str:
    """The URL as Celery names the same server as broker or result backend; a URL of another kind unchanged.

    Raises:
        ConfigurationError: it cannot be understood, or Celery would reach it without the TLS that it asks for.
    """
    return ServerAddress.parse(url).celery_url(backend=backend) if is_redis(url) else url


def transport_options(url: str) -> dict[str, Any]:
    """Celery's transport options for the server at ``url``."""
    options: dict[str, Any] = {
        "visibility_timeout": 600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "priority_steps": [0],
        **_TIMEOUTS,
    }
    if not is_redis(url):
        return options | _KEEPALIVE
    address = ServerAddress.parse(url)
    options |= address.timeouts
    if address.client_name:
        options["client_name"] = address.client_name
    if address.kind != "unix":
        options |= _KEEPALIVE
    if address.over_sentinel:
        options |= {"master_name": address.service, "sentinel_kwargs": _sentinel_options(address)}
    return options


def memory_share(redis: Redis) -> float | None:
    """Which part of its ``maxmemory`` the server has used; ``None`` when it has none."""
    memory: Any = redis.info("memory")
    most = int(memory.get("maxmemory") or 0)
    return int(memory["used_memory"]) / most if most else None


def backend_options(url: str) -> dict[str, Any]:
    """Celery's settings for a result backend at ``url``: of its transport options it does not read the timeouts."""
    address = ServerAddress.parse(url) if is_redis(url) else None
    timeouts = {**_TIMEOUTS, **(address.timeouts if address else {})}
    options: dict[str, Any] = {
        "redis_socket_timeout": timeouts["socket_timeout"],
        "redis_socket_connect_timeout": timeouts["socket_connect_timeout"],
        "redis_backend_health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "redis_retry_on_timeout": True,
    }
    if address is None or address.kind != "unix":
        options["redis_socket_keepalive"] = True
    if address is not None and "ssl_check_hostname" in address.tls:
        options["redis_backend_use_ssl"] = dict(address.tls)
    return options
