"""The server of the streams as a user's Celery app names it: its broker, where that is Redis or Valkey.

The owner in the app and the producers of the app read the same settings, so they agree without configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import Celery

from celery_recommender.settings import Settings
from celery_recommender.urls import Kind, ServerAddress, is_redis, masked
from recommender_engine.errors import ConfigurationError

_OVER_TLS: dict[str, Kind] = {"tcp": "tls", "sentinel": "sentinel-tls"}
_TLS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}
_LOGIN = ("username", "password")
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
    if options.get("credential_provider") or any("credential_provider=" in url for url in urls):
        raise ConfigurationError(f"the broker's credential_provider cannot be taken over: {_INSTEAD}")
    if not urls or not is_redis(urls[0]):
        named = f"the app's broker ({masked(urls[0])}) is neither Redis nor Valkey" if urls else "the app has no broker"
        raise ConfigurationError(f"{named}, and RECOMMENDER_REDIS_URL is not set: {_INSTEAD}")
    try:
        address = ServerAddress.parse(";".join(urls), str(options.get("master_name") or ""))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"broker_url (with broker_transport_options['master_name'] for Sentinels): {error}; or {_INSTEAD}"
        ) from None
    if tls:
        address = replace(address, kind=_OVER_TLS.get(address.kind, address.kind), tls=_tls_options(tls, address))
    return replace(address, **_sentinel_login(options.get("sentinel_kwargs") or {})).url()


def _tls_options(tls: Any, address: ServerAddress) -> dict[str, Any]:
    """``broker_use_ssl`` as options of redis-py."""
    given = dict(tls) if isinstance(tls, Mapping) else {}
    if unknown := sorted(map(str, given.keys() - _TLS)):
        raise ConfigurationError(f"broker_use_ssl[{unknown[0]!r}] cannot be taken over: {_INSTEAD}")
    certificates = given.get("ssl_cert_reqs")
    if certificates is not None:
        name = str(getattr(certificates, "name", certificates))
        given["ssl_cert_reqs"] = name.upper().removeprefix("CERT_").lower()
    return {**address.tls, **{name: value for name, value in given.items() if value is not None}}


def _sentinel_login(given: Mapping[str, Any]) -> dict[str, Any]:
    """``sentinel_kwargs``: credentials for the Sentinels; timeouts are those of this side."""
    unknown = sorted(name for name in map(str, given) if name not in _LOGIN and not name.startswith("socket_"))
    if unknown:
        raise ConfigurationError(
            f"broker_transport_options['sentinel_kwargs'][{unknown[0]!r}] cannot be taken over: {_INSTEAD}, as a"
            " sentinel:// URL"
        )
    return {f"sentinel_{name}": str(given[name]) for name in _LOGIN if given.get(name)}
