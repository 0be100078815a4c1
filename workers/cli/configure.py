"""``recommender configure``."""

from __future__ import annotations

import json

import click

from recommender.items import CollectionSettings
from workers.cli.common import json_option, load_settings, out, print_json, printable
from workers.client import Client


@click.command()
@click.argument("collection")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
@click.pass_context
def configure(context: click.Context, collection: str, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Set the settings of COLLECTION; keys left out take their defaults.

    The settings are a command on the stream like any other: what comes after it follows them. Exit code 1 when they are
    rejected.

    \b
    recommender configure products index=hnsw recommendations=20
    recommender configure tickets duplicate_from=0.8 model=all-MiniLM-L6-v2
    """
    client = Client(load_settings())
    position = client.configure(collection, dict(_pair(text) for text in settings))
    event = client.outcome(position)
    client.close()
    rejected = event["type"] == "recommender.command.rejected.v1"
    if as_json:
        print_json(event["data"])
    elif rejected:
        out.print(printable(f"rejected: {event['data']['message']}"))
    else:
        for key, value in event["data"]["settings"].items():
            out.print(f"{key} = {json.dumps(value)}")
    context.exit(1 if rejected else 0)


def _pair(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or key not in CollectionSettings.model_fields:
        raise click.UsageError(f"{text!r} is not KEY=VALUE with one of {', '.join(CollectionSettings.model_fields)}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
