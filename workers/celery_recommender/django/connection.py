"""The client of a process, with the server that the project's settings name."""

from __future__ import annotations

from functools import cache

from django.conf import settings as project

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.client import Client
from celery_recommender.settings import Settings


@cache
def client() -> Client:
    """The client. The server is ``RECOMMENDER_REDIS_URL`` of the environment or of the project's settings, or else
    ``CELERY_BROKER_URL`` if that is Redis.

    Raises:
        ConfigurationError: none of them names a server.
    """
    settings = Settings.from_environment()
    if not settings.redis_url:
        named = getattr(project, "RECOMMENDER_REDIS_URL", "") or _broker()
        settings = settings.replaced(redis_url=named) if named else settings
    return Client(settings)


def is_answered(collection: str) -> bool:
    """Whether a worker runs that answers questions about a collection: a page need not wait for one that does not.

    Raises:
        RedisError: the server does not answer.
        ConfigurationError: no server is named.
    """
    asking = client()
    keys = asking.partitions.of(asking.partitions.routing.partition_of(collection)).keys
    status = read_status(asking.redis, keys)
    return status is not None and status.get("state") == "running"


def _broker() -> str:
    broker = getattr(project, "CELERY_BROKER_URL", "")
    return broker if isinstance(broker, str) and broker.startswith(("redis://", "rediss://", "unix://")) else ""
