"""What commands have in common that are Celery workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from celery.utils.nodenames import host_format

from workers.broker.embedded import EmbeddedServer
from workers.settings import Settings


@contextmanager
def with_server(settings: Settings) -> Iterator[Settings]:
    """The settings with a server of our own where they name none; it ends with the last who needs it."""
    if settings.redis_url:
        yield settings
        return
    server = EmbeddedServer(settings.state_dir / "redis")
    settings = settings.replaced(redis_url=server.ensure())
    try:
        yield settings
    finally:
        server.release()


def serve(app: Celery, name: str, settings: Settings, **options: object) -> int:
    """Be a worker until it is told to stop; returns its exit code.

    Args:
        app: its tasks and queues.
        name: of this worker, before the name of the host.
        settings: of this process.
        options: of the worker; ``concurrency`` among them.
    """
    worker = app.Worker(
        hostname=host_format(f"{name}@%h"),
        pool_cls="threads",
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        **options,
    )
    worker.start()
    return worker.exitcode or 0
