"""The Celery apps of ``recommender worker`` and ``recommender embed-worker``, for users without an app of their own."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from celery_recommender.broker.redis.connections import transport_options
from celery_recommender.broker.redis.embedded import redis_url
from celery_recommender.celery.consumer.guarded_consumer import guard
from celery_recommender.celery.messages.parts import tell_what_is_missing
from celery_recommender.celery.tasks.embed import Embed
from celery_recommender.celery.worker.plugin import Plugin, attach
from celery_recommender.owner.poison.watchdog import limit_s, watched
from celery_recommender.plain_app import app_with_results, plain_app, prefixed
from celery_recommender.settings import Settings
from recommender_engine.embedding import Encoders

_BOOKS = ("unacked_key", "unacked_index_key", "unacked_mutex_key")


def make_app(settings: Settings, encoders: Encoders | None = None) -> tuple[Celery, Plugin]:
    """An app with the recommender attached and nothing else: JSON only, no remote control, no events, guarded.

    Args:
        settings: of this process.
        encoders: embedding models to use instead of those the settings name.

    Raises:
        ConfigurationError: Celery does not reach the server.
    """
    server = redis_url(settings)
    app = app_with_results(settings, server)
    app.conf.update(worker_eta_task_limit=1000)  # tasks that wait to be tried again are kept in memory
    plugin = attach(app, settings.replaced(redis_url=server), encoders)
    guard(app, plugin.append)
    return app, plugin


def make_embed_app(settings: Settings, encoders: Encoders | None = None) -> tuple[Celery, Plugin]:
    """An app whose workers embed for owners: it consumes their queue only, executes nothing else and keeps no results.

    A message that it refuses is logged and dropped: nothing is lost by it, owners ask again. A batch that does not
    come back ends the process.

    Args:
        settings: of this process.
        encoders: embedding models to use instead of those the settings name.

    Raises:
        ConfigurationError: Celery does not reach the server.
    """
    server = redis_url(settings)
    broker, queue = settings.broker_url or server, settings.embed_queue
    app = plain_app(broker, settings, None)
    app.conf.task_queues = [Queue(queue, routing_key=queue)]  # type: ignore[no-untyped-call]
    # What is unacknowledged lies where no other worker's messages do, so that a user of this role need not see those.
    apart = {name: f"{queue}.{name.removesuffix('_key')}" for name in _BOOKS}
    app.conf.broker_transport_options = {**transport_options(broker), **apart, **prefixed(settings)}
    plugin = attach(app, settings.replaced(redis_url=server), encoders)
    plugin.guard = lambda texts: watched(limit_s(settings.hang_after_s, texts))
    guard(app, lambda commands, requests: None, (Embed.name,))
    tell_what_is_missing()
    return app, plugin
