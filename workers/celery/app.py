"""The Celery app of ``recommender worker``, for those who have none of their own."""

from __future__ import annotations

from celery import Celery

from recommender.embedding import Encoders
from workers.broker.connections import backend_options, celery_url, connect, transport_options
from workers.celery.door import guard
from workers.celery.plugin import Plugin, attach
from workers.client import redis_url
from workers.settings import Settings


def make_app(settings: Settings, encoders: Encoders | None = None) -> tuple[Celery, Plugin]:
    """An app with the recommender attached and nothing else: JSON only, no remote control, no events, guarded.

    Args:
        settings: of this process.
        encoders: embedding models to use instead of those the settings name.

    Raises:
        ConfigurationError: the server's URL is none.
    """
    server = redis_url(settings)
    connect(server).close()  # it has not connected, but it has read the URL
    broker = settings.broker_url or server
    backend = settings.result_backend or server
    app = Celery(
        "recommender",
        broker=celery_url(broker),
        backend=None if backend == "disabled" else celery_url(backend),
        set_as_current=False,
    )
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_expires=settings.result_expires_s,
        broker_transport_options=transport_options(broker),
        result_backend_transport_options={} if backend == "disabled" else transport_options(backend),
        **backend_options(backend),
        visibility_timeout=600,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        worker_prefetch_multiplier=1,
        worker_eta_task_limit=1000,  # tasks that wait to be tried again are kept in memory
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        enable_utc=True,
    )
    plugin = attach(app, settings.replaced(redis_url=server), encoders)
    guard(app, plugin.append)
    return app, plugin
