"""Makes the owner's side of the fleet from the settings."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.fleet.exchange import Exchange
from celery_recommender.fleet.fleet import Fleet, Outcome, Sizing
from celery_recommender.fleet.probe import probe_request
from celery_recommender.settings import Settings
from recommender_engine.embedding import Encoders
from recommender_engine.items import DEFAULT_MODEL

_LEAST_SHARE = 4  # a batch that is a quarter full is worth sending
_WAITS = 4  # a batch that is lost twice is waited for twice, and then embedded by the owner, under its watchdog


def make_fleet(
    settings: Settings,
    encoders: Encoders,
    connect: Callable[[], Redis],
    notify_embed_worker: Callable[[str], None],
    count: Callable[[Outcome], None],
) -> Fleet | None:
    """The fleet, not started; ``None`` where the owner embeds by itself.

    Args:
        settings: of the owner.
        encoders: its embedding models.
        connect: makes a connection to the server that holds the streams.
        notify_embed_worker: tells an embed worker that a request waits, by its id.
        count: called with the outcome of each batch.
    """
    if not settings.embed_workers:
        return None
    sizing = Sizing(
        settings.embed_workers,
        settings.embed_window,
        settings.batch_bytes // _LEAST_SHARE,
        max(2, settings.batch_items // _LEAST_SHARE),
        min(settings.embed_timeout_s, settings.hang_after_s / _WAITS),
    )
    exchange = Exchange(connect(), PartitionKeys.of(settings.partition, settings.key_prefix))
    return Fleet(
        sizing,
        lambda: probe_request(DEFAULT_MODEL, encoders.encoder(DEFAULT_MODEL).identity),
        exchange,
        notify_embed_worker,
        count,
    )
