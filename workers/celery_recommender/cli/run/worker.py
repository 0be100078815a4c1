"""``recommender worker``."""

from __future__ import annotations

import click

from celery_recommender.celery.worker.app import make_app
from celery_recommender.cli.common import load_settings
from celery_recommender.cli.run.serving import serve, with_server
from celery_recommender.logs import begin_logs, configure_logs


@click.command()
@click.option("--partition", metavar="NAME", help="The partition to own.  [default: $RECOMMENDER_PARTITION or default]")
@click.option(
    "--concurrency", default=4, show_default=True, help="Questions (search, compare …) answered at the same time."
)
@click.option("--standby", is_flag=True, help="Wait while another process owns the partition, then take over.")
@click.pass_context
def worker(context: click.Context, partition: str | None, concurrency: int, standby: bool) -> None:
    """Own a partition: read its commands, decide, publish events, answer questions.

    This is a Celery worker with the owner in it. To run the owner in your own Celery app: docs/guide/celery.md.

    SIGTERM or Ctrl-C stop it after the current batch.
    """
    begin_logs()
    settings = load_settings(partition=partition, standby=standby or None)
    settings.require_member()
    configure_logs(settings)
    with with_server(settings) as settings:
        app, plugin = make_app(settings)
        plugin.require_fit(settings.partition)
        name = f"recommender-{settings.partition}"
        code = serve(app, name, settings, plugin.stop_owner, concurrency=concurrency, recommender=settings.partition)
    context.exit(code)
