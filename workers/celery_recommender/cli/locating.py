"""Which partition a command of the command line is about."""

from __future__ import annotations

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.routing.routes import Routing, by_hash
from celery_recommender.cli.asking import server_at_work
from celery_recommender.settings import Settings


def located(settings: Settings, collection: str) -> Settings:
    """The settings with the partition of a collection as the one that is talked to."""
    if not settings.partitions:
        return settings
    url = server_at_work(settings)
    if url is None:  # a server of our own that is not running, and is not started to be asked
        partition = settings.route_of.get(collection) or by_hash(collection, settings.partitions)
    else:
        with connect(url) as redis:
            partition = Routing(redis, settings).asked_now(collection)
    return settings.replaced(partition=partition)


def every_partition(settings: Settings) -> list[Settings]:
    """The settings for each partition."""
    return [settings.replaced(partition=partition) for partition in settings.all_partitions]
