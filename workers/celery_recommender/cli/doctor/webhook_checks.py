"""Checks of ``recommender doctor`` on the endpoints that events are sent to; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator

from celery_recommender.cli.output.findings import Finding
from celery_recommender.settings import Settings
from celery_recommender.webhooks.addresses import is_permitted, resolve
from celery_recommender.webhooks.endpoints import Endpoint, read_endpoints
from recommender_engine.errors import ConfigurationError


def check_webhooks(settings: Settings) -> Iterator[Finding]:
    """Whether the file can be read, each host has an address, and it may be connected to."""
    try:
        endpoints = read_endpoints(settings.webhooks, settings.webhook_secret)
    except ConfigurationError as error:
        yield Finding("webhooks", "failed", str(error), "a worker does not start with it: docs/guide/webhooks.md")
        return
    yield from map(_check, endpoints)


def _check(endpoint: Endpoint) -> Finding:
    check = f"webhook {endpoint.name}"
    try:
        found = resolve(endpoint.host, endpoint.port)
    except OSError as error:
        return Finding(check, "failed", f"{endpoint.host} has no address: {error}", "is the name right, and DNS up?")
    permitted = [one for one in found if is_permitted(one, endpoint.allow, public=endpoint.tls)]
    if not permitted:
        return Finding(
            check,
            "failed",
            f"{endpoint.host} is {', '.join(found)}, which may not be connected to",
            "list its network in `allow` of the endpoint, if you mean it",
        )
    signed = f", {len(endpoint.keys)} secrets" if len(endpoint.keys) > 1 else ""
    return Finding(check, "ok", f"{endpoint.host} is {', '.join(permitted)}{signed}")
