"""Who could reach the page, and whether it may start like this."""

from __future__ import annotations

import ipaddress

from celery_recommender.settings import Settings
from celery_recommender.web.security.users import UsersFile
from recommender_engine.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(settings: Settings) -> None:
    """See to it that only known people reach the page.

    Raises:
        ConfigurationError: says which setting is missing or wrong.
    """
    if settings.web_users is not None and not UsersFile(settings.web_users).all():
        raise ConfigurationError(
            f"RECOMMENDER_WEB_USERS={str(settings.web_users)!r}: there is no user in it: recommender web user add NAME"
        )
    if settings.web_proxy_header and not (settings.web_proxy_peers or settings.web_proxy_secret):
        raise ConfigurationError(
            "RECOMMENDER_WEB_PROXY_HEADER: anybody could send this header: set RECOMMENDER_WEB_PROXY_PEERS to the"
            " addresses of the proxy, or RECOMMENDER_WEB_PROXY_SECRET"
        )
    if settings.web_users is not None or settings.web_proxy_header:
        return
    advice = (
        "set RECOMMENDER_WEB_USERS to a file and add users with `recommender web user add NAME`, or"
        " RECOMMENDER_WEB_PROXY_HEADER to the header of a proxy that authenticates"
    )
    if not is_loopback(settings.web_host):
        raise ConfigurationError(f"RECOMMENDER_WEB_HOST={settings.web_host!r} is reached from other machines: {advice}")
    if settings.web_hosts:
        raise ConfigurationError(f"RECOMMENDER_WEB_HOSTS: with names, others reach the page through a proxy: {advice}")
