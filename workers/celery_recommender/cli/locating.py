"""Which partition a command of the command line is about."""

from __future__ import annotations

import shlex
from contextlib import suppress

import click

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.routing.routes import Routing, by_hash
from celery_recommender.celery.tasks.questions import Get, Overview
from celery_recommender.cli.asking import Ask, owner_or_state, server_at_work
from celery_recommender.cli.common import err, printable
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


_LOOKED_AT = 50  # a page of the overview


def point_to_collection(settings: Settings, item_id: str, collection: str) -> None:
    """Say on standard error which other collection has an item, if one of the first fifty of a partition has."""
    for partition in every_partition(settings):
        found = None
        with suppress(click.ClickException), owner_or_state(partition) as ask:  # only a hint
            found = _holding(ask, item_id, collection)
        if found is not None:
            err.print(printable(f"collection {found!r} has {item_id!r}: say --collection {shlex.quote(found)}"))
            return


def _holding(ask: Ask, item_id: str, but: str) -> str | None:
    page = ask(Overview, limit=_LOOKED_AT)
    names = (one["name"] for one in page["collections"] if one["name"] != but)
    return next((name for name in names if ask(Get, item_id, collection=name) is not None), None)


def every_partition(settings: Settings) -> list[Settings]:
    """The settings for each partition."""
    return [settings.replaced(partition=partition) for partition in settings.all_partitions]
