"""Whether a server is one that can be used, and what is to be changed where it is not."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from celery_recommender.broker.redis.availability import AWAY, Denied
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.settings import Settings
from celery_recommender.url_options import TLS_FILES
from celery_recommender.urls import ServerAddress
from recommender_engine.errors import ConfigurationError
from recommender_engine.event_log import event_log

log = event_log(__name__)

E = TypeVar("E", bound=BaseException)

_OLDEST_SERVER = (6, 2)
_LOOK_S = 2.0
_CONNECT_S = 3.0
_URL = "RECOMMENDER_REDIS_URL"
_KINDS = {
    **dict.fromkeys(("commands", "events", "dead_letters"), "stream"),
    **dict.fromkeys(("replies", "quarantined", "trimmed", "embed_requests"), "hash"),
    **dict.fromkeys(("status", "state", "lease", "epoch"), "string"),
    **dict.fromkeys(("embed_replies", "queue_key"), "list"),
}


class Unfit(ConfigurationError):
    """The server cannot be used; the message names the cause, the setting, and what to change."""


class Fault(NamedTuple):
    """What is wrong with a server.

    Attributes:
        check: what was looked at, in a word or two.
        fatal: whether no worker can run on it.
        found: what it is.
        advice: what to change.
    """

    check: str
    fatal: bool
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.found}: {self.advice}"


def require_fit(settings: Settings) -> None:
    """See to it that a worker can run on the server. What is only risky goes to the log.

    Raises:
        Unfit: it cannot.
    """
    url = settings.redis_url
    try:
        with connect_once(url) as redis:
            keys = PartitionKeys.of(settings.partition, settings.key_prefix)
            for fault in chain(faults(redis, url), taken(redis, keys)):
                if fault.fatal:
                    raise Unfit(str(fault))
                log.warning("server.risk", extra={"found": fault.found, "advice": fault.advice})
    except (RedisError, OSError) as error:
        known = explained(error, url)
        if isinstance(known, ConfigurationError):
            raise known from None
        log.warning("server.away", extra={"error": in_words(error)})  # it is waited for


def require_usable(url: str) -> None:
    """Check that a server answers and can be used, so that senders fail early.

    Raises:
        Unfit: it cannot be used.
        RedisError: it does not answer.
    """
    try:
        with connect_once(url) as redis:
            for fault in _faults_of(_hello(redis), url):
                if fault.fatal:
                    raise Unfit(str(fault))
    except (RedisError, OSError) as error:
        raise explained(error, url) from None


def _hello(redis: Redis) -> dict[str, Any]:
    """Facts of a server that every client may read, under the names of INFO."""
    try:
        answer: Any = redis.execute_command("HELLO")  # type: ignore[no-untyped-call]
    except NoPermissionError:
        return {}
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            return {"redis_version": "5"}
        raise
    if not isinstance(answer, dict):
        answer = dict(zip(answer[::2], answer[1::2], strict=True))
    words = {_text(name): value for name, value in answer.items()}
    return {f"redis_{name}": _text(words[name]) for name in ("mode", "version") if name in words} | {
        "role": _text(words.get("role", ""))
    }


def connect_once(url: str) -> Redis:
    """A client that does not try again: for whoever wants to know how the server is, and not that it gets well."""
    redis = connect(url)
    redis.set_retry(Retry(NoBackoff(), 0))
    redis.connection_pool.connection_kwargs |= {"socket_connect_timeout": _CONNECT_S, "socket_timeout": _CONNECT_S}
    return redis


def faults(redis: Redis, url: str) -> Iterator[Fault]:
    """What is wrong with the server; nothing where the user may not ask for it.

    Raises:
        RedisError: it is away, or refuses the connection.
    """
    with suppress(NoPermissionError):
        yield from _faults_of(redis.info(), url)


def _faults_of(info: Mapping[str, Any], url: str) -> Iterator[Fault]:
    if not info:
        return
    mode, server = info.get("redis_mode", ""), f"the server that {_URL} names"
    if info.get("cluster_enabled") or mode == "cluster":
        yield Fault(
            "cluster", True, f"{server} is a node of a Redis Cluster", "Redis Cluster is not supported: name another"
        )
    if mode == "sentinel":
        advice = "begin the URL with sentinel:// and end it with /SERVICE"
        yield Fault("server", True, f"{server} is a Sentinel", advice)
    if version(info) < _OLDEST_SERVER:
        shown = ".".join(map(str, version(info)))
        yield Fault("server", True, f"{server} is of version {shown}", "6.2 is the oldest that will do")
    if info.get("role") in ("slave", "replica") and not ServerAddress.parse(url).over_sentinel:
        master = f"{info['master_host']}:{info.get('master_port')}" if "master_host" in info else "another server"
        yield Fault(
            "role", True, f"{server} is a replica of {master}, which takes no writes", "name the master, or Sentinels"
        )
    policy = info.get("maxmemory_policy")
    if policy not in (None, "noeviction"):
        advice = "set maxmemory-policy noeviction, or the server throws commands away"
        yield Fault("eviction", False, f"maxmemory-policy {policy}", advice)
    if "aof_enabled" in info and not info["aof_enabled"]:
        advice = "set appendonly yes, or a restart loses what has not been read"
        yield Fault("persistence", False, "no append-only file", advice)


def taken(redis: Redis, keys: PartitionKeys) -> Iterator[Fault]:
    """Keys of a partition that hold something else, or that the user may not look at."""
    for field, expected in _KINDS.items():
        key = getattr(keys, field)
        try:
            kind = _text(redis.type(key))
        except NoPermissionError as error:
            if "key" not in str(error).partition("(")[0].lower():
                return  # it may not ask for any
            yield Fault("rights", True, f"the user of {_URL} may not use the key {key}", _RIGHTS)
            continue
        if kind not in ("none", expected):
            yield Fault("keys", True, f"the key {key} holds a {kind}, where a {expected} belongs", _ELSEWHERE)


_RIGHTS = (
    "give it the rights that docs/security.md lists, or set RECOMMENDER_KEY_PREFIX to the beginning of the keys that it"
    " may use"
)
_ELSEWHERE = (
    "something else uses it: rename that, or set RECOMMENDER_KEY_PREFIX, another RECOMMENDER_PARTITION, or another"
    f" database in {_URL}"
)


def explained(error: E, url: str) -> E | Unfit:
    """The same error, or one that says what to change, where waiting does not help.

    Args:
        error: what came of talking to the server.
        url: of the server.
    """
    if not url:
        return error
    text = str(error)
    if isinstance(error, Denied):
        return Unfit(f"the server refuses the user or password of {_URL}: {text}")
    if isinstance(error, NoPermissionError):
        return Unfit(f"the user of {_URL} lacks a right: {text}: {_RIGHTS}")
    if isinstance(error, ResponseError) and text.startswith("WRONGTYPE"):
        return Unfit(f"{text}: {_ELSEWHERE}")
    if isinstance(error, ResponseError) and "DB index" in text:
        return Unfit(f"the server has no database of the number that {_URL} names ({text}): take a lower one, or 0")
    if isinstance(error, ResponseError) and re.match("CROSSSLOT|MOVED|ASK ", text):
        return Unfit(f"the server that {_URL} names is a node of a Redis Cluster, which is not supported: name another")
    if isinstance(error, (*AWAY, OSError)) and (why := _of_another_kind(error, url)):
        return Unfit(why)
    return error


def in_words(error: BaseException) -> str:
    """An error of a server that is away, worded for finding the cause."""
    text = str(error)
    if isinstance(error, TimeoutError | RedisTimeoutError):
        if "connecting" in text:
            return f"no connection comes about ({text}): is it the right port, is it TLS, does a firewall let it pass?"
        return f"it takes connections and does not answer ({text}): it hangs, or is no Redis server"
    return text


def version(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Release of the server, by what it says of itself."""
    text = str(info.get("valkey_version") or info.get("redis_version") or "")
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _of_another_kind(error: BaseException, url: str) -> str:
    """Why the listener does not answer like Redis; empty if unknown."""
    address, text = ServerAddress.parse(url), str(error)
    for option in TLS_FILES:
        try:
            Path(address.tls.get(option, os.devnull)).open("rb").close()
        except OSError as fault:
            return f"{option}={address.tls[option]} in {_URL} cannot be read ({fault.strerror}): name another file"
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return (
            f"the certificate of the server that {_URL} names is not accepted ({text}): ssl_ca_certs=FILE in the URL"
            " says who vouches for it; and the host must be the one that it was made for"
        )
    if address.kind not in ("tcp", "tls"):
        return ""
    if address.kind == "tcp" and isinstance(error, TimeoutError | RedisTimeoutError):
        return ""  # it takes connections and does not answer
    spoken = _spoken(*address.hosts[0], address.kind == "tls")
    if address.kind == "tls" and spoken == "redis":
        return f"the server that {_URL} names speaks no TLS at this port: begin the URL with redis://"
    if address.kind == "tcp" and spoken == "tls":
        return f"the server that {_URL} names speaks TLS at this port: begin the URL with rediss://"
    if spoken == "other":
        return f"what {_URL} names is no Redis server: something else listens at this port (HTTP, perhaps)"
    return ""


def _spoken(host: str, port: int, not_tls: bool) -> str:
    """The protocol at a port: ``redis``, ``tls``, ``other``, or nothing if unknown.

    Args:
        host: of the server.
        port: of the server.
        not_tls: TLS has been tried.
    """
    answer = b""
    with suppress(OSError), socket.create_connection((host, port), _LOOK_S) as connection:
        connection.sendall(b"PING\r\n\r\n")
        answer = connection.recv(64)
    if answer[:1] in (b"+", b"-"):
        return "redis"
    if answer and not answer.startswith(b"\x15\x03"):
        return "other"
    if not_tls:
        return ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only to see whether it is TLS; nothing is sent
    with suppress(OSError), socket.create_connection((host, port), _LOOK_S) as plain, context.wrap_socket(plain):
        return "tls"
    return "tls" if answer else ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
