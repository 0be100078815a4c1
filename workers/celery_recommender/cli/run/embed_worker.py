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

    This is a stateless Celery worker: start and kill as many as you like. Each uses all processors that it may, or the
    GPU. It needs the Redis server and the model of the owner, and refuses another model. To run it in your own Celery
    app: `celery -A yourapp worker -Q recommender-embed`.

    SIGTERM or Ctrl-C stop it after the current batch.
    """
    begin_logs()
    settings = load_settings()
    configure_logs(settings)
    settings = named_server(settings)
    with suppress(RedisError):  # a server that is away is waited for
        require_usable(settings.redis_url)
    app, plugin = make_embed_app(settings)
    plugin.encoders.encoder(DEFAULT_MODEL)  # before the first request
    code = serve(app, f"recommender-embed-{os.getpid()}", settings, concurrency=1)
    context.exit(code)
