"""The server of the streams as a user's Celery app names it: its broker, where that is Redis or Valkey.

The owner in the app and the producers of the app read the same settings, so they agree without being told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from celery import Celery

from recommender.errors import ConfigurationError
from workers.broker.connections import connect, masked
from workers.settings import Settings

_TCP = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}
_SOCKETS = {"redis+socket", "valkey+socket", "unix"}
_TLS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_ca_path"}
_INSTEAD = "set RECOMMENDER_REDIS_URL to the Redis or Valkey server of the streams"


def with_server_of(app: Celery, settings: Settings) -> Settings:
    """The settings with the server and the key prefix of the app's broker, where they name no server.

    Args:
        app: whose ``broker_url`` (or ``broker_write_url``), ``broker_use_ssl`` and ``broker_transport_options`` count.
        settings: of the process; a ``redis_url`` in them wins.

    Raises:
        ConfigurationError: the broker is neither Redis nor Valkey, or its options cannot be taken over; the message
            names the option.
    """
    if settings.redis_url:
        return settings
    options: Mapping[str, Any] = app.conf.broker_transport_options or {}
    url = _server_url(_broker_urls(app), options, app.conf.broker_use_ssl)
    connect(url).close()  # it has not connected, but it has read the URL
    prefix = str(options.get("global_keyprefix") or "")
    if not prefix or settings.key_prefix:
        return settings.replaced(redis_url=url)
    try:
        return settings.replaced(redis_url=url, key_prefix=prefix)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"broker_transport_options['global_keyprefix']={prefix!r} cannot be the prefix of the streams ({error}): "
            f"{_INSTEAD}, with a RECOMMENDER_KEY_PREFIX"
        ) from None


def _broker_urls(app: Celery) -> list[str]:
    said: Any = app.conf.broker_write_url or ""
    parts = said if isinstance(said, list | tuple) else [said]
    return [one.strip() for part in parts for one in str(part).split(";") if one.strip()]


def _server_url(urls: list[str], options: Mapping[str, Any], tls: Any) -> str:
    scheme = urlsplit(urls[0]).scheme if urls else ""
    if options.get("credential_provider") or any("credential_provider=" in url for url in urls):
        raise ConfigurationError(f"the broker's credential_provider cannot be taken over: {_INSTEAD}")
    if scheme == "sentinel":
        return _sentinel_url(urls, options, tls)
    if scheme not in _TCP.keys() | _SOCKETS:
        named = f"the app's broker ({masked(urls[0])}) is neither Redis nor Valkey" if urls else "the app has no broker"
        raise ConfigurationError(f"{named}, and RECOMMENDER_REDIS_URL is not set: {_INSTEAD}")
    if len(urls) > 1:
        raise ConfigurationError(
            f"broker_url names {len(urls)} servers ({', '.join(map(masked, urls))}), and streams are on one: {_INSTEAD}"
        )
    return _socket_url(urls[0]) if scheme in _SOCKETS else _tcp_url(urls[0], scheme, tls)


def _tcp_url(url: str, scheme: str, tls: Any) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = query.pop("virtual_host", "").strip("/") or parts.path.strip("/")
    query |= _tls_options(tls)
    if "ssl_cert_reqs" in query:  # Celery takes the names of Python's constants too
        query["ssl_cert_reqs"] = query["ssl_cert_reqs"].removeprefix("CERT_").lower()
    scheme = "rediss" if tls else _TCP[scheme]
    return f"{scheme}://{parts.netloc}/{database}{'?' if query else ''}{urlencode(query)}"


def _tls_options(tls: Any) -> dict[str, str]:
    """``broker_use_ssl`` as options of a URL."""
    if not isinstance(tls, Mapping):
        return {}
    if unknown := sorted(map(str, tls.keys() - _TLS)):
        raise ConfigurationError(f"broker_use_ssl[{unknown[0]!r}] cannot be taken over: {_INSTEAD}")
    return {str(name): str(getattr(value, "name", value)) for name, value in tls.items() if value is not None}


def _socket_url(url: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    said = {
        "db": query.get("virtual_host", query.get("db", "0")).strip("/") or "0",
        "username": query.get("username") or unquote(parts.username or ""),
        "password": query.get("password") or unquote(parts.password or ""),
    }
    return f"unix://{parts.path}?{urlencode({name: value for name, value in said.items() if value})}"


def _sentinel_url(urls: list[str], options: Mapping[str, Any], tls: Any) -> str:
    service = options.get("master_name")
    if not service:
        raise ConfigurationError(
            "the app's broker is a Sentinel, and broker_transport_options['master_name'] is not set"
        )
    if options.get("sentinel_kwargs"):
        raise ConfigurationError(
            f"broker_transport_options['sentinel_kwargs'] cannot be taken over: {_INSTEAD}, as a sentinel:// URL"
        )
    parts = [urlsplit(url) for url in urls]
    hosts = ",".join(one.netloc.rpartition("@")[2] for one in parts)
    credentials = next((f"{user}@" for one in parts if (user := one.netloc.rpartition("@")[0])), "")
    database = next((path for one in parts if (path := one.path.strip("/"))), "0")
    return f"sentinel{'s' if tls else ''}://{credentials}{hosts}/{quote(str(service), safe='')}/{database}"
