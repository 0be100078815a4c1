"""``recommender delete-collection``."""

from __future__ import annotations

from typing import Any

import click

from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.client import Client
from recommender_engine.items import CommandRejected


@click.command("delete-collection")
@click.argument("collection")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def delete_collection(context: click.Context, collection: str, *, yes: bool, as_json: bool) -> None:
    """Delete COLLECTION with its items, people's answers, learned model and settings.

    Only a backup brings it back. It is not found from that moment, and its name can be used again at once; its rows are
    removed in the background. The command is routed to the partition of the collection. The user of the Redis server
    needs the rights of a worker. Exit code 1 when the command is rejected.

    \b
    recommender delete-collection tickets-2019
    recommender delete-collection tickets-2019 --yes --json
    """
    if not yes:
        name = printable(repr(collection)).plain
        click.confirm(f"Delete the collection {name} with all that is in it?", abort=True, err=True)
    client = Client(require_server(load_settings()))
    try:
        event = outcome_of(client, client.delete_collection(collection))
    finally:
        client.close()
    if as_json:
        print_json(event["data"])
    else:
        out.print(printable(_sentence(event)))
    context.exit(1 if event["type"] == CommandRejected.type else 0)


def _sentence(event: dict[str, Any]) -> str:
    data = event["data"]
    if event["type"] == CommandRejected.type:
        return f"rejected: {data['message']}"
    if not data["items"]:
        return f"{data['collection']!r} is deleted, if there was one: it had no items"
    return f"{data['collection']!r} is deleted, with {data['items']:,} items"
