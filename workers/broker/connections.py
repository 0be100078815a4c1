"""One URL, understood by redis-py and by Celery alike."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from recommender.errors import ConfigurationError
from workers.broker.availability import UNDERSTANDING

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
_SCHEMES = ("redis", "rediss", "unix", "sentinel", "sentinels")


@dataclass(frozen=True)
class SentinelAddress:
    """What a ``sentinel://[user:password@]host:port[,host:port…]/SERVICE[/DB]`` URL says."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int
    username: str | None
    password: str | None
    tls: bool

    @classmethod
    def parse(cls, url: str) -> SentinelAddress:
        """Read the URL.

        Raises:
            ConfigurationError: it has no service name or no host.
        """
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        service, _, db = parts.path.strip("/").partition("/")
        if not service or not hosts or not re.fullmatch(r"\d*", db):
            raise ConfigurationError(
                f"{masked(url)} is not sentinel://[user:password@]host:port[,host:port…]/SERVICE[/DB]"
            )
        return cls(
            tuple((host, int(port or 26379)) for host, _, port in (one.partition(":") for one in hosts.split(","))),
            service,
            int(db or 0),
            unquote(user) or None,
            unquote(password) or None,
            parts.scheme == "sentinels",
        )


def connect(url: str) -> Redis:
    """A client for the server at ``url``; it connects when first used.

    Writes are retried a few times, so everything that is written carries a key or an explicit id.

    Raises:
        ConfigurationError: the URL is of no kind we know.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise ConfigurationError(
            f"{masked(url)}: the URL must begin with one of {', '.join(s + '://' for s in _SCHEMES)}"
        )
    options: dict[str, Any] = {
        **_TIMEOUTS,
        "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "protocol": 2,  # replies of one shape, whatever redis-py's default
        "retry": Retry(ExponentialBackoff(cap=1.0, base=0.05), 3),
        "connection_class": UNDERSTANDING[scheme],
    }
    if scheme in ("sentinel", "sentinels"):
        return _from_sentinel(SentinelAddress.parse(url), options | _KEEPALIVE)
    if scheme == "unix":
        url, credentials = _without_credentials(url)
        options |= credentials
    else:
        options |= _KEEPALIVE
    try:
        return Redis.from_url(url, **options)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{masked(url)}: {error}") from None


def _without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The URL without the user and password of its query, and these: before release 8, redis-py decodes them twice."""
    place, _, said = url.partition("?")
    query = parse_qsl(said, keep_blank_values=True)
    credentials = {name: value for name, value in query if name in ("username", "password")}
    rest = urlencode([(name, value) for name, value in query if name not in credentials])
    return f"{place}?{rest}", credentials


class _Sentinel(Sentinel):
    """Names no master while a failover is under way: the old one may be up again and would lose what it is sent."""

    def check_master_state(self, state: dict[str, Any], service_name: str) -> bool:
        """Whether ``state``, the sentinel's view of the master, is one to connect to."""
        fit: bool = super().check_master_state(state, service_name)  # type: ignore[no-untyped-call]
        return fit and "failover_in_progress" not in state["flags"]


def _from_sentinel(address: SentinelAddress, options: dict[str, Any]) -> Redis:
    options = {**options, "db": address.db, "username": address.username, "password": address.password}
    if address.tls:
        options["ssl"] = True
    sentinel = _Sentinel(list(address.hosts), sentinel_kwargs=_TIMEOUTS, **options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(address.service)  # type: ignore[no-untyped-call]
    return client


def celery_url(url: str) -> str:
    """The same server as Celery's broker and result backend name it.

    Raises:
        ConfigurationError: Celery would reach it without the TLS that the URL asks for.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        query = dict(parse_qsl(parts.query))
        user = unquote(parts.username or "") or query.get("username")
        password = unquote(parts.password or "") or query.get("password")
        return f"redis+socket://{_credentials(user, password)}{parts.path}?virtual_host={query.get('db', '0')}"
    if parts.scheme == "sentinels":
        raise ConfigurationError(
            f"{masked(url)}: Celery does not reach a server behind Sentinel over TLS; name another server with "
            "RECOMMENDER_BROKER_URL and RECOMMENDER_RESULT_BACKEND"
        )
    if parts.scheme == "sentinel":
        address = SentinelAddress.parse(url)
        user = _credentials(address.username, address.password)
        return ";".join(f"sentinel://{user}{host}:{port}/{address.db}" for host, port in address.hosts)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parts.query:
        return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=required"
    return url


def _credentials(user: str | None, password: str | None) -> str:
    return f"{quote(user or '', safe='')}:{quote(password, safe='')}@" if password else ""


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
    if urlsplit(url).scheme != "unix":
        options |= _KEEPALIVE
    if urlsplit(url).scheme in ("sentinel", "sentinels"):
        options["master_name"] = SentinelAddress.parse(url).service
    return options


def memory_share(redis: Redis) -> float | None:
    """Which part of its ``maxmemory`` the server has used; ``None`` when it has none."""
    memory: Any = redis.info("memory")
    most = int(memory.get("maxmemory") or 0)
    return int(memory["used_memory"]) / most if most else None


def backend_options(url: str) -> dict[str, Any]:
    """Celery's settings for a result backend at ``url``: of its transport options it does not read the timeouts."""
    options: dict[str, Any] = {
        "redis_socket_timeout": _TIMEOUTS["socket_timeout"],
        "redis_socket_connect_timeout": _TIMEOUTS["socket_connect_timeout"],
        "redis_backend_health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "redis_retry_on_timeout": True,
    }
    if urlsplit(url).scheme != "unix":
        options["redis_socket_keepalive"] = True
    return options


def masked(url: str) -> str:
    """The URL without its password, for messages and logs."""
    return re.sub(r"([?&]password=)[^&]*", r"\1***", re.sub(r"(//[^:@/?#]*):[^/?#]*@", r"\1:***@", url))
