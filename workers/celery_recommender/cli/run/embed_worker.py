"""``recommender embed-worker``."""

from __future__ import annotations

import os
from contextlib import suppress

import click
from redis.exceptions import RedisError

from celery_recommender.broker.redis.fitness import require_usable
from celery_recommender.celery.worker.app import make_embed_app
from celery_recommender.cli.asking import named_server
from celery_recommender.cli.common import load_settings
from celery_recommender.cli.run.serving import serve
from celery_recommender.logs import begin_logs, configure_logs
from recommender_engine.items import DEFAULT_MODEL


@click.command()
@click.pass_context
def embed_worker(context: click.Context) -> None:
    """Embed texts for the owners of partitions (RECOMMENDER_EMBED_WORKERS), on this machine or another.

    This is a Celery worker that keeps nothing: start as many as you like, kill them as you like. One of them uses all
    processors that it may, or the GPU. It needs the Redis server and the same model as the owner; with another one it
    refuses. To run it inside a Celery app of yours instead: `celery -A yourapp worker -Q recommender-embed`.

    It stops on SIGTERM or Ctrl-C after the batch in hand.
    """
    begin_logs()
    settings = load_settings()
    configure_logs(settings)
    settings = named_server(settings)
    with suppress(RedisError):  # a server that is away is waited for
        require_usable(settings.redis_url)
    app, plugin = make_embed_app(settings)
    plugin.encoders.encoder(DEFAULT_MODEL)  # before anybody waits for it
    code = serve(app, f"recommender-embed-{os.getpid()}", settings, concurrency=1)
    context.exit(code)
