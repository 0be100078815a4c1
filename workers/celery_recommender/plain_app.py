"""Celery apps with the settings' broker and results, and with no tasks: for workers of our own and for ``Client``."""

from __future__ import annotations

from celery import Celery

from celery_recommender.broker.redis.connections import backend_options, celery_url, transport_options
from celery_recommender.settings import Settings


def app_with_results(settings: Settings, server: str) -> Celery:
    """An app that sends tasks and reads their results, unless the settings disable results.

    Args:
        settings: of this process.
        server: URL of the server of the streams: of broker and results, where the settings name no others.
    """
    backend = settings.result_backend or server
    disabled = backend == "disabled"
    app = plain_app(settings.broker_url or server, settings, None if disabled else celery_url(backend, backend=True))
    app.conf.update(
        result_serializer="json",
        result_expires=settings.result_expires_s,
        result_backend_transport_options={} if disabled else transport_options(backend) | prefixed(settings),
        **backend_options(backend),
    )
    return app


def plain_app(broker: str, settings: Settings, backend: str | None) -> Celery:
    """An app: JSON only, no remote control, no events, and not Celery's current one.

    Args:
        broker: its URL.
        settings: of this process.
        backend: URL of results; ``None`` for none.
    """
    app = Celery("recommender", broker=celery_url(broker), backend=backend, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        broker_transport_options={**transport_options(broker), **prefixed(settings)},
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


def prefixed(settings: Settings) -> dict[str, str]:
    """Celery's transport options for the key prefix."""
    return {"global_keyprefix": settings.key_prefix} if settings.key_prefix else {}
