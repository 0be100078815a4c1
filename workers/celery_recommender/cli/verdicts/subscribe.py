"""``recommender subscribe`` and ``recommender unsubscribe``."""

from __future__ import annotations

from typing import Any

import click

from celery_recommender.cli.asking import require_server
from celery_recommender.cli.common import collection_option, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.cli.output.event_lines import event_line
from celery_recommender.client import Client
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import RecommendationsSubscribed


def _options(function: Any) -> Any:
    for option in (
        click.option("--scenario", metavar="NAME", help="Options of the list, from the settings of the collection."),
        click.option("--user", metavar="ID", help="The list of this user."),
        click.option("--item", metavar="ID", help="The list of this item."),
    ):
        function = option(function)
    return collection_option(json_option(function))


@click.command()
@_options
@click.pass_context
def subscribe(context: click.Context, /, **which: Any) -> None:
    """Publish the list of an item, or of a user, whenever it changes.

    The list is published as `recommendations.updated`: at once, and whenever it has changed. The lists of all items or
    users are a setting: `recommender configure shop push.items=true`. Exit code 1 when the item is not there.

    \b
    recommender subscribe --item P-17 --collection shop
    recommender subscribe --user U-9 --scenario home-page --collection shop
    """
    _send(context, begins=True, **which)


@click.command()
@_options
@click.pass_context
def unsubscribe(context: click.Context, /, **which: Any) -> None:
    """Stop publishing the list of an item, or of a user.

    \b
    recommender unsubscribe --item P-17 --collection shop
    """
    _send(context, begins=False, **which)


def _send(
    context: click.Context,
    *,
    begins: bool,
    item: str | None,
    user: str | None,
    scenario: str | None,
    collection: str,
    as_json: bool,
) -> None:
    if (item is None) == (user is None):
        raise click.UsageError("name either --item or --user")
    client = Client(require_server(load_settings()))
    try:
        send = client.subscribe if begins else client.unsubscribe
        event = outcome_of(client, send(item, user=user, scenario=scenario, collection=collection))
    except InvalidCommand as error:
        raise click.UsageError(str(error)) from None
    finally:
        client.close()
    if as_json:
        print_json(event["data"])
    else:
        out.print(printable(event_line(event).plain))
    context.exit(0 if event["type"] == RecommendationsSubscribed.type else 1)
