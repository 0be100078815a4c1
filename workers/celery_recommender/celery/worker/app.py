"""The Celery apps of ``recommender worker`` and ``recommender embed-worker``, for those who have none of their own."""

from __future__ import annotations

from collections.abc import Mapping

from celery import Celery
from kombu.entity import Queue

from celery_recommender.broker.redis.connections import backend_options, celery_url, transport_options
from celery_recommender.celery.consumer.guarded_consumer import guard
from celery_recommender.celery.messages.parts import tell_what_is_missing
from celery_recommender.celery.tasks.embed import Embed
from celery_recommender.celery.worker.plugin import Plugin, attach
from celery_recommender.client import redis_url
from celery_recommender.owner.poison.watchdog import limit_s, watched
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
    backend = settings.result_backend or server
    prefixed = _prefixed(settings)
    app = _plain_app(
        settings.broker_url or server, prefixed, None if backend == "disabled" else celery_url(backend, backend=True)
    )
    app.conf.update(
        result_serializer="json",
        result_expires=settings.result_expires_s,
        result_backend_transport_options={} if backend == "disabled" else transport_options(backend) | prefixed,
        **backend_options(backend),
        worker_eta_task_limit=1000,  # tasks that wait to be tried again are kept in memory
    )
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
    prefixed = _prefixed(settings)
    app = _plain_app(broker, prefixed, None)
    app.conf.task_queues = [Queue(queue, routing_key=queue)]  # type: ignore[no-untyped-call]
    # What is unacknowledged lies where no other worker's messages do, so that a user of this role need not see those.
    apart = {name: f"{queue}.{name.removesuffix('_key')}" for name in _BOOKS}
    app.conf.broker_transport_options = {**transport_options(broker), **apart, **prefixed}
    plugin = attach(app, settings.replaced(redis_url=server), encoders)
    plugin.guard = lambda texts: watched(limit_s(settings.hang_after_s, texts))
    guard(app, lambda commands, requests: None, (Embed.name,))
    tell_what_is_missing()
    return app, plugin


def _prefixed(settings: Settings) -> dict[str, str]:
    """Celery's transport options for the key prefix."""
    return {"global_keyprefix": settings.key_prefix} if settings.key_prefix else {}


def _plain_app(broker: str, prefixed: Mapping[str, str], backend: str | None) -> Celery:
    app = Celery("recommender", broker=celery_url(broker), backend=backend, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        broker_transport_options={**transport_options(broker), **prefixed},
        visibility_timeout=600,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        enable_utc=True,
    )
    return app
