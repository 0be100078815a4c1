"""``recommender worker``."""

from __future__ import annotations

import click

from celery_recommender.celery.worker.app import make_app
from celery_recommender.cli.common import load_settings
from celery_recommender.cli.run.serving import serve, with_server
from celery_recommender.logs import begin_logs, configure_logs


@click.command()
@click.option("--partition", metavar="NAME", help="The partition to own.  [default: $RECOMMENDER_PARTITION or default]")
@click.option("--concurrency", default=4, show_default=True, help="Questions (search, compare …) in hand at once.")
@click.option(
    "--standby", is_flag=True, help="While another process owns the partition, wait for it to go, and take over."
)
@click.pass_context
def worker(context: click.Context, partition: str | None, concurrency: int, standby: bool) -> None:
    """Own a partition: read its commands, decide, publish events, answer questions.

    This is a Celery worker with the owner in it. To run it inside a Celery app of yours instead, see
    docs/guide/celery.md: two lines, then `celery -A yourapp worker --pool threads --recommender default`.

    It stops on SIGTERM or Ctrl-C after the batch in hand. If it cannot go on it exits with a code other than 0, so
    that a supervisor starts it again.
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
